"""A simulated fleet: successive samples of all its nodes, and the truth about what ails them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from experiments.fleet.latents import Floats
from experiments.fleet.metrics import METRICS, NAMES
from experiments.fleet.observation import Observer
from experiments.fleet.schedule import Schedule
from experiments.fleet.spec import Benign, Fault, FleetSpec
from models.records import Frame

#: Steps made at a time; a caller never sees this size.
_CHUNK = 64


class Fleet:
    """Samples of a fleet, step by step or in blocks: the bytes are the same however they are asked for.

    Parameters
    ----------
    spec
        What the fleet is; the same spec gives the same samples.

    Examples
    --------
    >>> fleet = Fleet(FleetSpec(nodes=2, seed=7))
    >>> fleet.block(3).shape, fleet.step
    ((3, 2, 32), 3)
    """

    def __init__(self, spec: FleetSpec) -> None:
        happening, sampling = np.random.SeedSequence(spec.seed).spawn(2)
        self.spec = spec
        self.names = spec.names
        #: The number of steps given out so far, which is the index of the next.
        self.step = 0
        self._schedule = Schedule(spec, np.random.default_rng(happening))
        self._observer = Observer(spec, np.random.Generator(np.random.SFC64(sampling)))
        self._ahead: Floats = np.empty((0, spec.nodes, len(METRICS)), np.float32)
        self._made = 0

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults whose onset lies in what was given out so far, and the scripted one, by time of onset."""
        known = (fault for fault in self._schedule.faults if fault.onset < self.step or self._scripted(fault))
        return tuple(sorted(known, key=lambda fault: (fault.onset, fault.node)))

    @property
    def look_alikes(self) -> tuple[Benign, ...]:
        """What began so far, looks like a fault and is none; checkpoints, which come all the time, are left out."""
        known = (benign for benign in self._schedule.benign if benign.start < self.step)
        return tuple(sorted(known, key=lambda benign: (benign.start, benign.node, benign.kind)))

    def block(self, steps: int) -> Floats:
        """The next ``steps`` samples, ``(steps, nodes, metrics)`` float32; NaN where a value did not arrive."""
        parts = []
        while steps > 0:
            if not len(self._ahead):
                self._make()
            parts.append(self._ahead[:steps])
            self._ahead = self._ahead[len(parts[-1]) :]
            self.step += len(parts[-1])
            steps -= len(parts[-1])
        return np.concatenate(parts) if parts else self._ahead[:0]

    def __iter__(self) -> Iterator[Floats]:
        return self

    def __next__(self) -> Floats:
        """The next sample of all nodes, ``(nodes, metrics)``; a fleet never ends."""
        row: Floats = self.block(1)[0]
        return row

    def _scripted(self, fault: Fault) -> bool:
        script = self.spec.scripted
        return script is not None and (fault.node, fault.onset) == (script.node, script.at_step)

    def _make(self) -> None:
        self._ahead = self._observer.chunk(self._schedule.chunk(self._made, _CHUNK))
        self._made += _CHUNK


def frame(node: str, ts: float, seq: int, row: Floats) -> Frame | None:
    """The frame of one node's ``(metrics,)`` row without the values that did not arrive; None when none did."""
    arrived = {name: float(value) for name, value in zip(NAMES, row, strict=True) if value == value}
    return Frame(node, ts, seq, arrived) if arrived else None
