"""A rescue from records alone: incident → CHECKPOINT → 4 durable → MIGRATE → RESTORE → done; and what goes wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from decision_log import BEGAN, HORIZON_S, JOB, DecisionLog

from models.records import Cause, Command, Event, Incident, Outcome, Reason, Tick, command_id


def started(**set_to: object) -> DecisionLog:
    return DecisionLog(**set_to).start()


def alarmed(**set_to: object) -> tuple[DecisionLog, Command]:
    """A job of four ranks, an incident on n2, and the CHECKPOINT that it caused."""
    log = started(**set_to)
    (checkpoint,) = log.incident("n2")
    return log, checkpoint


def migrating(**set_to: object) -> tuple[DecisionLog, Command]:
    """The same after every rank's durable acknowledgement, and the MIGRATE that followed."""
    log, checkpoint = alarmed(**set_to)
    log.at += 1.0
    (migrate,) = log.save(checkpoint, step=101)
    return log, migrate


def restoring(**set_to: object) -> tuple[DecisionLog, Command]:
    """The same after the rank left its node, and the RESTORE that followed."""
    log, migrate = migrating(**set_to)
    log.at += 1.0
    (restore,) = log.carry_out(migrate, step=104)
    return log, restore


def actions(commands: list[Command]) -> list[tuple[str, str | None]]:
    return [(command.action, command.node) for command in commands]


def test_a_whole_rescue_gives_exactly_these_commands() -> None:
    log = started()
    log.incident("n2")
    alarm_at, alarm_offset = log.at, len(log.events) - 1
    log.at += 1.0
    log.save(log.commands[0], step=101)
    saved_at, saved_offset = log.at, len(log.events) - 2  # the last rank's durable; its done follows
    log.at += 1.0
    log.carry_out(log.commands[1], step=104)
    left_at, left_offset = log.at, len(log.events) - 1
    evidence = ("telemetry.node.v1/0/2", f"control.event.v1/0/{alarm_offset}")
    node_s = 264.0 * 86_400.0
    checkpoint, migrate, restore = log.commands
    assert checkpoint == Command(
        id=command_id(JOB, None, "CHECKPOINT", "incident-n2", 1),
        action="CHECKPOINT",
        job=JOB,
        generation=1,
        issued_at=alarm_at,
        expires_at=alarm_at + 60.0,
        reason=Reason(
            rule="alarm (young): save before the node fails",
            numbers={
                "C": 5.0,
                "mtbf_s": node_s / 4,
                "P": 0.9,
                "I": 0.0,
                "lambda": pytest.approx((2 * 5.0 * node_s / 4) ** -0.5),
                "T": pytest.approx((2 * 5.0 * node_s / 4) ** 0.5),
                "unsaved_s": 0.0,
                "unsaved_steps": 0.0,
                "deviation": 6.0,
                "theta": 0.5,
                "horizon_s": HORIZON_S,
            },
            evidence=evidence,
        ),
        cause=Cause(0, alarm_offset, 0),
        incident="incident-n2",
        ranks=(0, 1, 2, 3),
    )
    assert migrate == Command(
        id=command_id(JOB, "n2", "MIGRATE", "incident-n2", 2),
        action="MIGRATE",
        job=JOB,
        generation=2,
        issued_at=saved_at,
        expires_at=saved_at + 60.0,
        reason=Reason(
            rule="paper: P(s'|s,a) > eta and L(migrate) < L(stay)",
            numbers={
                "C": 0.2,
                "mtbf_s": node_s / 4,
                "P": 0.9,
                "I": 0.0,
                "lambda": pytest.approx((2 * 0.2 * node_s / 4) ** -0.5),
                "T": pytest.approx((2 * 0.2 * node_s / 4) ** 0.5),
                "unsaved_s": 0.0,
                "unsaved_steps": 0.0,
                "eta": 0.7,
                "P(failed|s,stay)": pytest.approx(0.9),
                "P(failed|s,migrate)": pytest.approx(HORIZON_S / node_s),
                "L(stay)": pytest.approx(0.9 * 4 * 240.0),
                "L(migrate)": pytest.approx(4 * 140.0 + HORIZON_S / node_s * 4 * 240.0),
                "ResourceCost(migrate)": 4 * 140.0,
                "FaultImpact": 4 * 240.0,
            },
            evidence=(*evidence, f"control.event.v1/0/{saved_offset}"),
        ),
        cause=Cause(0, saved_offset, 0),
        incident="incident-n2",
        node="n2",
        spare="s0",
        ranks=(2,),
        step=101,
    )
    assert restore.reason.rule == "restore the rank from the last durable checkpoint"
    assert restore.reason.evidence == (*evidence, f"control.event.v1/0/{left_offset}")
    assert (restore.id, restore.cause) == (
        command_id(JOB, "s0", "RESTORE", "incident-n2", 3),
        Cause(0, left_offset, 0),
    )
    assert (restore.node, restore.spare, restore.ranks, restore.step) == ("s0", None, (2,), 101)
    assert (restore.issued_at, restore.expires_at) == (left_at, left_at + 60.0)


def test_when_the_rescue_is_done_the_rank_runs_on_the_spare_and_nothing_is_under_way() -> None:
    log, restore = restoring()
    assert log.carry_out(restore, step=101) == []
    assert log.job.ranks == (0, 1, 2, 3)
    assert log.job.rank_on("s0") == 2
    assert log.job.rank_on("n2") is None
    assert (log.job.rescues, log.job.in_flight) == ({}, {})
    assert log.train(20) == [], "an incident that stays open on a vacated node is no concern of the job"


def test_no_migration_while_one_rank_is_not_durable() -> None:
    log, checkpoint = alarmed()
    assert log.save(checkpoint, step=101, ranks=(0, 1, 3)) == []
    assert log.outcome(checkpoint, "staged", "n2", 2, step=101, seconds=0.2) == []
    assert log.train(20) == []


def test_ranks_that_saved_different_steps_are_no_checkpoint() -> None:
    log, checkpoint = alarmed()
    assert log.save(checkpoint, step=101, ranks=(0, 1, 2)) == []
    (again,) = log.save(checkpoint, step=102, ranks=(3,))
    assert again.action == "CHECKPOINT"
    assert again.reason.rule.endswith("after CHECKPOINT 1 failed: the ranks saved different steps")


def test_a_rank_that_contradicts_itself_is_no_checkpoint() -> None:
    log, checkpoint = alarmed()
    log.outcome(checkpoint, "staged", "n1", 1, step=101, seconds=0.2)
    (again,) = log.outcome(checkpoint, "durable", "n1", 1, step=102)
    assert again.reason.rule.endswith("after CHECKPOINT 1 failed: rank 1 told of step 101 and of step 102")


def test_the_deadline_passes_and_the_next_reason_says_so() -> None:
    log, checkpoint = alarmed()
    log.save(checkpoint, step=101, ranks=(0, 1))
    assert log.ticks(29) == []
    (again,) = log.ticks(1)
    assert (again.action, again.generation, again.incident) == ("CHECKPOINT", 2, "incident-n2")
    assert again.reason.rule.endswith("; after CHECKPOINT 1 was not durable in time at rank 2, 3")


@pytest.mark.parametrize("stage", ["failed", "rejected", "expired"])
def test_a_rank_that_cannot_save_ends_the_checkpoint_at_once(stage: str) -> None:
    log, checkpoint = alarmed()
    (again,) = log.outcome(checkpoint, stage, "n1", 1, reason="disk full")  # type: ignore[arg-type]
    assert again.reason.rule.endswith(f"; after CHECKPOINT 1 failed: rank 1 {stage}: disk full")


def test_two_failed_checkpoints_and_an_older_one_migrate_with_an_explicit_give_up() -> None:
    log = started()
    (first,) = log.incident("n1", probability=0.1)
    log.save(first, step=101)
    log.incident("n1", "closed")
    log.train(30)
    (second,) = log.incident("n2")
    (third,) = log.outcome(second, "failed", "n1", 1, reason="disk full")
    (migrate,) = log.outcome(third, "failed", "n1", 1, reason="disk full")
    assert (migrate.action, migrate.step) == ("MIGRATE", 101)
    assert migrate.reason.rule.endswith("; gave up on a new checkpoint, goes back to the last durable one")
    assert "CHECKPOINT 2 failed" in migrate.reason.rule
    assert "CHECKPOINT 3 failed" in migrate.reason.rule
    assert migrate.reason.numbers["unsaved_s"] > 25.0


def test_two_failed_checkpoints_and_no_older_one_leave_the_rank_where_it_is() -> None:
    log, checkpoint = alarmed()
    (again,) = log.outcome(checkpoint, "failed", "n1", 1, reason="disk full")
    assert log.outcome(again, "failed", "n1", 1, reason="disk full") == []
    assert log.ticks(300) == []


def test_a_late_durable_checkpoint_still_counts() -> None:
    log, checkpoint = alarmed()
    log.save(checkpoint, step=101, ranks=(0, 1, 2))
    (again,) = log.ticks(30)
    assert log.save(checkpoint, step=101, ranks=(3,)) == []
    assert log.job.saved is not None
    assert log.job.saved.step == 101
    assert log.job.in_flight.keys() == {again.id}


def test_a_node_that_recovers_before_migrate_is_left_alone() -> None:
    log, checkpoint = alarmed()
    log.incident("n2", "closed")
    assert log.save(checkpoint, step=101) == []
    assert log.train(60) == []
    assert log.job.rescues == {}


def test_a_node_that_recovers_after_migrate_is_vacated_all_the_same() -> None:
    log, migrate = migrating()
    log.incident("n2", "closed")
    assert actions(log.carry_out(migrate)) == [("RESTORE", "s0")]


def test_it_stays_below_eta_and_leaves_when_the_probability_grows() -> None:
    log = started()
    (checkpoint,) = log.incident("n2", probability=0.6)
    assert log.save(checkpoint, step=101) == []
    log.at += 1.0
    (migrate,) = log.incident("n2", "changed", probability=0.8)
    assert (migrate.action, migrate.step) == ("MIGRATE", 101), "the checkpoint is fresh"


def test_a_checkpoint_that_has_aged_is_renewed_before_migrating() -> None:
    log = started()
    (checkpoint,) = log.incident("n2", probability=0.6)
    log.save(checkpoint, step=101)
    log.train(60)
    (again,) = log.incident("n2", "changed", probability=0.8)
    assert again.action == "CHECKPOINT"
    (migrate,) = log.save(again, step=230)
    assert (migrate.action, migrate.step) == ("MIGRATE", 230)


def test_nothing_unsaved_needs_no_new_checkpoint() -> None:
    log, checkpoint = alarmed()
    log.incident("n2", "closed")
    log.save(checkpoint, step=101)
    log.at += 60.0
    (migrate,) = log.incident("n1")
    assert (migrate.action, migrate.node, migrate.step) == ("MIGRATE", "n1", 101)


def test_without_a_spare_it_saves_and_waits_for_one() -> None:
    log = DecisionLog().start(spares=())
    (checkpoint,) = log.incident("n2")
    assert log.save(checkpoint, step=101) == []
    assert log.ticks(5) == []
    (migrate,) = log.member("s7", "spare")
    assert (migrate.action, migrate.spare) == ("MIGRATE", "s7")


def test_a_suspected_spare_is_not_chosen() -> None:
    log = DecisionLog().start(spares=("s0", "s1"))
    log.incident("s0", probability=0.2)
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=101)
    assert migrate.spare == "s1"


def test_two_incidents_share_a_checkpoint_and_never_a_spare() -> None:
    log = DecisionLog().start(spares=("s0", "s1"))
    (checkpoint,) = log.incident("n2", probability=0.8)
    assert log.incident("n1", probability=0.95) == []
    migrations = log.save(checkpoint, step=101)
    assert [(one.node, one.spare) for one in migrations] == [("n1", "s0"), ("n2", "s1")], "who fails sooner goes first"


def test_with_one_spare_for_two_the_more_probable_failure_has_it() -> None:
    log = DecisionLog().start(spares=())
    (checkpoint,) = log.incident("n2", probability=0.8)
    log.incident("n1", probability=0.95)
    log.save(checkpoint, step=101)
    (migrate,) = log.member("s0", "spare")
    assert migrate.node == "n1"


def test_jobs_of_one_partition_never_share_a_spare() -> None:
    """A spare that two jobs were promised is taken by one of them only."""
    log = DecisionLog().start(spares=("s0",))
    other = DecisionLog().start(spares=("s0",))
    for event in other.events:
        log.put(_of_other_job(event))
    (checkpoint,) = log.incident("n2")
    log.save(checkpoint, step=101)
    assert log.commands[-1].spare == "s0"
    (theirs,) = log.put(_of_other_job(_opened(other)))
    assert theirs.action == "CHECKPOINT"
    assert [one for one in _saved_by_other(log, theirs) if one.action == "MIGRATE"] == []


def _opened(other: DecisionLog) -> Event:
    other.at += 5.0
    other.incident("n2")
    return other.events[-1]


def _of_other_job(event: Event) -> Event:
    """The same event of another job: on its own nodes, but with the same spare."""
    if isinstance(event, Tick):
        return event
    node = event.node if event.node == "s0" else f"x{event.node}"
    changed = replace(event, id=f"other-{event.id}", job="other", node=node)
    return replace(changed, incident="other-incident") if isinstance(changed, Incident) else changed


def _saved_by_other(log: DecisionLog, command: Command) -> list[Command]:
    own = [
        Outcome(
            id=f"{command.id}-{rank}",
            job="other",
            command=command.id,
            action="CHECKPOINT",
            node=f"xn{rank}",
            stage="durable",
            at=log.at + 6.0,
            rank=rank,
            step=101,
        )
        for rank in range(4)
    ]
    return log.put(*own)


@pytest.mark.parametrize("stage", ["failed", "rejected", "expired"])
def test_a_migration_that_was_refused_is_tried_once_more_then_given_up(stage: str) -> None:
    log, migrate = migrating()
    (again,) = log.carry_out(migrate, stage, reason="no")  # type: ignore[arg-type]
    assert (again.action, again.generation) == ("MIGRATE", 3)
    assert again.reason.rule.endswith(f"after MIGRATE 2 failed: n2 {stage}: no")
    assert log.carry_out(again, stage, reason="no") == []  # type: ignore[arg-type]
    assert log.ticks(200) == []


def test_a_silent_agent_is_asked_once_more_when_the_command_has_expired() -> None:
    log, migrate = migrating()
    assert log.ticks(60) == []
    (again,) = log.ticks(1)
    assert again.action == "MIGRATE"
    assert "MIGRATE 2 had no end in time" in again.reason.rule
    assert again.spare == migrate.spare


def test_a_migration_told_done_after_it_was_given_up_is_still_restored_once() -> None:
    log, migrate = migrating()
    (again,) = log.ticks(61)
    (restore,) = log.carry_out(migrate)
    assert (restore.action, restore.node) == ("RESTORE", "s0")
    assert log.carry_out(again) == []
    log.carry_out(restore)
    assert log.ticks(300) == []
    assert log.job.in_flight == {}


def test_a_second_migration_told_done_after_all_is_over_starts_nothing() -> None:
    log, migrate = migrating()
    (again,) = log.ticks(61)
    (restore,) = log.carry_out(migrate)
    log.carry_out(restore)
    log.incident("n2", "closed")
    log.member("s1", "spare")
    assert log.carry_out(again) == []
    assert log.ticks(300) == []


def test_a_checkpoint_that_is_durable_too_late_is_no_use_to_a_job_that_went_back() -> None:
    """Every rank restored must come from the same step, whatever becomes durable meanwhile."""
    log, first = alarmed(checkpoint_deadline_s=20.0)
    log.incident("n2", "closed")
    log.save(first, step=101)
    log.train(30)
    (late,) = log.incident("n2")
    log.save(late, step=160, ranks=(0, 1, 2))
    (failing,) = log.ticks(20)
    (migrate,) = log.outcome(failing, "failed", "n1", 1, reason="disk full")
    (restore,) = log.carry_out(migrate)
    assert (migrate.step, restore.step) == (101, 101)
    assert log.outcome(late, "durable", "n3", 3, step=160) == []
    log.carry_out(restore, "failed", reason="no room")
    (again,) = log.member("s1", "spare")
    assert again.step == 101


def test_a_vacated_node_whose_agent_fell_silent_counts_as_left() -> None:
    log, migrate = migrating()
    log.outcome(migrate, "accepted", "n2")
    log.member("n2", "vacated")
    found = log.ticks(181)
    assert actions(found) == [("RESTORE", "s0")]


def test_a_spare_that_fails_to_restore_gives_way_to_the_next() -> None:
    log, migrate = migrating()
    log.member("s1", "spare")
    (first,) = log.carry_out(migrate)
    (second,) = log.carry_out(first, "failed", reason="no room")
    assert (second.action, second.node, second.step) == ("RESTORE", "s1", 101)
    assert second.reason.rule.endswith("after RESTORE 3 failed: s0 failed: no room")


def test_a_spare_that_dies_while_being_moved_to_gives_way_to_the_next() -> None:
    log, migrate = migrating()
    log.member("s1", "spare")
    log.carry_out(migrate)
    (second,) = log.fate("s0")
    assert (second.action, second.node) == ("RESTORE", "s1")
    assert second.reason.rule.endswith("after the spare s0 failed")


def test_a_lost_rank_waits_for_a_spare_and_a_failed_one_may_come_back() -> None:
    log, restore = restoring()
    assert log.carry_out(restore, "failed", reason="no room") == []
    assert log.ticks(5) == []
    (again,) = log.member("s0", "spare")
    assert (again.action, again.node) == ("RESTORE", "s0")
    assert again.reason.numbers["waited_s"] == pytest.approx(5.0)


def test_the_node_fails_before_it_could_be_left() -> None:
    log, migrate = migrating()
    (restore,) = log.fate("n2")
    assert (restore.action, restore.node, restore.step) == ("RESTORE", "s0", 101)
    assert restore.reason.rule.endswith("after node n2 failed")
    assert log.carry_out(migrate, "failed", reason="gone") == []


def test_a_node_that_fails_unforeseen_is_restored_from_the_last_checkpoint() -> None:
    log, checkpoint = alarmed()
    log.incident("n2", "closed")
    log.save(checkpoint, step=101)
    log.train(30)
    (restore,) = log.fate("n3")
    assert (restore.action, restore.node, restore.ranks, restore.step) == ("RESTORE", "s0", (3,), 101)
    assert restore.incident is None


def test_a_node_that_fails_before_any_checkpoint_leaves_nothing_to_restore() -> None:
    log = started()
    assert log.fate("n3") == []
    assert log.ticks(60) == []


def test_somebody_else_restored_the_rank() -> None:
    log, restore = restoring()
    log.carry_out(restore, "failed", reason="no room")
    log.member("n9", "running", rank=2, world=4)
    assert log.member("s3", "spare") == []
    assert log.job.rescues == {}


def test_somebody_else_vacated_the_node() -> None:
    log, checkpoint = alarmed()
    log.member("n2", "vacated")
    log.save(checkpoint, step=101, ranks=(0, 1, 3))
    assert log.outcome(checkpoint, "durable", "n2", 2, step=101) == []
    assert log.job.rescues == {}


def test_measured_prices_replace_the_priors() -> None:
    log, restore = restoring()
    log.carry_out(restore, seconds=3.0)
    assert (log.job.cost_s, log.job.durable_s) == (0.2, 0.4)
    assert (log.job.migrate_s, log.job.restore_s) == (1.0, 3.0)


def test_how_rescues_end_is_learned_by_the_health_chain() -> None:
    log, restore = restoring()
    log.carry_out(restore)
    log.fate("n2")
    log.incident("n2", "closed")
    log.incident("n1", probability=0.3)
    log.incident("n1", "closed")
    assert log.state.chain.counts == {
        "failing|migrate|ok": 1.0,
        "failing|stay|failed": 1.0,
        "suspect|stay|ok": 1.0,
    }


def test_a_vacated_node_whose_incident_closes_teaches_nothing() -> None:
    log, restore = restoring()
    log.carry_out(restore)
    log.incident("n2", "closed")
    assert log.state.chain.counts == {"failing|migrate|ok": 1.0}


def test_an_incident_that_outlasts_the_horizon_is_a_step_of_the_chain() -> None:
    log = started(level="checkpoint")
    log.incident("n2", probability=0.9)
    log.at += 1.0
    log.incident("n2", "changed", probability=0.3)
    log.tick(HORIZON_S)
    assert log.state.chain.counts == {"failing|stay|suspect": 1.0}


def test_the_quarantine_level_puts_the_node_aside_and_does_not_migrate() -> None:
    log, quarantine = migrating(level="quarantine")
    assert (quarantine.action, quarantine.node, quarantine.spare) == ("QUARANTINE", "n2", None)
    assert log.carry_out(quarantine) == []
    assert log.train(60) == []


def test_the_checkpoint_level_saves_and_leaves_it_there() -> None:
    log, checkpoint = alarmed(level="checkpoint")
    assert log.save(checkpoint, step=101) == []
    assert log.fate("n2") == []


def test_the_observe_level_issues_nothing() -> None:
    log = started(level="observe")
    log.incident("n2")
    log.fate("n2")
    log.train(100)
    assert log.commands == []


def test_times_are_those_of_the_events() -> None:
    log, checkpoint = alarmed()
    assert BEGAN <= checkpoint.issued_at == log.events[checkpoint.cause.offset].at


def test_a_job_that_never_leaves_passes_alarms_over_and_restores_what_it_loses() -> None:
    log = started(migration="never", checkpoint="young", node_mtbf_days=0.01, checkpoint_cost_s=0.2)
    (checkpoint,) = log.train(14)
    log.save(checkpoint, step=log.job.step or 0)
    log.train(1)
    assert log.incident("n2", probability=0.99) == []
    assert log.ticks(5) == []
    (restore,) = log.fate("n2")
    assert actions([restore]) == [("RESTORE", "s0")]


def test_aupy_saves_on_an_alarm_that_is_worth_it_by_the_trust_that_was_earned() -> None:
    log = started(migration="never", checkpoint="aupy", checkpoint_cost_s=5.0)
    log.train(30)
    assert log.incident("n2") == [], "nothing was earned yet"
    assert log.job.trust.sparse.hits < 1.0
    log.incident("n2", "closed")
    log.job.trust = log.job.trust._replace(sparse=log.job.trust.sparse._replace(hits=50.0))
    log.train(1)
    (checkpoint,) = log.incident("n3")
    assert checkpoint.action == "CHECKPOINT"
    assert checkpoint.reason.numbers["P"] > 0.8
