"""Whatever a log of faults holds, rates stay positive and finite, exposure adds up, and nothing rests on the future."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.failure_trace.scoring import exposure_s, fault_log
from experiments.failure_trace.trace import Trace
from models.history import WEIGHED, Belief, FleetHistory, HistoryShape
from models.history_fit import log_likelihood

SHAPE = HistoryShape((7200.0, 500_000.0), (0.25, 0.3), (30.0, 40_000.0), (0.1, 0.2), 2e-8)
NODES = 6


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Faults of six nodes, those of one apart from each other, many of them together, some of no length."""
    origin = draw(st.sampled_from([0.0, 1.7e9]))
    faults = []
    for node in range(NODES):
        at = origin
        for gap, length in draw(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**5)), max_size=6)):
            at += gap
            faults.append((at, at + length, node))
            at += length
    faults = sorted(faults) or [(origin + 1.0, origin + 2.0, 0)]
    start, end, node = (np.array(column) for column in zip(*faults, strict=True))
    return Trace(NODES, node.astype(np.intp), start.astype(float), end.astype(float))


@settings(max_examples=60, deadline=None)
@given(traces())
def test_rates_are_positive_and_finite_and_all_nodes_come_back(trace: Trace) -> None:
    fleet = None
    for moment, past in fault_log(trace).walk(SHAPE):
        fleet = moment.fleet
        assert all(0.0 < rate < math.inf for rate in moment.rates(SHAPE))
        assert fleet.up == NODES - sum(node.down_since is not None for node in past.values())
        assert all(count >= 0.0 for count in fleet.counts)
        assert math.isclose(math.fsum(fleet.weights()), 1.0, rel_tol=1e-9)
    assert fleet is not None
    assert fleet.up == NODES
    assert fleet.faults == len(trace.node)
    total = [sum(parts) for parts in zip(*(one.counts_at(fleet.at, SHAPE) for one in past.values()), strict=True)]
    assert np.allclose(fleet.counts, total, rtol=1e-6, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(traces())
def test_exposure_and_repair_add_up_to_the_fleet(trace: Trace) -> None:
    since, until = float(trace.start.min()), float(trace.end.max()) + 10.0
    down = float((trace.end - trace.start).sum())
    assert math.isclose(exposure_s(trace, since, until) + down, NODES * (until - since), rel_tol=1e-9)
    middle = (since + until) / 2.0
    parts = exposure_s(trace, since, middle) + exposure_s(trace, middle, until)
    assert math.isclose(parts, exposure_s(trace, since, until), rel_tol=1e-9)


@settings(max_examples=40, deadline=None)
@given(traces(), st.floats(0.05, 0.95))
def test_what_is_foretold_rests_on_the_past_only(trace: Trace, share: float) -> None:
    log = fault_log(trace)
    cut = log.begin + share * (log.finish - log.begin)
    kept = trace.start <= cut
    shorter = Trace(NODES, trace.node[kept], trace.start[kept], trace.end[kept])
    whole = [m.rates(SHAPE) for m, _ in log.walk(SHAPE) if m.failed and m.at <= cut]
    assert whole == [m.rates(SHAPE) for m, _ in fault_log(shorter).walk(SHAPE) if m.failed]


@settings(max_examples=40, deadline=None)
@given(traces())
def test_no_log_costs_more_than_the_price_of_doubt(trace: Trace) -> None:
    log = fault_log(trace)
    price = math.log(next(belief.prior for belief in WEIGHED if belief.own == belief.shared == 0.0))
    constant = log_likelihood(log, SHAPE, (Belief(0.0, 0.0, 1.0),))[0]
    assert log_likelihood(log, SHAPE)[0] >= constant + price - 1e-6


@given(st.floats(0.0, 1e8), st.integers(1, 10_000))
def test_a_quiet_fleet_keeps_a_positive_rate(passed: float, nodes: int) -> None:
    outlook = FleetHistory.begin(0.0, nodes, SHAPE).until(passed, SHAPE).outlook(SHAPE)
    assert 0.0 < outlook.rate(0.0, 0.0, SHAPE) <= SHAPE.base_rate * (1 + 1e-12)
