"""A job on a fault log: each second in one bucket, each loss where it belongs, each placement as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fault_logs import fleet_log

from experiments.failure_trace.job import (
    Nodes,
    Placement,
    Prices,
    TracedJob,
    by_number,
    least_hazard,
    longest_up,
    not_of_the_last_day,
    steps,
)
from experiments.failure_trace.scoring import fault_log
from experiments.policy_lab.runs import BUCKETS
from models.history import HistoryShape
from models.history_fit import FaultLog

HOUR_S, DAY_S = 3600.0, 86_400.0
SHAPE = HistoryShape((7200.0, 500_000.0), (0.3, 0.2), (60.0, 40_000.0), (0.1, 0.1), 1e-7)
PRICES = Prices(cost_s=20.0, durable_s=120.0, detection_s=60.0, restart_s=180.0)


def lived(
    *faults: tuple[int, float, float],
    nodes: int = 2,
    used: int = 1,
    finish: float = 10_000.0,
    begin: float = 0.0,
    interval_s: float | None = 1000.0,
    place: Placement = by_number,
    seed: int = 0,
) -> TracedJob:
    """A job on a log of faults; no node fails before or after those."""
    node, start, end = (np.array(column, float) for column in zip(*faults, strict=True))
    log = FaultLog(nodes, node.astype(np.intp), start, end)
    random = np.random.default_rng(seed)
    return TracedJob(nodes, used, begin, finish, PRICES, SHAPE, place, interval_s, random, finish - begin).run(
        steps(log, SHAPE)
    )


def first_by_number(nodes: int, seed: int = 0) -> int:
    return int(np.argsort(np.random.default_rng(seed).permutation(nodes))[0])


def test_without_a_fault_only_checkpoints_cost() -> None:
    free = 1 - first_by_number(2)
    job = lived((free, 1.0, 2.0), finish=10_230.0)
    assert job.seconds["checkpoint"] == 10 * 20.0
    assert job.checkpoints == 10
    assert job.seconds["productive"] == 10_230.0 - 200.0
    assert job.interruptions == 0


def test_a_fault_loses_what_is_in_no_durable_checkpoint() -> None:
    mine = first_by_number(2)
    job = lived((mine, 1500.0, 9000.0))
    # snapshot after 1000 s of work, durable at 1140 s; then 480 s of work are lost
    assert job.seconds["recomputed"] == pytest.approx(1500.0 - 1020.0)
    assert job.seconds["detection"] == 60.0
    assert job.seconds["restart"] == 180.0
    assert job.seconds["waiting"] == 0.0
    assert job.interruptions == 1


def test_a_checkpoint_that_is_not_durable_saves_nothing() -> None:
    mine = first_by_number(2)
    job = lived((mine, 1100.0, 9000.0), finish=2000.0)
    assert job.seconds["recomputed"] == pytest.approx(1080.0)
    assert job.seconds["checkpoint"] == 20.0


def test_a_fault_within_a_checkpoint_ends_it() -> None:
    mine = first_by_number(2)
    job = lived((mine, 1010.0, 9000.0), finish=1500.0)
    assert job.seconds["checkpoint"] == pytest.approx(10.0)
    assert job.seconds["recomputed"] == pytest.approx(1000.0)


def test_none_begins_while_one_is_in_flight() -> None:
    free = 1 - first_by_number(2)
    job = lived((free, 1.0, 2.0), interval_s=10.0, finish=1410.0)
    # 10 s of work to the first one; then 20 s blocked and 120 s until it is durable, over and over
    assert job.checkpoints == 10
    assert job.seconds["checkpoint"] == 200.0


def test_a_job_without_a_spare_waits_until_the_repair() -> None:
    job = lived((0, 500.0, 4000.0), nodes=1, used=1)
    assert job.seconds["waiting"] == pytest.approx(4000.0 - 560.0)
    assert job.seconds["recomputed"] == pytest.approx(500.0)


def test_a_fault_while_restarting_begins_anew_and_loses_no_work() -> None:
    mine = first_by_number(3)
    order = np.argsort(np.random.default_rng(0).permutation(3)).tolist()
    job = lived((mine, 500.0, 9000.0), (order[1], 600.0, 9000.0), nodes=3, used=1)
    assert job.interruptions == 2
    assert job.seconds["recomputed"] == pytest.approx(500.0)
    assert job.seconds["detection"] == 120.0
    assert job.seconds["restart"] == pytest.approx(40.0 + 180.0)


def test_faults_of_one_instant_are_one_interruption() -> None:
    assert lived((0, 500.0, 900.0), (1, 500.0, 900.0), nodes=3, used=3).interruptions == 1


def test_a_fault_of_no_length_interrupts_and_frees_the_node_at_once() -> None:
    job = lived((0, 500.0, 500.0), nodes=1, used=1)
    assert job.interruptions == 1
    assert job.seconds["waiting"] == 0.0


def test_what_comes_before_the_job_is_known_and_costs_nothing() -> None:
    job = lived((0, 100.0, 6000.0), (1, 7000.0, 7100.0), begin=5000.0, finish=9000.0, nodes=2, used=1)
    assert sum(job.seconds.values()) == pytest.approx(4000.0)
    assert job.mine.sum() == 1
    assert job.since.tolist() == [6000.0, 7100.0]


@pytest.mark.parametrize("place", [by_number, longest_up, not_of_the_last_day, least_hazard])
@pytest.mark.parametrize("interval_s", [None, 900.0])
@pytest.mark.parametrize("used", [30, 39, 40])
def test_each_second_stands_in_one_bucket(place: Placement, interval_s: float | None, used: int) -> None:
    trace = fleet_log(2, nodes=40, days=20, a_day=0.05, relapse=0.4, together=0.2)
    log = fault_log(trace)
    random = np.random.default_rng(3)
    job = TracedJob(40, used, log.begin, log.finish, PRICES, SHAPE, place, interval_s, random, DAY_S).run(
        steps(log, SHAPE)
    )
    wall_s = log.finish - log.begin
    assert tuple(job.seconds) == BUCKETS
    assert min(job.seconds.values()) >= 0.0
    assert math.fsum(job.seconds.values()) == pytest.approx(wall_s, rel=1e-9)
    assert job.wasted.sum() == pytest.approx(wall_s - job.seconds["productive"], rel=1e-6)
    assert job.interruptions > 0


def test_waiting_is_told_in_the_blocks_in_which_it_happens() -> None:
    node, start, end = np.array([0]), np.array([0.5 * DAY_S]), np.array([3.5 * DAY_S])
    log = FaultLog(1, node, start, end)
    random = np.random.default_rng(0)
    job = TracedJob(1, 1, 0.0, 4 * DAY_S, PRICES, SHAPE, by_number, 1e9, random, DAY_S).run(steps(log, SHAPE))
    assert job.wasted[1:3].tolist() == [DAY_S, DAY_S]
    assert job.wasted[3] == pytest.approx(0.5 * DAY_S + 180.0)


#: Never failed; repaired long ago; repaired an hour ago. The scheduler lists them the other way round.
NODES = Nodes(np.array([2, 1, 0]), np.array([-math.inf, 0.0, 2 * DAY_S]), np.array([0.0, 1e-8, 1e-5]))
NEW, OLD, FRESH = 0, 1, 2


def order_of(place: Placement, at: float) -> list[int]:
    return np.lexsort(place(at, NODES)[::-1]).tolist()


@pytest.mark.parametrize(
    ("place", "order"),
    [
        (by_number, [FRESH, OLD, NEW]),
        (longest_up, [NEW, OLD, FRESH]),
        (not_of_the_last_day, [OLD, NEW, FRESH]),
        (least_hazard, [NEW, OLD, FRESH]),
    ],
)
def test_each_placement_takes_the_nodes_in_its_order(place: Placement, order: list[int]) -> None:
    assert order_of(place, 2 * DAY_S + HOUR_S) == order


def test_the_day_rule_lets_a_node_back_after_a_day() -> None:
    assert order_of(not_of_the_last_day, 3 * DAY_S + HOUR_S) == [FRESH, OLD, NEW]


def test_a_node_that_came_back_waits_as_the_last_spare() -> None:
    order = np.argsort(np.random.default_rng(0).permutation(3)).tolist()
    faults = ((order[0], 100.0, 200.0), (order[1], 5000.0, 9000.0))
    assert lived(*faults, nodes=3, used=1, place=by_number).mine[order[0]]
    assert lived(*faults, nodes=3, used=1, place=least_hazard).mine[order[2]]


def test_the_history_writes_more_often_after_a_fault_of_the_fleet() -> None:
    free = 1 - first_by_number(2)
    calm = lived((free, 1.0, 2.0), interval_s=None, finish=20 * DAY_S)
    storm = lived(*((free, k * DAY_S, k * DAY_S + 60.0) for k in range(1, 20)), interval_s=None, finish=20 * DAY_S)
    assert storm.checkpoints > 1.5 * calm.checkpoints


def test_no_rate_passes_the_overhead_cap() -> None:
    wild = HistoryShape((7200.0, 500_000.0), (0.3, 0.2), (60.0, 40_000.0), (0.1, 0.1), 1.0)
    log = FaultLog(1, np.array([0]), np.array([0.0]), np.array([1.0]))
    random = np.random.default_rng(0)
    job = TracedJob(1, 1, 0.0, DAY_S, PRICES, wild, by_number, None, random, DAY_S).run(steps(log, wild))
    assert job.seconds["checkpoint"] <= 0.0501 * DAY_S
    assert job.seconds["checkpoint"] > 0.04 * DAY_S
