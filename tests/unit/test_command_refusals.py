"""What an agent does not carry out, whoever asks: each refusal has its reason, and no effect on what is real."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from signing_keys import sealed, shared_keys

from connectors.codecs.records import decode_command
from connectors.errors import InvalidRecord
from connectors.signing import Keyring, Refusal
from models import command_protocol, refusals
from models.agent_limits import LIFETIME_SECONDS_MAX, AgentLimits
from models.command_protocol import (
    CommandProtocol,
    Delivered,
    Execute,
    Failed,
    Finished,
    Instruction,
    Kept,
    Readmission,
    Record,
    Resumed,
    TimePassed,
)
from models.records import Action, Cause, Command, Outcome, Reason, command_id

AT = 1_000_000.0


def command(action: Action = "CHECKPOINT", generation: int = 1, *, at: float = AT, **fields: Any) -> Command:
    made = Command(
        id=command_id("job", fields.get("node"), action, None, generation),
        action=action,
        job="job",
        generation=generation,
        issued_at=at,
        expires_at=at + 60.0,
        reason=Reason(rule="test"),
        cause=Cause(0, 0),
    )
    return replace(made, **fields)


def outcomes(instructions: list[Instruction]) -> list[Outcome]:
    return [one.outcome for one in instructions if isinstance(one, Record)]


def kept(instructions: list[Instruction]) -> list[Record]:
    return [one for one in instructions if isinstance(one, Record)]


def begun(instructions: list[Instruction]) -> list[Command]:
    return [one.command for one in instructions if isinstance(one, Execute)]


def forged(order: Command, digest: str = "d1", why: str = "bad-signature", at: float = AT) -> Delivered:
    return Delivered(order, at, 0, why, digest)


# -- what is not authentic


def test_what_is_not_authentic_is_told_under_a_name_of_its_own_with_the_reason() -> None:
    order = command()
    told = CommandProtocol("n1").handle(forged(order))
    assert begun(told) == []
    (one,) = outcomes(told)
    assert (one.stage, one.command) == ("rejected", "refused-d1")
    assert (one.reason or "").startswith("bad-signature")
    assert order.id in (one.reason or "")
    assert order.id not in (one.command, one.id)


def test_the_seen_set_cannot_be_poisoned_a_forgery_does_not_keep_the_real_command_out() -> None:
    protocol, order = CommandProtocol("n1"), command()
    protocol.handle(forged(order))
    assert protocol.stage(order.id) is None
    assert begun(protocol.handle(Delivered(order, AT, 0))) == [order]


def test_no_outcome_of_a_forgery_ends_the_real_command_here_or_for_whoever_reads_the_log() -> None:
    protocol, order = CommandProtocol("n1"), command()
    real = protocol.handle(Delivered(order, AT, 0))
    told = protocol.handle(forged(order))
    assert {one.command for one in outcomes(told)}.isdisjoint({order.id})
    assert {one.id for one in outcomes(told)}.isdisjoint({one.id for one in outcomes(real)})
    assert protocol.stage(order.id) == "accepted"
    assert protocol.open_commands() == [order]


def test_a_forgery_moves_no_fence_and_fills_no_hour() -> None:
    protocol = CommandProtocol("n1", limits=AgentLimits(disruptions_per_hour=1))
    for number in range(50):
        protocol.handle(forged(command("MIGRATE", 10_000 + number, node="n1"), f"d{number}"))
    assert begun(protocol.handle(Delivered(command("MIGRATE", 3, node="n1"), AT, 0)))


def test_a_forged_quarantine_holds_nothing() -> None:
    protocol = CommandProtocol("n1")
    protocol.handle(forged(command("QUARANTINE", node="n1")))
    assert protocol.quarantined_by is None


def test_what_is_read_again_is_not_told_again_not_even_after_a_restart() -> None:
    first = CommandProtocol("n1")
    entered = kept(first.handle(forged(command())))
    assert first.handle(forged(command(), at=AT + 5)) == []
    for records in (entered, first.records()):
        assert CommandProtocol("n1", records).handle(forged(command(), at=AT + 9)) == []
    assert outcomes(first.handle(forged(command(), digest="d2")))


def test_a_claimed_name_is_cut_so_that_a_stranger_cannot_fill_the_log() -> None:
    (one,) = outcomes(CommandProtocol("n1").handle(forged(command(id="x" * 60_000))))
    assert len(one.reason or "") < 200


def test_a_flood_is_told_up_to_a_bound_counted_beyond_it_and_its_memory_is_bounded() -> None:
    protocol = CommandProtocol("n1")
    bound = refusals.TOLD_PER_HOUR_MAX
    told = [one for n in range(5 * bound) for one in protocol.handle(forged(command(), f"d{n}", at=AT + n * 0.01))]
    assert len(told) == bound
    assert protocol.handle(TimePassed(AT + 1800.0)) == []
    (late,) = outcomes(protocol.handle(TimePassed(AT + 3700.0)))
    assert f"{4 * bound} more were refused" in (late.reason or "")
    assert protocol.handle(TimePassed(AT + 3701.0)) == []
    for hour in range(1, 5):
        for n in range(bound):
            protocol.handle(forged(command(), f"h{hour}-{n}", at=AT + hour * 4000.0))
    assert len(protocol.records()) <= refusals.KEPT_MAX


def test_a_thousand_forged_and_altered_commands_are_refused_and_the_real_one_is_carried_out() -> None:
    """Through the real keyring: bytes changed, cut, signed by another key, or not signed at all."""
    keyring, protocol = Keyring(shared_keys().keyring, print), CommandProtocol("n1")
    order = command("MIGRATE", 7, node="n1", ranks=(0,), step=40)
    raw = sealed(order)
    made = [raw[:place] + bytes([raw[place] ^ (1 + place % 255)]) + raw[place + 1 :] for place in range(len(raw))]
    made += [raw[:place] for place in range(0, len(raw), 3)]
    number = 0
    while len(made) < 1000:
        number += 1
        other = replace(order, id=f"forged{number}", generation=7 + number)
        made.append(sealed(other).replace(b'"generation":', b'"generation": '))
    refused = unreadable = 0
    for n, bad in enumerate(made[:1000]):
        verdict = keyring.verify(bad)
        assert isinstance(verdict, Refusal), bad
        try:
            claimed = decode_command(bad)
        except InvalidRecord:
            unreadable += 1
            continue
        assert begun(protocol.handle(Delivered(claimed, AT, 0, verdict.reason, f"{n}"))) == []
        refused += 1
    print(f"{refused + unreadable} of 1000 refused: {unreadable} cannot be read, {refused} have an outcome each")
    assert refused + unreadable == 1000
    assert len(protocol.records()) == refused
    assert begun(protocol.handle(Delivered(decode_command(raw), AT, 0))) == [order]


# -- what is authentic, and refused


@pytest.mark.parametrize(("ahead", "stage"), [(60.0, "accepted"), (60.5, "rejected"), (float("nan"), "rejected")])
def test_a_command_from_the_future_is_refused(ahead: float, stage: str) -> None:
    told = outcomes(CommandProtocol("n1").handle(Delivered(command(at=AT + ahead, expires_at=AT + 90), AT, 0)))
    assert [one.stage for one in told] == ["received", stage]
    if stage == "rejected":
        assert "agent.skew_s" in (told[-1].reason or "")


@pytest.mark.parametrize(("more", "stage"), [(0.0, "accepted"), (0.5, "rejected"), (float("inf"), "rejected")])
def test_a_command_that_would_live_for_long_is_refused(more: float, stage: str) -> None:
    order = command(expires_at=AT + LIFETIME_SECONDS_MAX + more)
    assert [one.stage for one in outcomes(CommandProtocol("n1").handle(Delivered(order, AT, 0)))][-1] == stage


def test_no_number_as_an_expiry_is_expired() -> None:
    told = outcomes(CommandProtocol("n1").handle(Delivered(command(expires_at=float("nan")), AT, 0)))
    assert told[-1].stage == "expired"


@pytest.mark.parametrize("action", ["MIGRATE", "RESTORE", "QUARANTINE", "DRAIN", "RESIZE"])
def test_an_hour_has_its_bound_whoever_signs_and_the_reason_names_the_setting(action: Action) -> None:
    protocol = CommandProtocol("n1", limits=AgentLimits(disruptions_per_hour=2))
    for number in (1, 2):
        order = command("MIGRATE", number, at=AT + number, node="n1")
        protocol.handle(Delivered(order, AT + number, 0), Failed(order.id, AT + number, "x"))
    third = command(action, 3, at=AT + 10, node="n1")
    told = protocol.handle(Delivered(third, AT + 10, 0))
    assert begun(told) == []
    assert "agent.disruptions_per_hour is 2" in (outcomes(told)[-1].reason or "")
    assert begun(protocol.handle(Delivered(command("CHECKPOINT", 4, at=AT + 11), AT + 11, 0)))
    later = command(action, 5, at=AT + 3602.5, node="n1")
    assert begun(protocol.handle(Delivered(later, AT + 3602.5, 0))) == [later]


def test_checkpoints_have_a_bound_of_their_own() -> None:
    protocol = CommandProtocol("n1", limits=AgentLimits(checkpoints_per_hour=3))
    done = [begun(protocol.handle(Delivered(command(generation=n), AT, 0))) for n in range(1, 6)]
    assert [len(one) for one in done] == [1, 1, 1, 0, 0]


def test_the_hour_is_remembered_over_a_restart_and_over_a_rewritten_file() -> None:
    limits = AgentLimits(disruptions_per_hour=1)
    first = CommandProtocol("n1", limits=limits)
    order = command("MIGRATE", node="n1")
    entered = kept(first.handle(Delivered(order, AT, 0), Finished(order.id, AT + 1)))
    assert [one.outcome.stage for one in entered] == ["received", "accepted", "done"]
    rewritten = first.records()
    assert isinstance(rewritten[0], Record)
    assert rewritten[0].accepted_at == AT
    for records in (entered, rewritten):
        again = CommandProtocol("n1", records, limits)
        assert begun(again.handle(Delivered(command("DRAIN", 2, node="n1"), AT + 30, 0))) == []


def test_a_coordinator_whose_key_was_stolen_does_no_more_than_the_hour_allows() -> None:
    protocol, done = CommandProtocol("n1"), 0
    for number in range(1, 1001):
        order = command("MIGRATE", number, node="n1", at=AT + number)
        done += len(begun(protocol.handle(Delivered(order, AT + number, 0))))
    assert done == AgentLimits().disruptions_per_hour


def test_so_many_commands_are_remembered_and_no_more_are_taken_up_than_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_protocol, "SEEN_MAX", 20)
    protocol = CommandProtocol("n1", limits=AgentLimits(checkpoints_per_hour=1000))
    for number in range(1, 31):
        order = command(generation=number)
        protocol.handle(Delivered(order, AT, 0), Failed(order.id, AT, "x"))
    assert len(protocol.records()) == 20
    assert protocol.not_taken_up == 10
    later = command(generation=40, at=AT + 61)
    assert begun(protocol.handle(Delivered(later, AT + 61, 0))) == [later], "what has expired makes room"
    assert len(protocol.records()) <= 20


def test_a_thousand_replays_of_a_command_have_no_second_effect_by_whatever_key_and_after_restarts() -> None:
    protocol, order = CommandProtocol("n1"), command("MIGRATE", 3, node="n1")
    protocol.handle(Delivered(order, AT, 0), Finished(order.id, AT + 1))
    for number in range(1000):
        if number % 100 == 99:
            protocol = CommandProtocol("n1", protocol.records())
        again = replace(order, expires_at=AT + 800.0, reason=Reason(rule="again"))
        assert protocol.handle(Delivered(again, AT + number * 0.5, 0)) == []


# -- a node that is set aside


@pytest.mark.parametrize("action", ["QUARANTINE", "DRAIN"])
def test_a_node_that_is_set_aside_takes_no_new_rank_until_its_owner_gives_it_back(action: Action) -> None:
    protocol = CommandProtocol("n1")
    aside = command(action, 5, node="n1")
    protocol.handle(Delivered(aside, AT, 0), Finished(aside.id, AT + 1))
    restore = command("RESTORE", 6, node="n1", ranks=(0,), at=AT + 2)
    told = outcomes(protocol.handle(Delivered(restore, AT + 2, 0)))
    assert told[-1].stage == "rejected"
    assert f"quarantined by {action} {aside.id}" in (told[-1].reason or "")
    assert begun(protocol.handle(Delivered(command("CHECKPOINT", 7, at=AT + 3), AT + 3, 0)))
    back: list[Kept] = [*protocol.records(), Readmission(AT + 10)]
    for records in (back, CommandProtocol("n1", back).records()):
        returned = CommandProtocol("n1", records)
        assert returned.quarantined_by is None
        again = command("RESTORE", 8, node="n1", ranks=(0,), at=AT + 11)
        assert begun(returned.handle(Delivered(again, AT + 11, 0))) == [again]
        twice = command(action, 9, node="n1", at=AT + 12)
        returned.handle(Delivered(twice, AT + 12, 0))
        assert returned.quarantined_by == twice


def test_a_node_set_aside_at_the_very_moment_of_its_return_stays_aside() -> None:
    protocol, aside = CommandProtocol("n1", [Readmission(AT)]), command("DRAIN", 5, node="n1")
    protocol.handle(Delivered(aside, AT, 0), Finished(aside.id, AT))
    assert protocol.quarantined_by == aside


def test_a_node_is_set_aside_for_as_long_as_nobody_gives_it_back_whatever_is_forgotten() -> None:
    protocol = CommandProtocol("n1")
    aside, other = command("QUARANTINE", 5, node="n1"), command("CHECKPOINT", 6)
    protocol.handle(Delivered(aside, AT, 0), Finished(aside.id, AT), Delivered(other, AT, 0), Failed(other.id, AT, "x"))
    protocol.handle(TimePassed(AT + 40 * 86_400.0))
    assert protocol.stage(other.id) is None
    assert CommandProtocol("n1", protocol.records()).quarantined_by == aside


def test_a_node_holds_from_the_moment_that_it_has_accepted_and_not_when_that_came_to_nothing() -> None:
    protocol, aside = CommandProtocol("n1"), command("QUARANTINE", 5, node="n1")
    entered = kept(protocol.handle(Delivered(aside, AT, 0)))
    crashed = CommandProtocol("n1", entered)
    assert crashed.quarantined_by == aside
    assert begun(crashed.handle(Resumed(AT + 1))) == [aside]
    crashed.handle(Failed(aside.id, AT + 2, "the owner's command failed"))
    assert crashed.quarantined_by is None
