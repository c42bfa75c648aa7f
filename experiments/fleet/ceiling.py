"""The ceiling: P(a node fails within the horizon) to one who knows all but whether, how and since when it is failing.

``ceiling(spec, horizon, steps)`` makes the very samples of ``FleetRecording(spec)`` again and gives, chunk by chunk,
the posterior of every node at every step, from that node's samples up to then. No predictor that watches nodes one by
one can rank better on average.

>>> from experiments.fleet import prediction_fleet
>>> blocks = ceiling(prediction_fleet(nodes=3, seed=1), horizon=30, steps=100)
>>> [block.shape for block in blocks]
[(64, 3), (36, 3)]

**Told** are: every law and rate of the generator, each node's offsets and drift, its load, checkpoints, room and
services, and each class's signature and noise. **Hidden** are: whether a fault is developing, its class, onset, lead,
amplitude, growth, and what the monitoring will lose; whether a counter is merely noisy; whether an exporter merely
hangs. It is the forward algorithm over (class, course, age), see :mod:`experiments.fleet.hypotheses`, with the benign
explanations as chains of their own: they are independent of a fault, so a likelihood ratio against their prediction
is exact.

**Approximated** are: the continuous laws of κ and growth by :data:`COURSES` points, about whose course the severity
may stray by a fifth (standard deviation) from step to step; rounding as independent noise; values
cut off at 0 as if they were not; a counter that was noisy before its own fault begins, and a hung exporter in a
fault, as impossible (both are rare); a burst's other nodes are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from experiments.fleet.delivery import IN_TIME, too_late
from experiments.fleet.evidence import Evidence, Reader
from experiments.fleet.fleet import CHUNK_STEPS, Fleet, Told
from experiments.fleet.forward import CHATTER_SHAPE, LANES, Law, Seen, State, forward
from experiments.fleet.hypotheses import NOTHING, Course, Hypotheses, courses_of, lead_law
from experiments.fleet.latents import Floats
from experiments.fleet.schedule import BURST_NODES_MEAN
from experiments.fleet.spec import FAULT_SHARES, FleetSpec

#: Points of (κ, growth) in each of the three modes of what vanishes.
COURSES: Final = 24
#: Steps watched before the first that is given out; a fault that goes on longer is rare.
_WARM_STEPS: Final = 4 * CHUNK_STEPS


def ceiling(
    spec: FleetSpec,
    horizon: int,
    steps: int,
    *,
    first: int = 0,
    rows: slice | None = None,
    believing: FleetSpec | None = None,
) -> Iterator[Floats]:
    """P(fails within ``horizon`` intervals | the node's samples so far), chunk by chunk.

    Parameters
    ----------
    spec : the fleet
    horizon : in intervals, as in ``models.training.examples``: the failure comes after this step, at most so many later
    steps : the end: as many steps from the fleet's first
    first : the first step given out; it is watched from a while before
    rows : a range of nodes; all when not given
    believing : a fleet whose rates are taken for true instead of this one's own: what one from there would say

    Yields
    ------
    ``(steps, nodes)`` float32; NaN where the node is down or being worked on, or nothing arrived of its sample.
    """
    rows = slice(0, spec.nodes) if rows is None else rows
    believed = spec if believing is None else believing
    law = law_of(believed, horizon, courses_of(believed, COURSES))
    fleet = Fleet(spec)
    watchers: dict[int, Watcher] = {}
    while fleet.step < steps:
        at, parts = fleet.step, []
        for told in fleet.told(rows):
            if at + _WARM_STEPS < first:
                continue
            if told.row not in watchers:
                watchers[told.row] = Watcher(law, told.values.shape[1], spec.interval_s)
            nodes = slice(told.row, told.row + told.values.shape[1])
            told.values[too_late(spec, at, CHUNK_STEPS)[:, nodes]] = np.nan
            parts.append(watchers[told.row].watch(told))
        if fleet.step > first:
            begin = rows.start - min(watchers)
            chunk = np.concatenate(parts, axis=1)[:, begin : begin + rows.stop - rows.start]
            yield chunk[max(first - at, 0) : steps - at]


def law_of(spec: FleetSpec, horizon: int, courses: list[Course]) -> Law:
    """What the generator's spec says before any sample."""
    missing = spec.missing + spec.late_share * (1 - IN_TIME)
    hidden = Hypotheses.of(courses, missing, horizon)
    burst = spec.burst_share / (BURST_NODES_MEAN - (BURST_NODES_MEAN - 1) * spec.burst_share)
    rate = spec.fault_rate * (1 + (BURST_NODES_MEAN - 1) * burst)
    gradual = 1 - spec.sudden_share
    lead = lead_law(spec)
    ahead = spec.sudden_share * horizon + gradual * float(lead @ np.maximum(horizon - np.arange(len(lead)), 0))
    return Law(
        hidden.start,
        hidden.ages,
        hidden.share,
        hidden.severity,
        hidden.innovation,
        hidden.arrival,
        hidden.soon,
        onset=np.array([rate * gradual * share for share in FAULT_SHARES.values()], np.float32),
        ahead=np.float32(rate * ahead),
        look_alike=np.float32(spec.look_alike_rate),
        missing=np.float32(missing),
    )


class Watcher:
    """The posterior of one block of nodes, which are worked on in groups of :data:`LANES`."""

    def __init__(self, law: Law, nodes: int, interval_s: float) -> None:
        self._law, self._nodes = law, nodes
        self._reader = Reader(nodes, interval_s)
        groups, classes = -(-nodes // LANES), len(FAULT_SHARES)
        self._state = State(
            faults=np.zeros((groups, classes, len(law.soon), LANES), np.float32),
            reach=np.zeros((groups, classes, len(law.ages)), np.intp),
            healthy=np.ones((groups, LANES), np.float32),
            shrink=np.ones((groups, LANES), np.float32),
            chatter=np.zeros((groups, *CHATTER_SHAPE, LANES), np.float32),
            hung=np.zeros((groups, LANES), np.float32),
        )
        self._state.chatter[:, :, 0] = 1

    def watch(self, told: Told) -> Floats:
        """The posterior in the next chunk, ``(steps, nodes)``."""
        return self.conclude(self._reader.read(told))

    def conclude(self, seen: Evidence) -> Floats:
        """The posterior given the evidence of the next chunk, ``(steps, nodes)``."""
        probability = np.empty((len(self._state.healthy), len(seen.pattern), LANES), np.float32)
        evidence = (*seen.fresh, *seen.level, seen.events, seen.spans, seen.pattern, seen.away, seen.base)
        forward(self._state, Seen(*(self._grouped(array) for array in evidence)), self._law, probability)
        out = probability.transpose(1, 0, 2).reshape(len(seen.pattern), -1)[:, : self._nodes]
        return np.where(seen.away | (seen.pattern == NOTHING), np.float32(np.nan), out)

    def _grouped(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(…, nodes) as (groups, …, lanes), the last node repeated to fill up."""
        lanes = len(self._state.healthy) * LANES
        filled = array[..., np.minimum(np.arange(lanes), self._nodes - 1)].reshape(*array.shape[:-1], -1, LANES)
        return np.ascontiguousarray(np.moveaxis(filled, -2, 0))
