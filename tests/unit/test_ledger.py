"""A job's seconds: which bucket each is in, and what the numbers of a rescue are."""

from __future__ import annotations

import pytest
from decision_log import BEGAN, JOB

from models.claims import DEGRADED_FACTOR
from models.ledger import job_summary, ledger
from models.records import Action, Event, Incident, Membership, NodeFate, Outcome, Progress, Stage, Tick


def progress(at: float, step: int, rank: int = 0, step_s: float = 1.0, node: str | None = None) -> Progress:
    return Progress(
        id=f"p-{rank}-{at}",
        job=JOB,
        node=node or f"n{rank}",
        rank=rank,
        at=BEGAN + at,
        step=step,
        loss=1.0,
        step_s=step_s,
        load=0.0,
    )


def outcome(at: float, action: Action, stage: Stage, node: str, **facts: object) -> Outcome:
    command = f"{action}-{facts.pop('command', 1)}"
    return Outcome(
        id=f"{command}-{node}-{stage}",
        job=JOB,
        command=command,
        action=action,
        node=node,
        stage=stage,
        at=BEGAN + at,
        **facts,  # type: ignore[arg-type]
    )


def member(at: float, node: str, state: str, rank: int | None = None) -> Membership:
    return Membership(id=f"m-{node}-{at}", job=JOB, node=node, at=BEGAN + at, state=state, rank=rank, world=2)  # type: ignore[arg-type]


def trained(first: int, last: int, step: int, node: str | None = None) -> list[Event]:
    """Rank 0 doing a step a second, told each second."""
    return [progress(at, step + at - first, node=node) for at in range(first, last + 1)]


def begun(spares: int = 1) -> list[Event]:
    return [
        member(0, "n0", "running", rank=0),
        *(member(0, f"s{number}", "spare") for number in range(spares)),
    ]


def rescued() -> list[Event]:
    """20 s of training, a checkpoint that blocks .5 s, a migration of 2 s, a restart of 3 s, 4 steps done again."""
    return [
        *begun(),
        *trained(2, 20, step=0),
        outcome(17, "CHECKPOINT", "accepted", "n0", rank=0),
        outcome(17.5, "CHECKPOINT", "staged", "n0", rank=0, step=14, seconds=0.5),
        outcome(18, "CHECKPOINT", "durable", "n0", rank=0, step=14),
        outcome(20, "MIGRATE", "accepted", "n0"),
        outcome(21, "MIGRATE", "done", "n0", step=18),
        member(21, "n0", "vacated"),
        outcome(22, "RESTORE", "received", "s0"),
        outcome(22, "RESTORE", "accepted", "s0"),
        member(22.5, "s0", "running", rank=0),
        outcome(25, "RESTORE", "done", "s0", step=14),
        *trained(25, 40, step=15, node="s0"),
    ]


def seconds(events: list[Event]) -> dict[str, float]:
    found = ledger(events, JOB)
    assert sum(found.buckets.values()) == found.wall_s
    return {name: round(value, 5) for name, value in found.buckets.items() if value}


def test_a_rescue_is_accounted_second_by_second() -> None:
    assert seconds(rescued()) == {
        "restart": 2.0 + 3.0,
        "checkpoint": 0.5,
        "migration": 2.0,
        "recomputed": 3.0,
        "productive": 40.0 - 5.0 - 0.5 - 2.0 - 3.0,
    }


def test_its_summary() -> None:
    summary = job_summary(rescued(), JOB)
    assert (summary.steps, summary.restarts, summary.resumed_from_step, summary.lost_steps) == (30, 1, 14, 4)


def test_wall_is_from_the_first_running_member_to_the_last_event() -> None:
    events = [member(-9, "s0", "spare"), *rescued(), Tick(at=BEGAN + 1000)]
    assert ledger(events, JOB).wall_s == 40.0


def test_derived_shares() -> None:
    found = ledger(rescued(), JOB)
    assert found.downtime_s == pytest.approx(7.0)
    assert found.waste_s == pytest.approx(10.5)
    assert found.ettr == pytest.approx(29.5 / 40.0)


def test_order_and_repetition_change_nothing() -> None:
    events = rescued()
    assert ledger([*reversed(events), *events], JOB) == ledger(events, JOB)
    assert job_summary([*reversed(events), *events], JOB) == job_summary(events, JOB)


def test_other_jobs_do_not_count() -> None:
    assert ledger(rescued(), "another").wall_s == 0.0
    assert ledger([], JOB).ettr == 1.0


def test_ranks_that_block_together_block_once_for_the_longest() -> None:
    blocked = [
        outcome(10 + rank / 10, "CHECKPOINT", "staged", f"n{rank}", rank=rank, step=8, seconds=0.25 + rank / 4)
        for rank in range(4)
    ]
    assert seconds([*begun(), *trained(0, 20, step=0), *blocked])["checkpoint"] == 1.0


def test_an_unforeseen_failure_is_detected_then_migrated_then_restarted() -> None:
    events = [
        *begun(),
        *trained(0, 10, step=0),
        NodeFate(id="f", job=JOB, node="n0", at=BEGAN + 10, state="failed"),
        outcome(14, "RESTORE", "received", "s0"),
        outcome(15, "RESTORE", "accepted", "s0"),
        outcome(17, "RESTORE", "done", "s0", step=6),
        *trained(17, 30, step=7, node="s0"),
    ]
    found = seconds(events)
    assert (found["detection"], found["migration"], found["restart"]) == (4.0, 1.0, 2.0)
    assert found["recomputed"] == 3.0
    assert job_summary(events, JOB).lost_steps == 4


def test_a_failure_with_an_open_incident_needs_no_detection() -> None:
    suspected = Incident(
        id="i",
        job=JOB,
        node="n0",
        at=BEGAN + 8,
        incident="i",
        state="opened",
        probability=0.9,
        deviation=5.0,
        horizon_s=60.0,
    )
    failed = NodeFate(id="f", job=None, node="n0", at=BEGAN + 10, state="failed")
    restored = outcome(15, "RESTORE", "accepted", "s0")
    found = seconds([*begun(), *trained(0, 10, step=0), suspected, failed, restored])
    assert "detection" not in found
    assert found["migration"] == 5.0


def test_without_a_spare_a_down_rank_waits() -> None:
    events = [
        *begun(spares=0),
        *trained(0, 10, step=0),
        outcome(10, "MIGRATE", "accepted", "n0"),
        outcome(11, "MIGRATE", "done", "n0", step=10),
        member(16, "s9", "spare"),
        outcome(17, "RESTORE", "accepted", "s9"),
        outcome(19, "RESTORE", "done", "s9", step=10),
    ]
    found = seconds(events)
    assert (found["migration"], found["waiting"], found["restart"]) == (2.0, 5.0, 2.0)


def test_a_migration_that_failed_is_one_until_it_failed() -> None:
    events = [
        *begun(),
        *trained(0, 10, step=0),
        outcome(3, "MIGRATE", "accepted", "n0"),
        outcome(5, "MIGRATE", "failed", "n0"),
    ]
    assert seconds(events)["migration"] == 2.0


def test_a_command_that_was_refused_costs_nothing() -> None:
    events = [*begun(), *trained(0, 10, step=0), outcome(3, "MIGRATE", "rejected", "n0")]
    assert seconds(events) == {"productive": 10.0}


def test_a_job_that_goes_silent_is_a_failure_not_yet_noticed() -> None:
    events = [*begun(), *trained(0, 10, step=0), *trained(60, 70, step=11)]
    assert seconds(events) == {"productive": 21.0, "detection": 49.0}


def test_what_a_slow_step_takes_beyond_the_normal_is_degraded() -> None:
    slow = [progress(10 + 2 * number, 10 + number, step_s=2.0) for number in range(1, 4)]
    assert seconds([*begun(), *trained(0, 10, step=0), *slow]) == {"productive": 13.0, "degraded": 3.0}


def test_a_step_a_little_slow_is_normal() -> None:
    slower = DEGRADED_FACTOR - 0.01
    slow = [progress(10 + slower, 11, step_s=slower)]
    assert set(seconds([*begun(), *trained(0, 10, step=0), *slow])) == {"productive"}


def test_two_ranks_restored_from_one_step_lose_it_once() -> None:
    events = [
        *begun(),
        *trained(0, 20, step=0),
        outcome(25, "RESTORE", "done", "s0", step=14, command=1),
        outcome(26, "RESTORE", "done", "s1", step=14, command=2),
    ]
    summary = job_summary(events, JOB)
    assert (summary.restarts, summary.lost_steps) == (2, 6)


def test_a_job_without_restarts_lost_nothing() -> None:
    summary = job_summary([*begun(), *trained(0, 20, step=0)], JOB)
    assert (summary.steps, summary.restarts, summary.resumed_from_step, summary.lost_steps) == (20, 0, 0, 0)
