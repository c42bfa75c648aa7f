"""Which node was the cause of which seconds, where failures repeat, overlap, or never come to an end."""

from __future__ import annotations

from typing import Any

import pytest
from decision_log import BEGAN, JOB
from test_ledger import begun, member, outcome, progress, rescued, trained

from infra.observer.account import account_from
from models.job_account import account_of
from models.ledger import ledger
from models.policy_settings import PolicySettings
from models.records import Event, Incident, NodeFate


def failed(at: float, node: str) -> NodeFate:
    return NodeFate(id=f"f-{node}-{at}", job=JOB, node=node, at=BEGAN + at, state="failed")


def incident(at: float, node: str, state: str, name: str = "i") -> Incident:
    return Incident(
        id=f"{name}-{node}-{state}",
        job=JOB,
        node=node,
        at=BEGAN + at,
        incident=f"{name}-{node}",
        state=state,  # type: ignore[arg-type]
        probability=0.8,
        deviation=5.0,
        horizon_s=60.0,
    )


def nodes_of(events: list[Event]) -> dict[str, dict[str, Any]]:
    found = account_from(account_of(events, JOB), PolicySettings())
    assert found is not None
    return {row["node"]: row for row in found["nodes"]}


def seconds_of(events: list[Event]) -> dict[str, float]:
    found = ledger(events, JOB)
    assert sum(found.buckets.values()) == found.wall_s
    return {name: round(value, 5) for name, value in found.buckets.items() if value}


def two_ranks() -> list[Event]:
    return [
        member(0, "n0", "running", rank=0),
        member(0, "n1", "running", rank=1),
        *(progress(at, at, rank) for at in range(21) for rank in (0, 1)),
    ]


def test_the_node_that_was_left_caused_its_move_its_restart_and_what_was_done_again() -> None:
    found = nodes_of(rescued())
    assert found["n0"]["seconds"] == {"migration": 2.0, "recomputed": 3.0, "restart": 3.0}
    assert found["n0"]["caused_s"] == 8.0
    assert found[""]["seconds"]["checkpoint"] == 0.5
    assert found["s0"]["caused_s"] == found[""]["caused_s"] == 0.0


def test_what_nodes_ran_waited_and_were_out() -> None:
    found = nodes_of(rescued())
    assert (found["n0"]["running_s"], found["n0"]["out_s"]) == (21.0, 19.0)
    assert (found["s0"]["spare_s"], found["s0"]["running_s"]) == (22.5, 17.5)


def test_two_ranks_lost_at_once_are_two_standstills_and_each_restore_ends_one() -> None:
    events = [
        *two_ranks(),
        failed(20, "n0"),
        failed(21, "n1"),
        outcome(25, "RESTORE", "received", "s0", command=1),
        outcome(25, "RESTORE", "accepted", "s0", command=1),
        outcome(27, "RESTORE", "done", "s0", command=1),
        outcome(30, "RESTORE", "accepted", "s1", command=2),
        outcome(33, "RESTORE", "done", "s1", command=2),
        member(20, "s0", "spare"),
        member(20, "s1", "spare"),
        progress(34, 20, 0, node="s0"),
    ]
    found = nodes_of(events)
    assert found["n0"]["seconds"] == {"detection": 5.0, "restart": 2.0}
    assert found["n1"]["seconds"] == {"migration": 3.0, "restart": 3.0}


def test_without_a_spare_the_first_that_is_down_is_waited_for() -> None:
    events = [
        *two_ranks(),
        incident(15, "n0", "opened"),
        failed(20, "n0"),
        member(26, "s0", "spare"),
        outcome(27, "RESTORE", "accepted", "s0"),
        outcome(29, "RESTORE", "done", "s0"),
    ]
    assert nodes_of(events)["n0"]["seconds"] == {"waiting": 6.0, "migration": 1.0, "restart": 2.0}


def test_a_restore_that_failed_leaves_the_rank_down_until_the_next() -> None:
    events = [
        *begun(spares=2),
        *trained(0, 10, step=0),
        failed(10, "n0"),
        outcome(12, "RESTORE", "accepted", "s0", command=1),
        outcome(15, "RESTORE", "failed", "s0", command=1),
        outcome(18, "RESTORE", "accepted", "s1", command=2),
        outcome(19, "RESTORE", "done", "s1", command=2),
        *trained(19, 25, step=10, node="s1"),
    ]
    assert nodes_of(events)["n0"]["seconds"] == {"detection": 2.0, "restart": 4.0, "migration": 3.0}


def test_the_spare_that_fails_in_its_turn_is_the_cause_of_its_own_standstill() -> None:
    events = [
        *begun(spares=2),
        *trained(0, 10, step=0),
        failed(10, "n0"),
        outcome(12, "RESTORE", "accepted", "s0", command=1),
        member(12, "s0", "running", rank=0),
        outcome(14, "RESTORE", "done", "s0", command=1),
        *trained(14, 20, step=11, node="s0"),
        failed(20, "s0"),
        outcome(23, "RESTORE", "accepted", "s1", command=2),
        outcome(27, "RESTORE", "done", "s1", command=2),
        *trained(27, 30, step=17, node="s1"),
    ]
    found = nodes_of(events)
    assert found["n0"]["seconds"] == {"detection": 2.0, "restart": 2.0}
    assert found["s0"]["seconds"] == {"detection": 3.0, "restart": 4.0}
    assert (found["n0"]["failures"], found["s0"]["failures"]) == (1, 1)


def test_a_job_that_goes_on_smaller_stands_no_longer_than_its_resize() -> None:
    events = [
        *two_ranks(),
        incident(19, "n1", "opened"),
        failed(20, "n1"),
        outcome(24, "RESIZE", "accepted", "n0", rank=0),
        outcome(26, "RESIZE", "done", "n0", rank=0, step=18),
        *(progress(at, at - 8, 0) for at in range(27, 40)),
    ]
    assert seconds_of(events) == {"waiting": 4.0, "restart": 2.0, "recomputed": 2.0, "productive": 31.0}
    assert nodes_of(events)["n1"]["caused_s"] == 8.0


def test_a_rank_that_others_started_again_is_down_no_more() -> None:
    events = [
        *two_ranks(),
        member(0, "s0", "spare"),
        failed(20, "n1"),
        progress(26, 20, 1, node="x9"),
        progress(30, 24, 1, node="x9"),
    ]
    assert seconds_of(events) == {"detection": 6.0, "productive": 24.0}


def test_a_move_that_never_came_to_an_end_holds_nothing_up_for_ever() -> None:
    events = [*begun(), *trained(0, 10, step=0), outcome(5, "MIGRATE", "accepted", "n0"), *trained(11, 200, step=11)]
    assert seconds_of(events) == {"migration": 61.0, "productive": 139.0}


def test_a_move_under_way_at_the_end_of_the_log_lasts_until_there() -> None:
    events = [*begun(), *trained(0, 10, step=0), outcome(8, "MIGRATE", "accepted", "n0"), progress(12, 12)]
    assert seconds_of(events)["migration"] == 4.0


def test_a_restart_under_way_at_the_end_of_the_log_lasts_until_there() -> None:
    events = [*rescued()[:-17], incident(24, "n1", "opened")]
    assert seconds_of(events)["restart"] == 2.0 + 2.0


def test_a_node_that_fails_while_it_is_being_left_is_down_once() -> None:
    events = [
        *begun(),
        *trained(0, 10, step=0),
        outcome(10, "MIGRATE", "accepted", "n0"),
        failed(11, "n0"),
        outcome(12, "MIGRATE", "failed", "n0"),
        outcome(14, "RESTORE", "accepted", "s0"),
        outcome(16, "RESTORE", "done", "s0"),
    ]
    assert seconds_of(events) == {"migration": 4.0, "restart": 2.0, "productive": 10.0}


@pytest.mark.parametrize(
    ("after", "wanted"),
    [
        ([incident(30, "n0", "closed")], (1, 0, 0, 1)),
        ([failed(30, "n0"), incident(31, "n0", "closed")], (1, 1, 1, 0)),
        ([outcome(30, "MIGRATE", "done", "n0"), incident(31, "n0", "closed")], (1, 0, 0, 0)),
        ([outcome(30, "MIGRATE", "done", "n0"), member(31, "n0", "spare")], (1, 0, 0, 1)),
    ],
)
def test_an_incident_is_false_where_the_node_neither_failed_nor_was_left_for_good(
    after: list[Event], wanted: tuple[int, int, int, int]
) -> None:
    row = nodes_of([*two_ranks(), incident(20, "n0", "opened"), *after])["n0"]
    assert (row["incidents"], row["failures"], row["foreseen"], row["false_alarms"]) == wanted


def test_a_node_that_fails_after_it_was_left_confirms_it() -> None:
    events = [*two_ranks(), incident(20, "n0", "opened"), outcome(30, "MIGRATE", "done", "n0"), failed(40, "n0")]
    row = nodes_of(events)["n0"]
    assert (row["left"], row["confirmed"], row["failures"], row["false_alarms"]) == (1, 1, 0, 0)


def test_a_slow_spell_is_slow_against_what_was_normal_before_it() -> None:
    """Many slow steps after few normal ones: by the median of the whole they would all be normal."""
    slow = [progress(10 + 2 * number, 10 + number, step_s=2.0) for number in range(1, 9)]
    assert seconds_of([*begun(), *trained(0, 10, step=0), *slow])["degraded"] == 8.0
