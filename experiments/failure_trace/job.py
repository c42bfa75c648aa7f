"""A job on a fleet whose faults a log tells: when it writes checkpoints, which spares it takes, and what that costs.

The job holds a part of the fleet, the other nodes are its spares. A fault on one of its nodes loses what is in no
durable checkpoint, and stops it for detection, for the wait until enough nodes are up, and for the restart, at which
it is given nodes anew, as a batch scheduler does. A checkpoint blocks for C and is durable W later; none begins while
one is in flight. The faults are those of the log whoever uses
the node: a node that rests may fail less, which no log can tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.policy_lab.runs import BUCKETS
from models.checkpointing import bounded_rate
from models.checkpointing.hazard import hazard_rate_of_checkpoints
from models.history import HistoryShape, NodeHistory, Outlook, history_rate
from models.history_fit import FaultLog

Doubles = NDArray[np.float64]

OVERHEAD_CAP: Final = 0.05
#: λ is held for so much of an interval before it is asked again.
_PART: Final = 0.125


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """C, W, D and R in seconds."""

    cost_s: float
    durable_s: float
    detection_s: float
    restart_s: float


@dataclass(frozen=True, slots=True)
class Step:
    """One time of the log, and what is known after it.

    Parameters
    ----------
    failed, recovered : nodes; one in both failed and was back at once.
    histories : of those that recovered.
    """

    at: float
    failed: tuple[int, ...]
    recovered: tuple[int, ...]
    histories: tuple[NodeHistory, ...]
    outlook: Outlook


def steps(log: FaultLog, shape: HistoryShape) -> list[Step]:
    """Return the log with what a history hazard knows after each of its times; the same for every policy."""
    return [
        Step(
            moment.at,
            moment.failed,
            moment.recovered,
            tuple(past[n] for n in moment.recovered),
            moment.fleet.outlook(shape),
        )
        for moment, past in log.walk(shape)
    ]


@dataclass(frozen=True, slots=True)
class Nodes:
    """The nodes that are up as a placement sees them, each array ``(nodes,)``.

    Parameters
    ----------
    number : where the scheduler lists it.
    since : when it came back (s); −∞ before its first fault.
    added : what its own past adds to its rate (1/s).
    """

    number: NDArray[np.intp]
    since: Doubles
    added: Doubles


#: What orders the nodes, the first array before the next; the job gets the first nodes.
Placement = Callable[[float, Nodes], tuple[NDArray[Any], ...]]


def by_number(at: float, nodes: Nodes) -> tuple[NDArray[Any], ...]:
    """As a batch scheduler lists them: a node's past counts for nothing."""
    return (nodes.number,)


def longest_up(at: float, nodes: Nodes) -> tuple[NDArray[Any], ...]:
    """A queue: who came back last is taken last."""
    return (nodes.since, nodes.number)


def not_of_the_last_day(at: float, nodes: Nodes) -> tuple[NDArray[Any], ...]:
    """Keep work off nodes repaired in the last day, as long as there are others."""
    return (nodes.since > at - 86_400.0, nodes.number)


def least_hazard(at: float, nodes: Nodes) -> tuple[NDArray[Any], ...]:
    """Those first whose own past adds least to their rate: a node that came back waits as the last spare."""
    return (nodes.added, nodes.number)


class TracedJob:
    """One run of one job under one placement and one rule for its checkpoints.

    Parameters
    ----------
    nodes, used : size of the fleet, and of the job.
    interval_s : Young's T; None lets the history hazard set the rate.
    block_s : waste is also told by blocks of so long.
    """

    def __init__(
        self,
        nodes: int,
        used: int,
        begin: float,
        finish: float,
        prices: Prices,
        shape: HistoryShape,
        place: Placement,
        interval_s: float | None,
        random: np.random.Generator,
        block_s: float,
    ) -> None:
        self.prices, self.shape, self.place = prices, shape, place
        self.interval_s, self.begin, self.finish, self.block_s = interval_s, begin, finish, block_s
        self.needed, self.placed = used, False
        self.number = random.permutation(nodes)
        self.up, self.mine = np.ones(nodes, bool), np.zeros(nodes, bool)
        self.since, self.repairs = np.full(nodes, -math.inf), np.zeros((nodes, len(shape.memory_s)))
        self.at = begin
        self.outlook, self.known_at = Outlook(shape.base_rate, 0.0, (), 0.0, 1.0), begin
        self.counts = (0.0,) * len(shape.memory_s)
        self.seconds = dict.fromkeys(BUCKETS, 0.0)
        self.wasted = np.zeros(math.ceil((finish - begin) / block_s))
        self.interruptions, self.checkpoints, self.started = 0, 0, False
        self.unsaved_s, self.after_s, self.accrued = 0.0, 0.0, 0.0
        self.blocking_s, self.durable_at = 0.0, math.inf
        self.detecting_s, self.restarting_s = 0.0, 0.0

    def run(self, log: Sequence[Step]) -> TracedJob:
        """Live through the log up to ``finish``; what it tells of the time before ``begin`` is known by then."""
        for step in log:
            if step.at > self.finish:
                break
            if step.at > self.begin:
                self._start()
            self._until(step.at)
            self._happen(step)
        self._start()
        self._until(self.finish)
        self.seconds["productive"] += self.unsaved_s
        return self

    def _start(self) -> None:
        if not self.started:
            self.started = True
            self._know(self.outlook)
            self._allocate()

    def _until(self, at: float) -> None:
        while self.at < at:
            left = at - self.at
            if self.detecting_s > 0.0:
                self.detecting_s -= self._spend("detection", min(left, self.detecting_s))
            elif not self.placed:
                self._spend("waiting", left)
            elif self.restarting_s > 0.0:
                self.restarting_s -= self._spend("restart", min(left, self.restarting_s))
            elif self.blocking_s > 0.0:
                self._block(left)
            else:
                self._work(at)

    def _spend(self, bucket: str, seconds: float) -> float:
        self.seconds[bucket] += seconds
        if bucket == "waiting":
            self._waste_over(self.at, self.at + seconds)
        else:
            self._waste_at(self.at, seconds)
        self.at += seconds
        return seconds

    def _waste_at(self, at: float, seconds: float) -> None:
        self.wasted[min(int((at - self.begin) / self.block_s), len(self.wasted) - 1)] += seconds

    def _waste_over(self, since: float, until: float) -> None:
        edges = self.begin + self.block_s * np.arange(len(self.wasted) + 1)
        edges[-1] = math.inf
        self.wasted += np.clip(np.minimum(until, edges[1:]) - np.maximum(since, edges[:-1]), 0.0, None)

    def _block(self, left: float) -> None:
        self.blocking_s -= self._spend("checkpoint", min(left, self.blocking_s))
        if self.blocking_s <= 0.0:
            self.durable_at = self.at + self.prices.durable_s

    def _work(self, at: float) -> None:
        if self.at >= self.durable_at:
            self.seconds["productive"] += self.unsaved_s - self.after_s
            self.unsaved_s, self.durable_at = self.after_s, math.inf
        in_flight = self.durable_at < math.inf
        if self.accrued >= 1.0 - 1e-12 and not in_flight:
            self.blocking_s, self.after_s, self.accrued = self.prices.cost_s, 0.0, 0.0
            self.checkpoints += 1
            return
        rate = self._rate()
        due = self.durable_at - self.at if self.accrued >= 1.0 and in_flight else (1.0 - self.accrued) / rate
        part = due if self.interval_s else min(due, _PART / rate + 1.0)
        ahead = min(part, at - self.at, self.durable_at - self.at)
        self.accrued += rate * ahead
        self.unsaved_s += ahead
        self.after_s += ahead
        self.at += ahead

    def _rate(self) -> float:
        if self.interval_s:
            return 1.0 / self.interval_s
        ahead = self.at - self.known_at
        added = history_rate(self.counts, self.shape.recurrence, self.shape.memory_s, ahead)
        hazard = self.outlook.hazard(self.needed, added, ahead, self.shape)
        cost_s = self.prices.cost_s
        return bounded_rate(hazard_rate_of_checkpoints(hazard, cost_s), cost_s, OVERHEAD_CAP)

    def _happen(self, step: Step) -> None:
        failed, histories = np.array(step.failed, np.intp), dict(zip(step.recovered, step.histories, strict=True))
        at_once = set(step.failed).intersection(step.recovered)
        self._return([node for node in step.recovered if node not in at_once], histories, step.at)
        self.up[failed] = False
        if self.placed and self.mine[failed].any():
            self._interrupt()
        self._return(list(at_once), histories, step.at)
        self._know(step.outlook)
        if self.started and not self.placed:
            self._allocate()

    def _return(self, nodes: list[int], histories: Mapping[int, NodeHistory], at: float) -> None:
        for node in nodes:
            self.up[node], self.since[node], self.repairs[node] = True, at, histories[node].counts

    def _interrupt(self) -> None:
        self.interruptions += 1
        self.seconds["recomputed"] += self.unsaved_s
        self._waste_at(self.at, self.unsaved_s)
        self.unsaved_s, self.after_s, self.accrued = 0.0, 0.0, 0.0
        self.blocking_s, self.durable_at = 0.0, math.inf
        self.detecting_s, self.restarting_s = self.prices.detection_s, self.prices.restart_s
        self.placed = False

    def _allocate(self) -> None:
        """Take the nodes that the placement lists first, if enough are up; else the job waits."""
        rows = np.flatnonzero(self.up)
        if len(rows) < self.needed:
            return
        memory = np.array(self.shape.memory_s)
        counts = self.repairs[rows] * np.exp((self.since[rows, None] - self.at) / memory)
        nodes = Nodes(self.number[rows], self.since[rows], counts @ (np.array(self.shape.recurrence) / memory))
        first = np.lexsort(self.place(self.at, nodes)[::-1])[: self.needed]
        self.mine[:], self.placed = False, True
        self.mine[rows[first]] = True
        self.counts = tuple(counts[first].sum(axis=0).tolist())

    def _know(self, outlook: Outlook) -> None:
        faded = (math.exp(-(self.at - self.known_at) / tau) for tau in self.shape.memory_s)
        self.counts = tuple(count * fade for count, fade in zip(self.counts, faded, strict=True))
        self.outlook, self.known_at = outlook, self.at
