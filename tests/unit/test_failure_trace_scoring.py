"""A history hazard is scored forward in time: gain over a constant rate, lift of node-hours, on fleets of known law."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fault_logs import DAY_S, fleet_log

from connectors.history_shape import load_history
from experiments.failure_trace.reading import read_trace
from experiments.failure_trace.scoring import (
    ONLINE_CONSTANT,
    OWN_PAST,
    Ranking,
    digest,
    evidence_at,
    exposure_s,
    fault_log,
    faults_between,
    gain,
    lift,
)
from experiments.failure_trace.trace import Trace
from models.history import WEIGHED, HistoryShape
from models.history_fit import fit_history

REAL = Path(__file__).parents[1] / "data" / "infinitehbd" / "faults-days-0-174.csv.gz"
SHIPPED = load_history().shape


def trace_of(*faults: tuple[int, float, float], nodes: int = 3) -> Trace:
    node, start, end = (np.array(column, float) for column in zip(*faults, strict=True))
    return Trace(nodes, node.astype(np.intp), start, end)


def edges_of(trace: Trace, blocks: int = 12) -> np.ndarray:
    return np.linspace(trace.start[0], trace.end.max(), blocks + 1)


def test_repair_is_no_exposure() -> None:
    trace = trace_of((0, 10.0, 30.0), (1, 25.0, 25.0))
    assert exposure_s(trace, 0.0, 100.0) == 3 * 100.0 - 20.0
    assert exposure_s(trace, 20.0, 40.0) == 3 * 20.0 - 10.0


def test_faults_of_a_span_are_those_after_its_start() -> None:
    trace = trace_of((0, 10.0, 30.0), (1, 25.0, 25.0), (2, 40.0, 41.0))
    assert faults_between(trace, 10.0, 40.0) == 2
    assert faults_between(trace, 25.0, 40.0) == 1


def test_the_digest_tells_traces_apart_whatever_the_fleet() -> None:
    one, other = trace_of((0, 10.0, 30.0)), trace_of((0, 10.0, 31.0))
    assert digest(one) == digest(replace(one, nodes=99))
    assert digest(one) != digest(other)


def test_evidence_adds_up_over_any_edges() -> None:
    trace = fleet_log(1, days=40, relapse=0.3)
    edges = edges_of(trace, 9).tolist()
    many, few = evidence_at(trace, SHIPPED, edges), evidence_at(trace, SHIPPED, [edges[0], edges[-1]])
    assert many[0] == few[0]
    assert many[-1] == few[-1]


def test_a_constant_rate_is_scored_as_the_formula_says() -> None:
    trace = fleet_log(2, days=60)
    edges = edges_of(trace)
    scored = gain(trace, SHIPPED, edges, ONLINE_CONSTANT)
    assert scored.over_online == pytest.approx(np.zeros(12))
    count, exposure = len(trace.node) - 1, exposure_s(trace, edges[0], edges[-1])
    online = evidence_at(trace, SHIPPED, edges.tolist(), ONLINE_CONSTANT)[-1]
    hindsight = count * math.log(count / exposure) - count
    assert scored.over_hindsight.sum() == pytest.approx(online - hindsight)
    assert scored.faults.sum() == count


@pytest.mark.parametrize("seed", range(4))
def test_a_fleet_without_memory_is_hardly_hurt(seed: int) -> None:
    trace = fleet_log(seed)
    over_hindsight, over_online = gain(trace, SHIPPED, edges_of(trace)).per_fault
    assert over_online >= math.log(WEIGHED[0].prior) / (len(trace.node) - 1) - 1e-9
    assert -0.15 < over_hindsight < 0.03  # what it costs to learn the rate as the log goes on


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("a_day", [0.003, 0.03])
def test_a_fleet_whose_repairs_often_fail_is_foretold_whatever_its_base_rate(seed: int, a_day: float) -> None:
    trace = fleet_log(seed, a_day=a_day, relapse=0.35)
    edges = edges_of(trace)
    over_hindsight, over_online = gain(trace, SHIPPED, edges).per_fault
    assert over_hindsight > 0.15
    assert over_online > 0.15
    assert lift(trace, SHIPPED, edges[0], edges[-1]).top > 3.0


def test_the_real_log_is_foretold_by_what_was_learned_before_it() -> None:
    trace = read_trace(REAL, 400)
    log = fault_log(trace)
    middle = (log.begin + log.finish) / 2
    shape, edges = fit_history(log, middle), np.linspace(middle, log.finish, 13)
    scored = gain(trace, shape, edges)
    assert scored.per_fault[0] > 1.0
    assert scored.per_fault[1] > scored.per_fault[0]
    assert gain(trace, shape, edges, OWN_PAST).per_fault[0] > 0.4
    found = lift(trace, shape, middle, log.finish)
    assert found.top > 15.0
    assert found.rule > 15.0
    assert 0.002 < found.rule_share < 0.01


def test_a_ranking_shares_out_what_lies_on_the_edge() -> None:
    ranking = Ranking()
    ranking.add(np.array([1e-3, 1e-6]), np.array([2.0, 98.0]))
    ranking.hit(np.array([1e-3, 1e-6]))
    assert ranking.lift(0.02) == pytest.approx(0.5 / 0.02)
    assert ranking.lift(0.01) == pytest.approx(0.25 / 0.01)
    assert ranking.lift(1.0) == pytest.approx(1.0)


def test_a_ranking_that_knows_nothing_lifts_by_one() -> None:
    ranking = Ranking()
    ranking.add(np.full(10, 1e-7), np.full(10, 3600.0))
    ranking.hit(np.full(4, 1e-7))
    assert ranking.lift(0.01) == pytest.approx(1.0)


def test_the_day_rule_counts_the_day_after_a_repair_and_no_more() -> None:
    trace = trace_of((0, 0.0, DAY_S), (0, 1.5 * DAY_S, 1.6 * DAY_S), (1, 5 * DAY_S, 5 * DAY_S), nodes=2)
    found = lift(trace, SHIPPED, 0.0, 5 * DAY_S)
    up_s = 2 * 5 * DAY_S - DAY_S - 0.1 * DAY_S
    assert found.rule_share == pytest.approx((0.5 + 1.0) * DAY_S / up_s)
    assert found.rule == pytest.approx(1 / 2 / found.rule_share)


def test_lift_of_a_part_counts_this_part_only() -> None:
    trace = trace_of((0, 0.0, DAY_S), (0, 1.5 * DAY_S, 1.6 * DAY_S), (1, 5 * DAY_S, 5 * DAY_S), nodes=2)
    found = lift(trace, SHIPPED, 3 * DAY_S, 6 * DAY_S)
    assert found.rule_share == pytest.approx(DAY_S / (6 * DAY_S))  # node 1 is back on day 5
    assert found.rule == 0.0


def test_a_shape_without_memory_gains_nothing() -> None:
    flat = HistoryShape((7200.0, 500_000.0), (0.0, 0.0), (60.0, 40_000.0), (0.0, 0.0), 1e-7)
    trace = fleet_log(9, relapse=0.4)
    assert gain(trace, flat, edges_of(trace)).per_fault[1] == pytest.approx(0.0, abs=1e-9)
