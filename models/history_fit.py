"""The shape of the history hazard, fitted to a log of faults by maximum likelihood, and such a log walked through."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.history import BELIEVED, WEIGHED, Belief, FleetHistory, HistoryShape, NodeHistory

#: Where the search begins, and between which bounds it stays: memories in s, then expected further faults.
_FIRST: Final = (2 * 3600.0, 5 * 86_400.0, 60.0, 86_400.0, 0.2, 0.2, 0.1, 0.1)
_LEAST: Final = (900.0, 12 * 3600.0, 20.0, 3600.0, 0.001, 0.001, 0.001, 0.001)
_MOST: Final = (12 * 3600.0, 60 * 86_400.0, 3600.0, 5 * 86_400.0, 0.6, 0.6, 0.6, 0.6)
#: A weak normal prior of ln n around ln .2 (sd √2): a short log must not make a memory certain.
_PRIOR: Final = (0.2, 0.25)
_STEP, _STEP_MIN = 0.5, 0.02


@dataclass(frozen=True, slots=True)
class Moment:
    """A time of a log at which something happened, or a tick.

    Parameters
    ----------
    failed, recovered : numbers of the nodes.
    histories : of those that failed, before it.
    before, fleet : the fleet before and after it.
    """

    at: float
    failed: tuple[int, ...]
    recovered: tuple[int, ...]
    histories: tuple[NodeHistory, ...]
    before: FleetHistory
    fleet: FleetHistory

    def rates(self, shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED) -> tuple[float, ...]:
        """Return λ (1/s) of the nodes that failed, just before."""
        outlook = self.before.until(self.at, shape, beliefs).outlook(shape, beliefs)
        return tuple(outlook.rate(history.rate(self.at, shape), 0.0, shape) for history in self.histories)


class FaultLog:
    """Faults of a fleet, ready to be walked through.

    Parameters
    ----------
    nodes : size of the fleet.
    node, start, end : (faults,) by start, those of one node apart from each other; seconds.
    """

    def __init__(
        self, nodes: int, node: NDArray[np.intp], start: NDArray[np.float64], end: NDArray[np.float64]
    ) -> None:
        self.nodes = nodes
        self.begin, self.finish = float(start.min()), float(end.max())
        happened: dict[float, tuple[list[int], list[int]]] = {}
        for one, first, last in zip(node.tolist(), start.tolist(), end.tolist(), strict=True):
            happened.setdefault(first, ([], []))[0].append(one)
            happened.setdefault(last, ([], []))[1].append(one)
        self.moments: Final = sorted((at, tuple(f), tuple(r)) for at, (f, r) in happened.items())

    def walk(
        self, shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED, until: float = math.inf
    ) -> Iterator[tuple[Moment, dict[int, NodeHistory]]]:
        """Yield each moment up to ``until`` and the histories after it (one dictionary, changed as it goes).

        Forward in time: what is foretold of a moment rests on earlier ones only. That a log begins with a fault tells
        nothing of the rate, so the first moment is remembered as past and not learned from.
        """
        fleet = FleetHistory.begin(self.begin, self.nodes, shape, beliefs)
        past: dict[int, NodeHistory] = {}
        for at, failed, recovered in self.moments:
            if at > until:
                return
            before = [one for one in recovered if one not in failed]
            fleet = _back(fleet, past, at, before, shape, beliefs)
            histories = tuple(past.get(one, NodeHistory()) for one in failed)
            earlier = fleet
            if failed:
                fleet = fleet.failed(at, histories, shape, beliefs)
                if at == self.begin:
                    fleet = replace(fleet, spontaneous=earlier.spontaneous, nats=earlier.nats)
                past.update((one, history.failed(at)) for one, history in zip(failed, histories, strict=True))
            fleet = _back(fleet, past, at, [one for one in recovered if one in failed], shape, beliefs)
            yield Moment(at, failed, recovered, histories, earlier, fleet), past


def _back(
    fleet: FleetHistory,
    past: dict[int, NodeHistory],
    at: float,
    nodes: Sequence[int],
    shape: HistoryShape,
    beliefs: Sequence[Belief],
) -> FleetHistory:
    for one in nodes:
        past[one] = past[one].recovered(at, shape)
        fleet = fleet.recovered(at, past[one], shape, beliefs)
    return fleet


def log_likelihood(
    log: FaultLog, shape: HistoryShape, beliefs: Sequence[Belief] = WEIGHED, until: float = math.inf
) -> tuple[float, FleetHistory]:
    """Return ln of the likelihood (rates in 1/s) of a log up to ``until``, and the fleet then."""
    fleet = FleetHistory.begin(log.begin, log.nodes, shape, beliefs)
    for moment, _ in log.walk(shape, beliefs, until):
        fleet = moment.fleet
    fleet = fleet.until(min(until, log.finish), shape, beliefs)
    return fleet.evidence, fleet


def fit_history(log: FaultLog, until: float = math.inf) -> HistoryShape:
    """Fit the shape to the part of a log before ``until`` by penalised maximum likelihood.

    Exposure counts the time in which a node is up. Of the two shared memories one is free down to 20 s: one failure
    that several nodes report within seconds would otherwise pass for a bad hour.

    Raises
    ------
    ValueError
        There are fewer than two faults after the first.
    """
    faults = sum(len(failed) for at, failed, _ in log.moments if log.begin < at <= until)
    days = (min(until, log.finish) - log.begin) / 86_400.0
    if faults < 2:
        raise ValueError(f"{faults} faults after the first, over {days:.1f} days, show no shape; at least 2 are needed")
    first = 0.3 * faults / (log.nodes * days * 86_400.0)

    def loss(point: tuple[float, ...]) -> float:
        centre, weight = math.log(_PRIOR[0]), _PRIOR[1]
        penalty = weight * sum((one - centre) ** 2 for one in point[4:])
        return penalty - log_likelihood(log, _shape(point, first), BELIEVED, until)[0]

    shape = _shape(_least(loss, tuple(map(math.log, _FIRST))), first)
    fleet = log_likelihood(log, shape, BELIEVED, until)[1]
    return replace(shape, base_rate=_rounded(fleet.spontaneous[0] / fleet.exposure_s))


def _shape(point: Sequence[float], base_rate: float) -> HistoryShape:
    values = tuple(_rounded(math.exp(one)) for one in point)
    within = min(1.0, 0.95 / sum(values[4:]))
    further = tuple(_rounded(one * within) for one in values[4:])
    return HistoryShape(values[:2], further[:2], values[2:4], further[2:], base_rate)


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")


def _least(loss: Callable[[tuple[float, ...]], float], point: tuple[float, ...]) -> tuple[float, ...]:
    """Pattern search (Hooke and Jeeves 1961) on logarithms: one coordinate at a time, steps halved when none helps."""
    best, step = loss(point), _STEP
    while step >= _STEP_MIN:
        before = best
        for i in range(len(point)):
            for way in (step, -step):
                low, high = math.log(_LEAST[i]), math.log(_MOST[i])
                tried = (*point[:i], min(max(point[i] + way, low), high), *point[i + 1 :])
                value = loss(tried)
                if value < best - 1e-6:
                    best, point = value, tried
                    break
        if best >= before - 1e-3:
            step /= 2.0
    return point
