"""What a log alone saves: paired runs whose shares are whole, intervals over time, and a job that never waits."""

from __future__ import annotations

import numpy as np
import pytest
from fault_logs import DAY_S, fleet_log

from connectors.history_shape import load_history
from experiments.failure_trace.job import Prices
from experiments.failure_trace.saving import OURS, POLICIES, YOUNG, Saving, enough_spares, most_down, save
from experiments.failure_trace.trace import Trace
from experiments.policy_lab.runs import BUCKETS

SHAPE = load_history().shape
PRICES = Prices(cost_s=20.0, durable_s=120.0, detection_s=60.0, restart_s=180.0)


def saving_of(
    trace: Trace, seeds: range = range(1, 3), spares: int | None = None, told: list[int] | None = None
) -> Saving:
    return save(
        trace,
        SHAPE,
        PRICES,
        spares=enough_spares(trace) if spares is None else spares,
        seeds=seeds,
        since=float(trace.start[0]),
        until=float(trace.end.max()),
        progress=(told if told is not None else []).append,
    )


RELAPSING = fleet_log(4, days=60, a_day=0.02, relapse=0.5)


@pytest.fixture(scope="module")
def relapsing() -> Saving:
    return saving_of(RELAPSING)


def test_the_shares_of_each_run_are_whole(relapsing: Saving) -> None:
    assert relapsing.shares.shape == (len(POLICIES), 2, len(BUCKETS))
    assert relapsing.shares.sum(axis=2) == pytest.approx(1.0)
    assert relapsing.shares.min() >= 0.0
    assert sum(relapsing.ledger(OURS).values()) == pytest.approx(1.0)


def test_blocks_hold_the_waste_of_the_whole(relapsing: Saving) -> None:
    for name, blocks in zip(POLICIES, relapsing.blocks, strict=True):
        assert blocks.sum() == pytest.approx(relapsing.waste(name), rel=1e-9)


def test_young_saves_nothing_against_itself(relapsing: Saving) -> None:
    assert relapsing.saved(YOUNG) == 0.0
    assert relapsing.interval(YOUNG, 1) == (0.0, 0.0)


def test_a_fleet_whose_repairs_often_fail_is_left_alone_after_them(relapsing: Saving) -> None:
    assert relapsing.saved("history-placement") > 0.05
    assert relapsing.saved(OURS) > 0.05
    low, high = relapsing.interval(OURS, 1)
    assert low < relapsing.saved(OURS) < high
    names = list(POLICIES)
    assert relapsing.interruptions[names.index(OURS)] < relapsing.interruptions[names.index(YOUNG)]


def test_policies_that_only_set_the_rate_meet_the_same_faults(relapsing: Saving) -> None:
    names = list(POLICIES)
    assert relapsing.interruptions[names.index("history-rate")] == relapsing.interruptions[names.index(YOUNG)]


def test_a_fleet_without_memory_is_hardly_hurt() -> None:
    saving = saving_of(fleet_log(5, days=60, a_day=0.02))
    assert saving.saved("history-placement") > -0.04
    assert saving.saved(OURS) > -0.06


def test_the_same_seeds_give_the_same_runs_and_progress_is_told() -> None:
    trace, told = fleet_log(6, nodes=20, days=20, a_day=0.05), list[int]()
    first, second = saving_of(trace, told=told), saving_of(trace)
    assert np.array_equal(first.shares, second.shares)
    assert told == list(range(1, 2 * len(POLICIES) + 1))
    assert not np.array_equal(first.shares, saving_of(trace, range(7, 9)).shares)


def test_where_the_log_begins_in_time_does_not_matter() -> None:
    trace = fleet_log(6, nodes=20, days=20, a_day=0.05)
    epoch = Trace(20, trace.node, trace.start + 1.7e9, trace.end + 1.7e9)
    assert saving_of(epoch).shares == pytest.approx(saving_of(trace).shares, abs=1e-6)


def test_most_down_counts_nodes_at_once() -> None:
    starts, ends = np.array([0.0, 1.0, 5.0, 6.0]), np.array([3.0, 2.0, 6.0, 7.0])
    assert most_down(Trace(9, np.arange(4), starts, ends)) == 2


def test_spares_are_a_tenth_of_the_fleet_or_as_many_as_were_down() -> None:
    starts, ends = np.zeros(5), np.full(5, DAY_S)
    assert enough_spares(Trace(100, np.arange(5), starts, ends)) == 10
    assert enough_spares(Trace(20, np.arange(5), starts, ends)) == 5
    assert enough_spares(Trace(5, np.arange(5), starts, ends)) == 4


def test_with_enough_spares_nobody_waits(relapsing: Saving) -> None:
    waiting = relapsing.shares[:, :, BUCKETS.index("waiting")]
    assert waiting.max() == 0.0
    none = saving_of(RELAPSING, range(1, 2), spares=0)
    assert none.ledger(YOUNG)["waiting"] > 0.1
