"""The history hazard: what faults add to the rate of a node and of a fleet, what the base learns, what is believed."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from models.history import (
    BASE_WEIGHT,
    BELIEVED,
    WEIGHED,
    Belief,
    FleetHistory,
    HistoryShape,
    NodeHistory,
    history_rate,
)

HOUR_S, DAY_S = 3600.0, 86_400.0
SHAPE = HistoryShape((2 * HOUR_S, 5 * DAY_S), (0.3, 0.2), (60.0, 6 * HOUR_S), (0.1, 0.15), 1e-8)
QUIET = (Belief(0.0, 0.0, 1.0),)


def repaired(*times: float) -> NodeHistory:
    node = NodeHistory()
    for at in times:
        node = node.failed(at - 60.0).recovered(at, SHAPE)
    return node


def test_a_node_without_a_past_adds_nothing() -> None:
    assert NodeHistory().rate(1e9, SHAPE) == 0.0


def test_a_repair_adds_the_sum_of_its_memories_and_fades_with_each() -> None:
    node = repaired(1000.0)
    at_once = 0.3 / (2 * HOUR_S) + 0.2 / (5 * DAY_S)
    assert node.rate(1000.0, SHAPE) == pytest.approx(at_once, rel=1e-12)
    later = 0.3 / (2 * HOUR_S) * math.exp(-12.0) + 0.2 / (5 * DAY_S) * math.exp(-0.2)
    assert node.rate(1000.0 + DAY_S, SHAPE) == pytest.approx(later, rel=1e-12)


def test_a_repair_brings_as_many_further_faults_as_the_shape_says() -> None:
    node = repaired(0.0)
    times = np.linspace(0.0, 60 * DAY_S, 100_001)
    expected = np.trapezoid([node.rate(at, SHAPE) for at in times], times)
    assert expected == pytest.approx(0.5, rel=1e-3)


def test_the_third_fault_of_a_week_counts_more_than_the_first() -> None:
    rates = [repaired(*(k * DAY_S for k in range(n))).rate((n - 1) * DAY_S + HOUR_S, SHAPE) for n in (1, 2, 3)]
    assert rates == sorted(rates)
    assert rates[2] > rates[0] + 1.4 * 0.2 / (5 * DAY_S)


def test_a_time_before_the_last_repair_counts_as_it() -> None:
    node = repaired(1000.0)
    assert node.rate(0.0, SHAPE) == node.rate(1000.0, SHAPE)
    assert node.counts_at(0.0, SHAPE) == node.counts


def test_a_node_is_down_from_its_first_failure_to_its_recovery() -> None:
    down = NodeHistory().failed(10.0)
    assert down.failed(20.0).down_since == 10.0
    assert down.recovered(30.0, SHAPE).down_since is None


def test_the_rate_is_plain_arithmetic_that_numba_compiles() -> None:
    numba = pytest.importorskip("numba")
    compiled = numba.njit(history_rate)
    arguments = ((1.5, 0.7), SHAPE.recurrence, SHAPE.memory_s, 500.0)
    assert compiled(*arguments) == pytest.approx(history_rate(*arguments), rel=1e-14)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"memory_s": ()}, "at least one"),
        ({"recurrence": (0.3,)}, "one number of further faults for each memory"),
        ({"shared_memory_s": (60.0,)}, "one number of further faults for each memory"),
        ({"memory_s": (0.0, 1.0)}, "above 0 and finite"),
        ({"memory_s": (math.inf, 1.0)}, "above 0 and finite"),
        ({"base_rate": 0.0}, "above 0 and finite"),
        ({"shared": (-0.1, 0.1)}, "0 or more further faults"),
        ({"recurrence": (0.5, 0.4)}, "fewer than 1 in all"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        replace(SHAPE, **change)


def test_the_beliefs_are_a_probability_and_hold_both_extremes() -> None:
    assert math.fsum(belief.prior for belief in WEIGHED) == pytest.approx(1.0)
    assert {(0.0, 0.0), (1.0, 1.0)} <= {(belief.own, belief.shared) for belief in WEIGHED}


def test_a_fleet_begins_at_the_shipped_base_rate() -> None:
    fleet = FleetHistory.begin(0.0, 400, SHAPE)
    outlook = fleet.outlook(SHAPE)
    assert outlook.base == pytest.approx(SHAPE.base_rate)
    assert outlook.rate(0.0, 0.0, SHAPE) == pytest.approx(SHAPE.base_rate)
    assert fleet.evidence == pytest.approx(0.0, abs=1e-12)


def test_the_base_rate_becomes_the_fleets_own() -> None:
    fleet, rate, nodes = FleetHistory.begin(0.0, 1000, SHAPE, QUIET), 1e-7, 1000
    for k in range(1, 601):
        at = k / (rate * nodes)
        fleet = fleet.failed(at, [NodeHistory()], SHAPE, QUIET)
        fleet = fleet.recovered(at, NodeHistory().failed(at).recovered(at, SHAPE), SHAPE, QUIET)
    assert fleet.outlook(SHAPE, QUIET).base == pytest.approx(rate, rel=0.06)


def test_silence_lowers_the_base_rate_and_never_to_nothing() -> None:
    fleet = FleetHistory.begin(0.0, 100, SHAPE).failed(1.0, [NodeHistory()], SHAPE)
    bases = [fleet.until(days * DAY_S, SHAPE).outlook(SHAPE).base for days in (0, 10, 100, 1000)]
    assert bases == sorted(bases, reverse=True)
    assert bases[-1] > 0.0


def test_a_fault_that_another_explains_does_not_raise_the_base_much() -> None:
    fleet = FleetHistory.begin(0.0, 100, SHAPE, BELIEVED)
    node = repaired(0.0)
    relapsed = fleet.failed(60.0, [node], SHAPE, BELIEVED).spontaneous[0]
    afresh = fleet.failed(60.0, [NodeHistory()], SHAPE, BELIEVED).spontaneous[0]
    assert relapsed - BASE_WEIGHT < 0.01
    assert afresh - BASE_WEIGHT == pytest.approx(1.0, rel=1e-3)


def test_a_fault_raises_the_rate_of_all_others_and_fades() -> None:
    fleet = FleetHistory.begin(0.0, 400, SHAPE, BELIEVED).failed(10.0, [NodeHistory()], SHAPE, BELIEVED)
    outlook = fleet.outlook(SHAPE, BELIEVED)
    assert outlook.rate(0.0, 0.0, SHAPE) == pytest.approx(outlook.base + (0.1 / 60 + 0.15 / (6 * HOUR_S)) / 399)
    assert outlook.rate(0.0, DAY_S, SHAPE) == pytest.approx(outlook.base + 0.15 / (6 * HOUR_S) / 399 * math.exp(-4))


def test_faults_of_one_instant_do_not_foretell_each_other() -> None:
    fleet = FleetHistory.begin(0.0, 400, SHAPE, BELIEVED)
    three = fleet.failed(10.0, [NodeHistory()] * 3, SHAPE, BELIEVED)
    quiet = fleet.until(10.0, SHAPE, BELIEVED)
    base = quiet.outlook(SHAPE, BELIEVED).base
    assert three.evidence - quiet.evidence == pytest.approx(3 * math.log(base))
    assert three.up == 397
    assert three.outlook(SHAPE, BELIEVED).together == pytest.approx((1 + 3) / (1 + 1))


def test_the_quiet_part_of_the_likelihood_is_the_integral_of_the_rates() -> None:
    nodes = [repaired(0.0), repaired(-DAY_S, 0.0), *[NodeHistory()] * 8]
    fleet = FleetHistory.begin(0.0, 11, SHAPE, BELIEVED).failed(0.0, [NodeHistory()], SHAPE, BELIEVED)
    for node in nodes[:2]:
        fleet = replace(fleet, up=fleet.up - 1).recovered(0.0, node, SHAPE, BELIEVED)
    outlook, end = fleet.outlook(SHAPE, BELIEVED), DAY_S
    times = np.concatenate([np.linspace(0.0, 600.0, 4001), np.linspace(600.0, end, 4001)[1:]])
    total = [sum(outlook.rate(node.rate(at, SHAPE), at, SHAPE) for node in nodes) for at in times]
    assert fleet.evidence - fleet.until(end, SHAPE, BELIEVED).evidence == pytest.approx(
        np.trapezoid(total, times), rel=1e-5
    )


def test_the_hazard_of_a_job_is_that_of_its_nodes_and_one_instant_stops_it_once() -> None:
    fleet = FleetHistory.begin(0.0, 40, SHAPE, BELIEVED).failed(10.0, [NodeHistory()] * 3, SHAPE, BELIEVED)
    outlook, added = fleet.outlook(SHAPE, BELIEVED), [0.0, 1e-6, 3e-6]
    total = sum(outlook.rate(one, 60.0, SHAPE) for one in added)
    assert outlook.hazard(3, sum(added), 60.0, SHAPE) == pytest.approx(total / 2.0, rel=1e-12)


def test_both_histories_survive_the_wire_to_the_last_bit() -> None:
    node = repaired(1000.0, 5000.0).failed(6000.0)
    fleet = FleetHistory.begin(0.0, 40, SHAPE).failed(6000.0, [node], SHAPE)
    assert msgspec.json.decode(msgspec.json.encode(node), type=NodeHistory) == node
    assert msgspec.json.decode(msgspec.json.encode(fleet), type=FleetHistory) == fleet


def test_what_recovers_and_fails_leaves_no_trace_in_the_sum_over_nodes() -> None:
    node = repaired(100.0)
    fleet = FleetHistory.begin(0.0, 10, SHAPE).failed(50.0, [NodeHistory()], SHAPE).recovered(100.0, node, SHAPE)
    assert fleet.counts == (1.0, 1.0)
    gone = fleet.failed(5000.0, [node], SHAPE)
    assert gone.counts == pytest.approx((0.0, 0.0), abs=1e-12)
    assert (gone.up, gone.faults, gone.instants) == (9, 2, 2)


def test_the_weights_follow_whoever_foretold_better() -> None:
    def lived(relapses: bool) -> FleetHistory:
        fleet, at = FleetHistory.begin(0.0, 100, SHAPE), 0.0
        node = NodeHistory()
        for _ in range(30):
            at += 3600.0 if relapses else 20 * DAY_S
            if not relapses:
                node = NodeHistory()
            fleet = fleet.failed(at, [node], SHAPE)
            node = node.failed(at).recovered(at, SHAPE)
            fleet = fleet.recovered(at, node, SHAPE)
        return fleet

    def own(fleet: FleetHistory) -> float:
        return sum(w * b.own for w, b in zip(fleet.weights(), WEIGHED, strict=True))

    assert own(lived(relapses=True)) > 0.95
    assert own(lived(relapses=False)) < 0.1


def test_to_believe_in_nothing_costs_no_more_than_its_prior() -> None:
    fleet, alone = FleetHistory.begin(0.0, 50, SHAPE), FleetHistory.begin(0.0, 50, SHAPE, QUIET)
    node = NodeHistory()
    for k in range(1, 60):
        at = 5 * DAY_S * k
        fleet, alone = fleet.failed(at, [node], SHAPE), alone.failed(at, [node], SHAPE, QUIET)
        node = node.failed(at).recovered(at, SHAPE)
        fleet, alone = fleet.recovered(at, node, SHAPE), alone.recovered(at, node, SHAPE, QUIET)
    prior = next(belief.prior for belief in WEIGHED if belief.own == belief.shared == 0.0)
    assert fleet.evidence >= alone.evidence + math.log(prior) - 1e-9


def test_time_does_not_run_backwards() -> None:
    fleet = FleetHistory.begin(100.0, 10, SHAPE)
    assert fleet.until(50.0, SHAPE) is fleet
