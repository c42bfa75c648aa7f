"""Things that happen to nodes for a while. Each paints what it causes on the part of a chunk that it covers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from experiments.fleet.latents import Floats, Latents

Rows = npt.NDArray[np.intp]


class Episode(Protocol):
    """Something that lasts until the step ``end``."""

    @property
    def end(self) -> int:
        """The first step at which nothing of it is left."""

    def paint(self, latents: Latents, first: int) -> None:
        """Add its effects to a chunk that begins at the step ``first``."""


def covered(latents: Latents, first: int, start: int, end: int) -> slice:
    """The rows of a chunk, beginning at step ``first``, that lie in ``[start, end)``; may be empty."""
    steps = latents.load.shape[0]
    low = min(max(start - first, 0), steps)
    return slice(low, max(low, min(end - first, steps)))


def _age(part: slice, first: int, start: int) -> Floats:
    """Intervals since ``start`` at each step of ``part``, the first counted as 1."""
    return np.arange(first + part.start - start + 1, first + part.stop - start + 1, dtype=np.float32)


def _restart(latents: Latents, first: int, step: int, row: int | Rows) -> None:
    if first <= step < first + latents.load.shape[0]:
        latents.restarted[step - first, row] = True


@dataclass(frozen=True, slots=True)
class Failing:
    """A fault: signs grow as amplitude · (age / lead)^shape until ``failure``, then the node is down until ``back``.

    ``vanishing`` is the share of samples that the monitoring loses when the signs are full-grown; from the step
    ``dark`` on it hears nothing of the GPU any more (``dark`` = ``failure``: it does to the end).
    """

    row: int
    class_index: int
    onset: int
    failure: int
    back: int
    amplitude: float
    shape: float
    vanishing: float
    dark: int

    @property
    def end(self) -> int:
        """One past the step at which the node is back with fresh counters."""
        return self.back + 1

    def paint(self, latents: Latents, first: int) -> None:
        """Signs, then silence, then a restart."""
        part = covered(latents, first, self.onset, self.failure)
        if part.stop > part.start:
            grown = (_age(part, first, self.onset) / (self.failure - self.onset)) ** np.float32(self.shape)
            latents.severity[self.class_index, part, self.row] = self.amplitude * grown
            latents.gpu_loss[part, self.row] += self.vanishing * grown
            latents.loss[part, self.row] += 0.3 * self.vanishing * grown
        latents.gpu_loss[covered(latents, first, self.dark, self.failure), self.row] = 1.0
        down = covered(latents, first, self.failure, self.back)
        latents.loss[down, self.row] = 1.0
        latents.away[down, self.row] = True
        _restart(latents, first, self.back, self.row)


@dataclass(frozen=True, slots=True)
class Idle:
    """A job stands still on its nodes."""

    rows: Rows
    start: int
    end: int

    def paint(self, latents: Latents, first: int) -> None:
        """No load."""
        latents.load[covered(latents, first, self.start, self.end), self.rows] = 0.0


@dataclass(frozen=True, slots=True)
class HotRoom:
    """Cooling falters in a rack: up to ``degrees`` more in the middle, nothing at both ends."""

    rows: Rows
    start: int
    end: int
    degrees: float

    def paint(self, latents: Latents, first: int) -> None:
        """A half wave of warmth."""
        part = covered(latents, first, self.start, self.end)
        warmth = self.degrees * np.sin(np.pi * _age(part, first, self.start) / (self.end - self.start + 1))
        latents.ambient[part, self.rows] += warmth[:, None].astype(np.float32)


@dataclass(frozen=True, slots=True)
class Chatter:
    """A counter counts errors that mean nothing, ``rate`` an interval."""

    row: int
    start: int
    end: int
    chatterer: int
    rate: float

    def paint(self, latents: Latents, first: int) -> None:
        """A constant rate."""
        latents.chatter[self.chatterer, covered(latents, first, self.start, self.end), self.row] += self.rate


@dataclass(frozen=True, slots=True)
class Gap:
    """The GPU's exporter hangs and comes back; nothing is wrong with the GPU."""

    row: int
    start: int
    end: int

    def paint(self, latents: Latents, first: int) -> None:
        """Silence about the GPU."""
        latents.gpu_loss[covered(latents, first, self.start, self.end), self.row] = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """People work on a node: load ends at ``start``, silence is from ``dark`` to ``back``, then counters restart."""

    row: int
    start: int
    dark: int
    back: int

    @property
    def end(self) -> int:
        """One past the step at which the node is back with fresh counters."""
        return self.back + 1

    def paint(self, latents: Latents, first: int) -> None:
        """No load, then silence, then a restart."""
        away = covered(latents, first, self.start, self.back)
        latents.load[away, self.row] = 0.0
        latents.away[away, self.row] = True
        latents.loss[covered(latents, first, self.dark, self.back), self.row] = 1.0
        _restart(latents, first, self.back, self.row)
