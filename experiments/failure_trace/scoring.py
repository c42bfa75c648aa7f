"""How well a history hazard foretells a log of faults, forward in time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.failure_trace.trace import Trace
from models.history import WEIGHED, Belief, FleetHistory, HistoryShape, NodeHistory
from models.history_fit import FaultLog

HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
#: The rule to beat counts a node as suspect for so long after its repair.
RULE_S: Final = DAY_S
TOP_SHARE: Final = 0.01
#: The rate alone, learned from the fleet's own faults.
ONLINE_CONSTANT: Final = (Belief(0.0, 0.0, 1.0),)
#: What is left when the fleet's recent faults are not told.
OWN_PAST: Final = tuple(Belief(b.own, 0.0, b.prior) for b in WEIGHED)

_LOG_RATES: Final = np.arange(-50.0, 1.0, 0.005)


def digest(trace: Trace) -> str:
    """Return what tells one trace from another, whatever its file's format and the size of the fleet."""
    content = np.stack([trace.node.astype(np.float64), trace.start, trace.end])
    return hashlib.sha256(content.astype("<f8").tobytes()).hexdigest()


def fault_log(trace: Trace) -> FaultLog:
    """Return a trace as the models walk through it."""
    return FaultLog(trace.nodes, trace.node, trace.start, trace.end)


def exposure_s(trace: Trace, since: float, until: float) -> float:
    """Return the node-seconds up between two times: repair is no exposure."""
    down = np.minimum(trace.end, until) - np.maximum(trace.start, since)
    return float(trace.nodes * (until - since) - np.clip(down, 0.0, None).sum())


def faults_between(trace: Trace, since: float, until: float) -> int:
    """Return how many faults begin after ``since`` and up to ``until``: what a log begins with is no evidence."""
    return int(((trace.start > since) & (trace.start <= until)).sum())


def evidence_at(
    trace: Trace, shape: HistoryShape, times: Sequence[float], beliefs: Sequence[Belief] = WEIGHED
) -> NDArray[np.float64]:
    """Return ln of the likelihood up to each of the rising ``times``, all at it included."""
    log = fault_log(trace)
    fleet = FleetHistory.begin(log.begin, log.nodes, shape, beliefs)
    seen, k = np.zeros(len(times)), 0
    for moment, _ in log.walk(shape, beliefs):
        while k < len(times) and times[k] < moment.at:
            seen[k] = fleet.until(times[k], shape, beliefs).evidence
            k += 1
        fleet = moment.fleet
    for i in range(k, len(times)):
        seen[i] = fleet.until(times[i], shape, beliefs).evidence
    return seen


@dataclass(frozen=True, slots=True)
class Gain:
    """Nats that a fault is foretold better than by a constant rate, over the blocks of a log.

    Parameters
    ----------
    faults : (blocks,).
    over_hindsight : (blocks,) nats over the log's own mean rate, which nobody knew beforehand.
    over_online : (blocks,) nats over a constant rate learned as the log goes on.
    """

    faults: NDArray[np.int64]
    over_hindsight: NDArray[np.float64]
    over_online: NDArray[np.float64]

    @property
    def per_fault(self) -> tuple[float, float]:
        """Nats a fault, over the mean in hindsight and over the online rate."""
        count = max(1, int(self.faults.sum()))
        return float(self.over_hindsight.sum()) / count, float(self.over_online.sum()) / count


def gain(trace: Trace, shape: HistoryShape, edges: NDArray[np.float64], beliefs: Sequence[Belief] = WEIGHED) -> Gain:
    """Score between each two of the rising ``edges`` (s), having seen all before; the constant is that of the whole."""
    spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    faults = np.array([faults_between(trace, since, until) for since, until in spans])
    exposure = np.array([exposure_s(trace, since, until) for since, until in spans])
    mean = faults.sum() / exposure.sum()
    hindsight = faults * math.log(mean) - mean * exposure if mean else -mean * exposure
    ours = np.diff(evidence_at(trace, shape, edges.tolist(), beliefs))
    online = np.diff(evidence_at(trace, shape, edges.tolist(), ONLINE_CONSTANT))
    return Gain(faults, ours - hindsight, ours - online)


class Ranking:
    """Up-time and faults by the rate foretold for the hour, at its start (or at the repair within it)."""

    def __init__(self) -> None:
        self.weight = np.zeros(len(_LOG_RATES) + 1)
        self.hits = np.zeros(len(_LOG_RATES) + 1)

    def add(self, rates: NDArray[np.float64], seconds: NDArray[np.float64]) -> None:
        """Count cells of ``rates`` (1/s), up for ``seconds``."""
        bins = np.digitize(np.log(rates), _LOG_RATES)
        self.weight += np.bincount(bins, seconds, len(self.weight))

    def hit(self, rates: NDArray[np.float64]) -> None:
        """Count faults in cells of ``rates``."""
        self.hits += np.bincount(np.digitize(np.log(rates), _LOG_RATES), minlength=len(self.hits))

    def lift(self, share: float) -> float:
        """Return how many times more faults than by chance fall into the highest ``share`` of node-hours."""
        weight, hits = self.weight[::-1], self.hits[::-1]
        wanted = share * weight.sum()
        above = np.cumsum(weight)
        at = int(np.searchsorted(above, wanted))
        within = 1.0 - (above[at] - wanted) / weight[at] if weight[at] else 1.0
        caught = hits[:at].sum() + within * hits[at]
        return float(caught / hits.sum() / share) if hits.sum() else 0.0


@dataclass(frozen=True, slots=True)
class Lift:
    """Of the highest ``TOP_SHARE`` of node-hours, and beside the rule "repaired in the last day".

    Parameters
    ----------
    rule, rule_share : lift of the node-hours within a day of a repair, and the share that these are of all.
    top_rule_share : lift of as many node-hours, the highest ones.
    """

    top: float
    rule: float
    rule_share: float
    top_rule_share: float


def lift(trace: Trace, shape: HistoryShape, since: float, until: float) -> Lift:
    """Rank node-hours between two times by the rate foretold at the start of each."""
    cells = _Cells(trace.nodes, shape, since)
    ticks = iter(np.arange(since, until, HOUR_S).tolist())
    tick = next(ticks)
    fleet = FleetHistory.begin(float(trace.start[0]), trace.nodes, shape)
    for moment, past in fault_log(trace).walk(shape):
        while tick < min(moment.at, until):
            cells.turn(tick, fleet.until(tick, shape))
            tick = next(ticks, math.inf)
        if moment.at > until:
            break
        fleet = moment.fleet
        cells.lose(moment.at, moment.failed)
        cells.gain(moment.at, moment.recovered, past, fleet)
    while tick < until:
        cells.turn(tick, fleet.until(tick, shape))
        tick = next(ticks, math.inf)
    cells.close(until)
    return cells.result()


class _Cells:
    """One open cell a node: since when it is up in this hour, and what was foretold then."""

    def __init__(self, nodes: int, shape: HistoryShape, since: float) -> None:
        self.shape, self.since, self.ranking = shape, since, Ranking()
        self.counts = np.zeros((nodes, len(shape.memory_s)))
        self.repaired = np.full(nodes, -math.inf)
        self.began, self.rate = np.full(nodes, math.nan), np.ones(nodes)
        self.up = np.ones(nodes, bool)
        self.fresh_s, self.up_s, self.fresh_hits = 0.0, 0.0, 0

    def close(self, at: float) -> None:
        open_ = self.up & ~np.isnan(self.began)
        seconds = at - self.began[open_]
        self.ranking.add(self.rate[open_], seconds)
        fresh = np.clip(np.minimum(at, self.repaired[open_] + RULE_S) - self.began[open_], 0.0, None)
        self.fresh_s, self.up_s = self.fresh_s + float(fresh.sum()), self.up_s + float(seconds.sum())
        self.began[open_] = at

    def turn(self, at: float, fleet: FleetHistory) -> None:
        self.close(at)
        age = np.where(np.isinf(self.repaired), 0.0, at - self.repaired)
        counts = self.counts * np.exp(-age[:, None] / np.array(self.shape.memory_s))
        self.rate = self._mean_rate(counts, fleet, HOUR_S)
        self.began[self.up] = at

    def lose(self, at: float, nodes: Sequence[int]) -> None:
        rows = np.array(nodes, np.intp)
        known = rows[~np.isnan(self.began[rows])]
        seconds = at - self.began[known]
        self.ranking.add(self.rate[known], seconds)
        self.up_s += float(seconds.sum())
        self.fresh_s += float(np.clip(np.minimum(at, self.repaired[known] + RULE_S) - self.began[known], 0, None).sum())
        self.ranking.hit(self.rate[known])
        self.fresh_hits += int((at - self.repaired[known] <= RULE_S).sum())
        self.up[rows] = False
        self.began[rows] = math.nan

    def gain(self, at: float, nodes: Sequence[int], past: dict[int, NodeHistory], fleet: FleetHistory) -> None:
        for one in nodes:
            self.counts[one], self.repaired[one], self.up[one] = past[one].counts, at, True
            self.began[one] = at if at >= self.since else math.nan
            self.rate[one] = self._mean_rate(self.counts[one], fleet, HOUR_S)

    def _mean_rate(self, counts: NDArray[np.float64], fleet: FleetHistory, ahead_s: float) -> NDArray[np.float64]:
        """λ averaged over the time ahead, nothing happening in it, ``(…, memories) → (…)``."""
        outlook = fleet.outlook(self.shape)
        own = np.array(self.shape.recurrence) * -np.expm1(-ahead_s / np.array(self.shape.memory_s))
        shared = np.array(self.shape.shared) * -np.expm1(-ahead_s / np.array(self.shape.shared_memory_s))
        expected = outlook.own * (counts @ own) + outlook.shared * (np.array(outlook.recent) @ shared)
        rate: NDArray[np.float64] = outlook.base + expected / ahead_s
        return rate

    def result(self) -> Lift:
        hits = self.ranking.hits.sum()
        share = self.fresh_s / self.up_s if self.up_s else 0.0
        rule = self.fresh_hits / hits / share if hits and share else 0.0
        top = self.ranking.lift(share) if share else 0.0
        return Lift(self.ranking.lift(TOP_SHARE), float(rule), share, top)
