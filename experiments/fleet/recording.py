"""A fleet as a recording to train on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from experiments.fleet.delivery import too_late
from experiments.fleet.fleet import Fleet
from experiments.fleet.latents import Floats
from experiments.fleet.metrics import METRICS, NAMES
from experiments.fleet.spec import FleetSpec

_BLOCK_STEPS = 256


class FleetRecording:
    """What a fleet shows, and which of its nodes failed when: a ``Recording`` of the training.

    ``shard`` is that of :class:`~experiments.fleet.fleet.Fleet`: rows are counted within it.
    """

    metrics = NAMES
    counters = tuple(metric.is_counter for metric in METRICS)

    def __init__(self, spec: FleetSpec, shard: tuple[int, int] = (0, 1)) -> None:
        self.interval_s = spec.interval_s
        self._fleet = Fleet(spec, shard)
        self._row = {name: row for row, name in enumerate(self._fleet.names)}
        begin = spec.names.index(self._fleet.names[0]) if self._fleet.names else 0
        self._columns = slice(begin, begin + len(self._fleet.names))

    def blocks(self, steps: int) -> Iterator[Floats]:
        """The next ``steps`` samples in blocks ``(steps, nodes, metrics)``; what came too late for a window is NaN."""
        while steps > 0:
            first = self._fleet.step
            block = self._fleet.block(min(steps, _BLOCK_STEPS))
            block[too_late(self._fleet.spec, first, len(block))[:, self._columns]] = np.nan
            yield block
            steps -= len(block)

    def failures(self) -> list[tuple[int, int]]:
        """(row, step) of every failure whose time has come."""
        faults = self._fleet.faults
        return [(self._row[fault.node], fault.failure) for fault in faults if fault.failure < self._fleet.step]

    def onsets(self) -> dict[tuple[int, int], int]:
        """(row, step) of every failure whose time has come → the step of its first sign."""
        return {(self._row[f.node], f.failure): f.onset for f in self._fleet.faults if f.failure < self._fleet.step}
