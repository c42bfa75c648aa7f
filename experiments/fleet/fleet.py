"""A simulated fleet: successive samples of all its nodes, and the truth about what ails them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from experiments.fleet.latents import Floats, Latents
from experiments.fleet.metrics import METRICS, NAMES
from experiments.fleet.observation import Observer
from experiments.fleet.schedule import Schedule
from experiments.fleet.spec import Benign, Fault, FleetSpec
from models.records import Frame

#: Steps made at a time; a caller never sees this size.
CHUNK_STEPS: Final = 64
#: Nodes made at a time, from a random stream of their own: their samples fit a core's cache.
BLOCK_NODES: Final = 64


@dataclass(frozen=True, slots=True)
class Told:
    """A chunk of samples ``(steps, nodes, metrics)`` of a block of nodes from the step ``first``, with the whole truth.

    ``row`` is the block's first node; ``latents`` what went on; ``observer`` what carries the chunk's drift and warmth.
    """

    first: int
    row: int
    values: Floats
    latents: Latents
    observer: Observer


class Fleet:
    """Samples of a fleet, step by step or in blocks: the bytes are the same however they are asked for.

    Parameters
    ----------
    spec
        What the fleet is; the same spec gives the same samples.
    shard
        ``(k, n)``: only the k-th of n parts of the nodes, so that n processes make a fleet together. The samples are
        those of the whole fleet.

    Examples
    --------
    >>> fleet = Fleet(FleetSpec(nodes=2, seed=7))
    >>> fleet.block(3).shape, fleet.step
    ((3, 2, 32), 3)
    """

    def __init__(self, spec: FleetSpec, shard: tuple[int, int] = (0, 1)) -> None:
        happening, *sampling = np.random.SeedSequence(spec.seed).spawn(1 + -(-spec.nodes // BLOCK_NODES))
        self.spec = spec
        #: The number of steps given out so far, which is the index of the next.
        self.step = 0
        self._schedule = Schedule(spec, np.random.default_rng(happening))
        part = np.array_split(np.arange(len(sampling)), shard[1])[shard[0]]
        bounds = [(block, block * BLOCK_NODES, min(spec.nodes, (block + 1) * BLOCK_NODES)) for block in part.tolist()]
        self._blocks = [
            (slice(low, high), Observer(spec, low, high - low, np.random.Generator(np.random.SFC64(sampling[block]))))
            for block, low, high in bounds
        ]
        self._row = bounds[0][1] if bounds else 0
        self.names = spec.names[self._row : bounds[-1][2]] if bounds else ()
        self._known = frozenset(self.names)
        self._ahead: Floats = np.empty((0, len(self.names), len(METRICS)), np.float32)
        self._made = 0

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults whose onset lies in what was given out so far, and the scripted ones, by time of onset."""
        known = (fault for fault in self._schedule.faults if fault.onset < self.step or self._scripted(fault))
        return tuple(sorted((f for f in known if f.node in self._known), key=lambda fault: (fault.onset, fault.node)))

    @property
    def look_alikes(self) -> tuple[Benign, ...]:
        """What began so far, looks like a fault and is none; checkpoints, which come all the time, are left out."""
        known = (one for one in self._schedule.benign if one.start < self.step and one.node in self._known)
        return tuple(sorted(known, key=lambda benign: (benign.start, benign.node, benign.kind)))

    def block(self, steps: int) -> Floats:
        """The next ``steps`` samples, ``(steps, nodes, metrics)`` float32; NaN where a value did not arrive."""
        values = np.empty((steps, len(self.names), len(METRICS)), np.float32)
        done = 0
        while done < steps:
            if not len(self._ahead) and steps - done >= CHUNK_STEPS:
                self._make(values[done : done + CHUNK_STEPS])
                done += CHUNK_STEPS
                continue
            if not len(self._ahead):
                self._ahead = np.empty((CHUNK_STEPS, *values.shape[1:]), np.float32)
                self._make(self._ahead)
            taken = min(len(self._ahead), steps - done)
            values[done : done + taken] = self._ahead[:taken]
            self._ahead = self._ahead[taken:]
            done += taken
        self.step += steps
        return values

    def told(self, of: slice) -> Iterator[Told]:
        """The next :data:`CHUNK_STEPS` steps with the truth, one by one of the blocks of nodes that hold any of ``of``.

        It has to be read to its end each time, and always for the same nodes.

        Raises
        ------
        ValueError
            When steps were given out that end within a chunk.
        """
        if len(self._ahead):
            raise ValueError(f"the truth is told in chunks of {CHUNK_STEPS} steps, and step {self.step} is within one")
        latents, first = self._schedule.chunk(self._made, CHUNK_STEPS), self._made
        self._made += CHUNK_STEPS
        self.step += CHUNK_STEPS
        for rows, observer in self._blocks:
            if rows.stop <= of.start or of.stop <= rows.start:
                continue
            values = np.empty((CHUNK_STEPS, rows.stop - rows.start, len(METRICS)), np.float32)
            here = latents.of(rows)
            observer.chunk(here, values)
            yield Told(first, rows.start, values, here, observer)

    def __iter__(self) -> Iterator[Floats]:
        return self

    def __next__(self) -> Floats:
        """The next sample of all nodes, ``(nodes, metrics)``; a fleet never ends."""
        row: Floats = self.block(1)[0]
        return row

    def _scripted(self, fault: Fault) -> bool:
        return any((fault.node, fault.onset) == (script.node, script.at_step) for script in self.spec.scripted)

    def _make(self, out: Floats) -> None:
        latents = self._schedule.chunk(self._made, CHUNK_STEPS)
        for rows, observer in self._blocks:
            observer.chunk(latents.of(rows), out[:, rows.start - self._row : rows.stop - self._row])
        self._made += CHUNK_STEPS


def frame(node: str, ts: float, seq: int, row: Floats) -> Frame | None:
    """The frame of one node's ``(metrics,)`` row without the values that did not arrive; None when none did."""
    arrived = {name: float(value) for name, value in zip(NAMES, row, strict=True) if value == value}
    return Frame(node, ts, seq, arrived) if arrived else None
