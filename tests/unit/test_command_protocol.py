"""The command protocol, stage by stage: what is recorded, what is begun, what is refused and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from models.command_protocol import (
    EFFECT_SECONDS_MAX,
    SEEN_SECONDS_MIN,
    Abandon,
    CommandProtocol,
    Delivered,
    Durable,
    Execute,
    Failed,
    Finished,
    Instruction,
    Record,
    Resumed,
    Staged,
    TimePassed,
)
from models.records import Action, Cause, Command, Outcome, Reason, command_id, digest_id


def command(action: Action = "CHECKPOINT", generation: int = 1, **fields: Any) -> Command:
    made = Command(
        id=command_id("job", fields.get("node"), action, None, generation),
        action=action,
        job="job",
        generation=generation,
        issued_at=100.0,
        expires_at=160.0,
        reason=Reason(rule="test"),
        cause=Cause(0, 0),
    )
    return replace(made, **fields)


def stages(instructions: list[Instruction]) -> list[str]:
    return [one.outcome.stage for one in instructions if isinstance(one, Record)]


def outcome(instructions: list[Instruction], stage: str) -> Outcome:
    return next(one.outcome for one in instructions if isinstance(one, Record) and one.outcome.stage == stage)


def test_a_checkpoint_enters_each_stage_once_and_begins_only_after_it_is_recorded() -> None:
    protocol, order = CommandProtocol("n1"), command()
    begun = protocol.handle(Delivered(order, 101.0, rank=3))
    assert stages(begun) == ["received", "accepted"]
    assert begun[-1] == Execute(order, "begin")
    rest = protocol.handle(
        Staged(order.id, 102.0, 40, 0.5, 1000), Durable(order.id, 104.0, 40, 2.5, "file:///c", "abc")
    )
    assert stages(rest) == ["staged", "durable", "done"]
    assert (outcome(rest, "staged").seconds, outcome(rest, "staged").bytes) == (0.5, 1000)
    assert (outcome(rest, "durable").uri, outcome(rest, "durable").digest) == ("file:///c", "abc")
    assert outcome(rest, "done").seconds == 3.0
    assert {one.outcome.rank for one in rest if isinstance(one, Record)} == {3}
    assert protocol.open_commands() == []


def test_an_outcome_s_id_tells_command_node_rank_and_stage() -> None:
    order = command()
    done = CommandProtocol("n1").handle(Delivered(order, 101.0, rank=3))
    assert outcome(done, "accepted").id == digest_id(order.id, "n1", 3, "accepted")


def test_only_the_first_record_of_a_command_carries_it() -> None:
    instructions = CommandProtocol("n1").handle(Delivered(command(), 101.0, rank=0))
    assert [one.command is not None for one in instructions if isinstance(one, Record)] == [True, False]


def test_a_repeated_command_is_silent() -> None:
    protocol, order = CommandProtocol("n1"), command()
    protocol.handle(Delivered(order, 101.0, rank=0))
    assert protocol.handle(Delivered(order, 101.5, rank=0)) == []
    protocol.handle(Failed(order.id, 102.0, "x"))
    assert protocol.handle(Delivered(order, 103.0, rank=0)) == []


@pytest.mark.parametrize(("at", "stage"), [(160.0, "accepted"), (160.001, "expired")])
def test_a_command_is_alive_up_to_its_expiry(at: float, stage: str) -> None:
    assert stages(CommandProtocol("n1").handle(Delivered(command(), at, rank=0))) == ["received", stage]


def test_an_older_generation_of_the_same_target_is_rejected_with_both_numbers() -> None:
    protocol = CommandProtocol("n1")
    protocol.handle(Delivered(command(generation=7), 101.0, rank=0))
    refused = protocol.handle(Delivered(command(generation=6), 101.0, rank=0))
    assert stages(refused) == ["received", "rejected"]
    assert outcome(refused, "rejected").reason == "generation 6 is older than 7, already seen"
    other_target = protocol.handle(Delivered(command("MIGRATE", 5, node="n1"), 101.0, rank=0))
    assert stages(other_target) == ["received", "accepted"]


def test_a_rejected_generation_does_not_fence() -> None:
    protocol = CommandProtocol("n1")
    refused = protocol.handle(Delivered(command("MIGRATE", 9, node="n1", expires_at=2000.0), 101.0, rank=0))
    assert stages(refused) == ["received", "rejected"]
    after = protocol.handle(Delivered(command("MIGRATE", 8, node="n1"), 101.0, rank=0))
    assert stages(after) == ["received", "accepted"]


def test_a_migration_is_done_without_staging() -> None:
    protocol, order = CommandProtocol("n1"), command("MIGRATE", node="n1")
    protocol.handle(Delivered(order, 101.0, rank=2))
    done = protocol.handle(Finished(order.id, 101.5, step=77))
    assert stages(done) == ["done"]
    assert (outcome(done, "done").step, outcome(done, "done").seconds) == (77, 0.5)


def test_what_comes_late_twice_or_of_nobody_changes_nothing() -> None:
    protocol, order = CommandProtocol("n1"), command()
    assert protocol.handle(Staged("nobody", 1.0, 1, 0.1, 1), Failed("nobody", 1.0, "x")) == []
    protocol.handle(Delivered(order, 101.0, rank=0), Staged(order.id, 102.0, 4, 0.1, 9))
    assert protocol.handle(Staged(order.id, 102.5, 4, 0.1, 9)) == []
    assert stages(protocol.handle(Failed(order.id, 103.0, "disk full"))) == ["failed"]
    assert protocol.handle(Durable(order.id, 104.0, 4, 1.0, "u", "d"), Finished(order.id, 104.0)) == []


def test_a_command_that_never_ends_fails_and_is_abandoned() -> None:
    protocol, order = CommandProtocol("n1"), command()
    protocol.handle(Delivered(order, 101.0, rank=0))
    assert protocol.handle(TimePassed(101.0 + EFFECT_SECONDS_MAX)) == []
    late = protocol.handle(TimePassed(101.5 + EFFECT_SECONDS_MAX))
    assert stages(late) == ["failed"]
    assert late[-1] == Abandon(order)


def test_the_memory_is_bounded_by_expiry() -> None:
    protocol, order = CommandProtocol("n1"), command()
    protocol.handle(Delivered(order, 101.0, rank=0), Failed(order.id, 102.0, "x"))
    protocol.handle(TimePassed(160.0 + SEEN_SECONDS_MIN))
    assert protocol.stage(order.id) == "failed"
    protocol.handle(TimePassed(160.1 + SEEN_SECONDS_MIN))
    assert protocol.stage(order.id) is None
    assert stages(protocol.handle(Delivered(order, 160.2 + SEEN_SECONDS_MIN, rank=0))) == ["received", "expired"]


@pytest.mark.parametrize(("at", "mode"), [(159.0, "finish"), (161.0, "find")])
def test_after_a_restart_an_open_command_is_finished_or_past_its_expiry_only_found(at: float, mode: str) -> None:
    order = command("RESTORE", node="n1", ranks=(0,))
    first = CommandProtocol("n1").handle(Delivered(order, 101.0, rank=0))
    restored = CommandProtocol("n1", [one for one in first if isinstance(one, Record)])
    assert restored.handle(Resumed(at)) == [Execute(order, mode)]  # type: ignore[arg-type]


def test_after_a_restart_a_command_that_was_only_received_is_judged_anew() -> None:
    order = command()
    first = CommandProtocol("n1").handle(Delivered(order, 101.0, rank=0))
    cut = [one for one in first if isinstance(one, Record)][:1]
    assert stages(CommandProtocol("n1", cut).handle(Resumed(102.0))) == ["accepted"]
    assert stages(CommandProtocol("n1", cut).handle(Resumed(161.0))) == ["expired"]


def test_after_a_restart_a_durable_checkpoint_is_done() -> None:
    protocol, order = CommandProtocol("n1"), command()
    protocol.handle(Delivered(order, 101.0, rank=0), Staged(order.id, 102.0, 4, 0.1, 9))
    entered = protocol.handle(Durable(order.id, 103.0, 4, 1.0, "u", "d"))
    cut = [Record(outcome(entered, "durable"), order)]
    restored = CommandProtocol("n1", cut)
    done = restored.handle(Resumed(104.0))
    assert stages(done) == ["done"]
    assert outcome(done, "done").step == 4
    assert restored.handle(Resumed(105.0)) == []
