"""The shape is fitted forward in time, finds what made a log, and its likelihood is that of the process itself."""

from __future__ import annotations

import json
import math
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest
from fault_logs import DAY_S, fleet_log

from connectors.history_shape import load_history
from experiments.failure_trace.reading import read_trace
from experiments.failure_trace.scoring import digest, fault_log
from models.history import BELIEVED, HistoryShape
from models.history_fit import FaultLog, fit_history, log_likelihood

REAL = Path(__file__).parents[1] / "data" / "infinitehbd" / "faults-days-0-174.csv.gz"


def log_of(*faults: tuple[int, float, float], nodes: int = 4) -> FaultLog:
    node, start, end = (np.array(column) for column in zip(*faults, strict=True))
    return FaultLog(nodes, node.astype(np.intp), start.astype(float), end.astype(float))


SHAPE = HistoryShape((7200.0, 500_000.0), (0.3, 0.2), (60.0, 40_000.0), (0.1, 0.1), 1e-7)


def test_a_log_is_walked_in_order_with_what_happened_at_each_time() -> None:
    log = log_of((0, 10.0, 20.0), (1, 10.0, 10.0), (2, 20.0, 30.0))
    seen = [(m.at, m.failed, m.recovered, m.fleet.up) for m, _ in log.walk(SHAPE)]
    assert seen == [(10.0, (0, 1), (1,), 3), (20.0, (2,), (0,), 3), (30.0, (), (2,), 4)]


def test_the_fault_that_a_log_begins_with_is_past_and_no_evidence() -> None:
    (first, *_), past = zip(*log_of((0, 10.0, 20.0)).walk(SHAPE), strict=True)
    assert first.fleet.spontaneous == first.before.spontaneous
    assert first.fleet.evidence == first.before.evidence
    assert (first.fleet.recent, first.fleet.faults) == ((1.0, 1.0), 1)
    assert past[-1][0].counts == (1.0, 1.0)


def test_a_walk_ends_where_it_is_told_to() -> None:
    log = log_of((0, 10.0, 20.0), (2, 20.0, 30.0))
    assert [m.at for m, _ in log.walk(SHAPE, until=20.0)] == [10.0, 20.0]


def test_a_fault_of_no_length_takes_the_node_down_and_back() -> None:
    ((moment, past),) = list(log_of((3, 5.0, 5.0)).walk(SHAPE))
    assert (moment.failed, moment.recovered, moment.fleet.up) == ((3,), (3,), 4)
    assert past[3].counts == (1.0, 1.0)


def test_the_rate_of_a_relapse_is_told_just_before_it() -> None:
    relapse = [m for m, _ in log_of((0, 0.0, 100.0), (0, 3700.0, 4000.0)).walk(SHAPE, BELIEVED)][2]
    own = 0.3 / 7200.0 * math.exp(-0.5) + 0.2 / 500_000.0 * math.exp(-3600 / 500_000)
    (rate,) = relapse.rates(SHAPE, BELIEVED)
    assert rate > own
    assert rate == pytest.approx(own, rel=0.05)


def test_the_likelihood_rewards_the_shape_that_made_the_log() -> None:
    log = fault_log(fleet_log(3, relapse=0.5))
    flat = HistoryShape((7200.0, 500_000.0), (0.0, 0.0), (60.0, 40_000.0), (0.0, 0.0), 1e-7)
    true = HistoryShape((10_800.0, 500_000.0), (0.5, 0.0), (60.0, 40_000.0), (0.0, 0.0), 1e-7)
    assert log_likelihood(log, true, BELIEVED)[0] > log_likelihood(log, flat, BELIEVED)[0] + 100


def test_a_fit_finds_the_memory_and_the_relapses_of_a_fleet() -> None:
    trace = fleet_log(5, nodes=100, days=150, a_day=0.015, relapse=0.4)
    shape = fit_history(fault_log(trace))
    assert shape.recurrence[0] == pytest.approx(0.4, abs=0.1)
    assert shape.memory_s[0] == pytest.approx(3 * 3600, rel=0.35)
    assert shape.recurrence[1] < 0.12
    assert sum(shape.shared) < 0.2
    assert shape.base_rate * DAY_S == pytest.approx(0.015, rel=0.4)


def test_a_fit_to_a_fleet_without_memory_finds_little() -> None:
    log = fault_log(fleet_log(6))
    shape = fit_history(log)
    flat = HistoryShape(shape.memory_s, (0.0, 0.0), shape.shared_memory_s, (0.0, 0.0), 0.01 / DAY_S)
    better = log_likelihood(log, shape, BELIEVED)[0] - log_likelihood(log, flat, BELIEVED)[0]
    assert sum(shape.recurrence) < 0.15
    assert better < 6.0  # nats that six free parameters win by chance


def test_a_fit_up_to_a_time_knows_nothing_of_what_came_later() -> None:
    trace = fleet_log(7, nodes=60, relapse=0.3)
    cut = 60 * DAY_S
    kept = trace.start <= cut
    before = FaultLog(trace.nodes, trace.node[kept], trace.start[kept], np.minimum(trace.end[kept], 300 * DAY_S))
    before.finish = trace.end.max()
    assert fit_history(fault_log(trace), cut) == fit_history(before, cut)


def test_a_fit_is_the_same_each_time() -> None:
    log = fault_log(fleet_log(8, nodes=40, relapse=0.3, days=60))
    assert fit_history(log) == fit_history(log)


@pytest.mark.parametrize("faults", [[(0, 1.0, 5.0)], [(0, 1.0, 1.0), (1, 1.0, 1.0)], [(0, 1.0, 2.0), (1, 3.0, 4.0)]])
def test_too_little_shows_no_shape(faults: list[tuple[int, float, float]]) -> None:
    with pytest.raises(ValueError, match="show no shape"):
        fit_history(log_of(*faults))


def numbers(shape: HistoryShape) -> list[float]:
    return np.concatenate([np.ravel(value) for value in astuple(shape)]).tolist()


def test_the_shipped_shape_is_the_fit_to_the_log_that_it_names() -> None:
    trace = read_trace(REAL, 400)
    shipped = load_history()
    assert shipped.provenance["trace"] == digest(trace)
    fitted = fit_history(fault_log(trace))
    assert numbers(shipped.shape) == pytest.approx(numbers(fitted), rel=1e-4)
    assert "--fit" in shipped.provenance["regenerate"]


def test_the_shipped_shape_says_that_a_repair_is_often_none() -> None:
    shape = load_history().shape
    assert 0.2 < sum(shape.recurrence) < 0.8
    assert json.dumps(astuple(shape))
