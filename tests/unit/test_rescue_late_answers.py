"""A rescue whose answers come late, twice, or from somebody who was given up: a rank is never lost, nor run twice."""

from __future__ import annotations

import pytest
from decision_log import JOB, DecisionLog

from models.records import Command, Incident, Stage

TTL_S = 70


def saved(spares: tuple[str, ...] = ("s0", "s1")) -> tuple[DecisionLog, Command]:
    """A job of four ranks, an incident on n2, every rank durable, and the MIGRATE that followed."""
    log = DecisionLog().start(spares=spares)
    (checkpoint,) = log.incident("n2")
    log.at += 1.0
    (migrate,) = log.save(checkpoint, step=101)
    return log, migrate


def lost(spares: tuple[str, ...] = ("s0", "s1")) -> tuple[DecisionLog, Command]:
    """The same after the rank left its node, and the RESTORE that followed."""
    log, migrate = saved(spares)
    log.at += 1.0
    (restore,) = log.carry_out(migrate, step=104)
    return log, restore


def of(commands: list[Command], action: str) -> list[Command]:
    return [command for command in commands if command.action == action]


@pytest.fixture
def recovered() -> tuple[DecisionLog, Command]:
    """The MIGRATE stayed unanswered until it expired, and meanwhile the node recovered: nothing more is done."""
    log, migrate = saved()
    log.incident("n2", "closed", probability=0.02)
    log.ticks(TTL_S)
    assert log.job.rescues == {}
    return log, migrate


def test_a_migration_that_was_carried_out_after_all_is_restored_although_its_incident_is_over(
    recovered: tuple[DecisionLog, Command],
) -> None:
    log, migrate = recovered
    commands = log.carry_out(migrate, step=110)
    (restore,) = of(commands, "RESTORE")
    assert (restore.ranks, restore.step, restore.incident) == ((2,), 101, "incident-n2")
    assert restore.node in {"s0", "s1"}
    assert log.job.places["n2"].state == "vacated"
    log.carry_out(restore, step=101)
    assert log.job.rescues == {}
    assert log.job.rank_on(restore.node or "") == 2


@pytest.mark.parametrize("end", ["failed", "rejected", "expired"])
def test_a_node_that_recovered_while_it_could_not_be_left_is_rescued_when_it_fails_again(end: Stage) -> None:
    log, migrate = saved()
    log.incident("n2", "closed", probability=0.02)
    log.at += 1.0
    assert log.carry_out(migrate, end, reason="no") == []
    assert log.ticks(5) == []
    log.train(30)
    again = Incident(
        id="second-opened",
        job=JOB,
        node="n2",
        at=log.at,
        incident="second",
        state="opened",
        probability=0.95,
        deviation=7.0,
        horizon_s=600.0,
    )
    issued = len(log.commands)
    log.put(again)
    log.ticks(1)
    [checkpoint] = log.commands[issued:]
    assert (checkpoint.action, checkpoint.incident) == ("CHECKPOINT", "second")
    (anew,) = of(log.save(checkpoint, step=log.job.step or 0), "MIGRATE")
    assert (anew.incident, anew.node, anew.ranks) == ("second", "n2", (2,))
    assert "failed" not in anew.reason.rule, "what went wrong with the first incident is no matter of the second"


def test_told_again_it_is_not_restored_again(recovered: tuple[DecisionLog, Command]) -> None:
    log, migrate = recovered
    (restore,) = of(log.carry_out(migrate, step=110), "RESTORE")
    assert of(log.carry_out(migrate, step=110), "RESTORE") == []
    log.carry_out(restore, step=101)
    assert of(log.carry_out(migrate, step=110), "RESTORE") == []


def test_the_state_between_survives_a_restart_of_the_worker(recovered: tuple[DecisionLog, Command]) -> None:
    log, migrate = recovered
    log.restart()
    assert len(of(log.carry_out(migrate, step=110), "RESTORE")) == 1


def test_a_rank_that_somebody_restored_elsewhere_is_not_restored_by_a_late_migration(
    recovered: tuple[DecisionLog, Command],
) -> None:
    log, migrate = recovered
    log.member("n2", "vacated")
    log.member("n9", "running", rank=2, world=4)
    issued = len(log.commands)
    log.carry_out(migrate, step=110)
    assert of(log.commands[issued:], "RESTORE") == []
    assert log.job.rank_on("n9") == 2


def test_a_restore_told_done_twice_counts_once() -> None:
    log, restore = lost()
    log.carry_out(restore, step=101)
    before = log.job.restore_s
    issued = len(log.commands)
    log.carry_out(restore, step=101, seconds=500.0)
    assert log.job.restore_s == before
    assert log.commands[issued:] == []


def test_the_first_spare_that_answers_late_has_the_rank_and_no_third_is_asked() -> None:
    """The RESTORE expired and another spare was asked; then both say done. Only one rank 2 is in the job's books."""
    log, first = lost()
    (second,) = of(log.ticks(TTL_S), "RESTORE")
    assert {first.node, second.node} == {"s0", "s1"}
    log.carry_out(second, step=101)
    issued = len(log.commands)
    log.carry_out(first, step=101)
    assert log.commands[issued:] == []
    assert log.job.rescues == {}
    assert log.job.rank_on(second.node or "") == 2


def test_a_failed_answer_of_a_restore_that_was_given_up_does_not_disturb_the_one_under_way() -> None:
    log, first = lost()
    (second,) = of(log.ticks(TTL_S), "RESTORE")
    issued = len(log.commands)
    log.outcome(first, "failed", first.node or "", reason="no such checkpoint")
    assert log.commands[issued:] == []
    log.carry_out(second, step=101)
    assert log.job.rank_on(second.node or "") == 2


def test_when_every_spare_has_failed_the_rank_waits_for_a_new_one_and_says_what_went_wrong() -> None:
    log, restore = lost(spares=("s0",))
    assert of(log.carry_out(restore, "failed", reason="disk full"), "RESTORE") == []
    assert of(log.ticks(10), "RESTORE") == []
    commands = log.member("s7", "spare") + log.ticks(2)
    (again,) = of(commands, "RESTORE")
    assert (again.node, again.ranks, again.step) == ("s7", (2,), 101)
    assert "disk full" in again.reason.rule


def test_a_spare_that_fails_before_it_is_asked_is_not_asked() -> None:
    log, migrate = saved()
    assert migrate.spare is not None
    log.fate(migrate.spare)
    log.at += 1.0
    (restore,) = of(log.carry_out(migrate, step=104), "RESTORE")
    assert restore.node not in {migrate.spare, None}


def test_a_migration_answered_without_its_duration_leaves_the_price_as_it_was() -> None:
    log, migrate = saved()
    before = log.job.migrate_s
    log.outcome(migrate, "received", "n2")
    log.outcome(migrate, "accepted", "n2")
    (restore,) = of(log.outcome(migrate, "done", "n2", step=104), "RESTORE")
    assert log.job.migrate_s == before
    before = log.job.restore_s
    log.outcome(restore, "received", restore.node or "")
    log.outcome(restore, "accepted", restore.node or "")
    log.outcome(restore, "done", restore.node or "", step=101)
    assert log.job.restore_s == before
    assert log.job.rank_on(restore.node or "") == 2


def test_a_rank_that_was_lost_without_a_checkpoint_and_runs_again_is_rescued_like_any_other() -> None:
    """Somebody started the job again on the same nodes: what could not be restored then stands in nobody's way now."""
    log = DecisionLog().start(spares=("s0",))
    log.fate("n2")
    assert log.ticks(3) == [], "there is nothing to restore from"
    log.at += 60.0
    log.fate("n2", "recovered")
    log.member("n2", "running", rank=2, world=4)
    log.train(5)
    issued = len(log.commands)
    log.incident("n2")
    log.ticks(1)
    assert [(command.action, command.incident) for command in log.commands[issued:]] == [("CHECKPOINT", "incident-n2")]


def test_a_word_that_the_rank_still_runs_begins_no_third_migration() -> None:
    """Cluster agents say so again and again; a rescue that was given up twice stays given up."""
    log, migrate = saved()
    (again,) = of(log.carry_out(migrate, "failed", reason="no"), "MIGRATE")
    log.carry_out(again, "failed", reason="no")
    issued = len(log.commands)
    log.at += 1.0
    log.member("n2", "running", rank=2, world=4)
    log.ticks(30)
    assert of(log.commands[issued:], "MIGRATE") == []
