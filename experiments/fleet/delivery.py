"""How samples reach the log: stamped by clocks that are off, and some of them late, behind newer ones of their node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.fleet.latents import Flags, Floats
from experiments.fleet.spec import FleetSpec
from models.limits import INTERVALS_LATE_MAX

#: A late sample is late by so many intervals on average (geometric), and at most by so many.
LATE_MEAN: Final = 2.0
LATE_MAX: Final = 8
#: Share of the late samples that come within the pipeline's grace; they still enter the window.
IN_TIME: Final = 1 - (1 - 1 / LATE_MEAN) ** INTERVALS_LATE_MAX
#: Standard deviation of how fast the clocks go: ten seconds in a million.
_CLOCK_RATE: Final = 1e-5
_SKEWED, _LATE = 3, 4


@dataclass(frozen=True, slots=True)
class Arrival:
    """One node's sample when it arrives, of the step ``step`` and stamped ``ts_s`` seconds after the first step."""

    row: int
    step: int
    ts_s: float
    values: Floats


class Delivery:
    """Takes the samples of each step in order and gives what arrives by then.

    It draws nothing from the fleet's random streams: no sample depends on how it is delivered, and the fleet may be
    made anew in between.
    """

    def __init__(self, spec: FleetSpec) -> None:
        self._spec = spec
        clocks = np.random.default_rng([spec.seed, _SKEWED]).standard_normal((2, spec.nodes))
        self._skew, self._rate = spec.skew_s * clocks[0], (_CLOCK_RATE if spec.skew_s else 0.0) * clocks[1]
        self._underway: dict[int, list[Arrival]] = {}

    def due(self, step: int, rows: Floats) -> list[Arrival]:
        """What arrives at ``step``: its samples ``(nodes, metrics)`` but for late and lost ones, then older ones."""
        late = delays(self._spec, step)
        clock = step * self._spec.interval_s
        stamps = clock + self._skew + self._rate * clock
        here = []
        for row in np.flatnonzero(~np.isnan(rows).all(axis=1)).tolist():
            arrival = Arrival(row, step, float(stamps[row]), rows[row])
            if late[row]:
                self._underway.setdefault(step + int(late[row]), []).append(arrival)
            else:
                here.append(arrival)
        return here + self._underway.pop(step, [])


def delays(spec: FleetSpec, step: int) -> npt.NDArray[np.intp]:
    """By how many intervals the sample of each node at ``step`` comes late, ``(nodes,)``; mostly 0."""
    late = np.zeros(spec.nodes, np.intp)
    if spec.late_share:
        rng = np.random.default_rng([spec.seed, _LATE, step])
        rows = np.flatnonzero(rng.random(spec.nodes) < spec.late_share)
        late[rows] = np.minimum(rng.geometric(1 / LATE_MEAN, len(rows)), LATE_MAX)
    return late


def too_late(spec: FleetSpec, first: int, steps: int) -> Flags:
    """Which samples come too late for any window, ``(steps, nodes)``."""
    if not spec.late_share:
        return np.zeros((steps, spec.nodes), np.bool_)
    return np.stack([delays(spec, step) for step in range(first, first + steps)]) > INTERVALS_LATE_MAX
