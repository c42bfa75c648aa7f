"""From a recording to labelled feature rows, through the very operator that the pipeline runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.cohort import Cohort
from models.training.recording import Part, Recording, require_apart

Floats = NDArray[np.float32]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows of one part: ``features (n, features)``, ``failed (n,)`` within the horizon, and each row's node and step.

    ``failures`` are the (node, step) of the part's own failures, those that a predictor could have seen coming.
    """

    features: Floats
    failed: NDArray[np.bool_]
    node: Index
    step: Index
    failures: tuple[tuple[int, int], ...]


def examples(
    recording: Recording, parts: Sequence[Part], horizon: int, gap: int, every: dict[str, int]
) -> Iterator[tuple[str, Examples]]:
    """Watch each part's nodes in its own time and label what was seen, once a node is warm.

    Parameters
    ----------
    horizon : a row is positive when its node fails after it, at most so many steps later.
    gap : steps between parts; at least ``horizon``.
    every : of a part, take each so-manieth step of a node; 1 where it is not named.

    Yields
    ------
    A part's name and rows, in order of time.
    """
    if gap < horizon:
        raise ValueError(f"a gap of {gap} steps lets a label of one part, {horizon} steps ahead, look into the next")
    require_apart(parts, gap)
    blocks = _Steps(recording, max(part.end for part in parts) + horizon)
    for part in sorted(parts, key=lambda part: part.first):
        blocks.skip_to(part.first)
        rows = _watch(recording, part, blocks, every.get(part.name, 1))
        blocks.skip_to(part.end + horizon)
        yield part.name, _label(part, horizon, recording.failures(), *rows)


class _Steps:
    """The samples of a recording one by one."""

    def __init__(self, recording: Recording, steps: int) -> None:
        self._blocks = recording.blocks(steps)
        self._block: Floats = np.empty((0, 0, 0), np.float32)
        self._at, self.step = 0, 0

    def take(self) -> Floats:
        """The next sample, ``(nodes, metrics)``."""
        while self._at == len(self._block):
            self._block, self._at = next(self._blocks), 0
        self._at, self.step = self._at + 1, self.step + 1
        row: Floats = self._block[self._at - 1]
        return row

    def skip_to(self, step: int) -> None:
        """Pass over the samples before ``step``."""
        while self.step < step:
            self.take()


def _watch(recording: Recording, part: Part, steps: _Steps, every: int) -> tuple[Floats, Index, Index]:
    """Features, node and step of what the part's nodes show, silent ones left out as in the pipeline."""
    cohort = Cohort(recording.metrics, recording.counters)
    rows = cohort.add(len(part.nodes))
    features: list[Floats] = []
    nodes: list[Index] = []
    at: list[Index] = []
    for step in range(part.first, part.end):
        values = steps.take()[part.nodes].astype(np.float64)
        told = ~np.isnan(values).all(axis=1)
        seen = cohort.advance(rows[told], np.full(told.sum(), step * recording.interval_s), values[told])
        keep = seen.warm & ((step + rows[told]) % every == 0)
        features.append(seen.features[keep])
        nodes.append(part.nodes[told][keep])
        at.append(np.full(keep.sum(), step))
    return np.concatenate(features), np.concatenate(nodes), np.concatenate(at)


def _label(
    part: Part, horizon: int, failures: Sequence[tuple[int, int]], features: Floats, node: Index, step: Index
) -> Examples:
    """Mark the rows that a failure of their node follows within the horizon."""
    failed = np.zeros(len(node), np.bool_)
    order = np.lexsort((step, node))
    key = node[order].astype(np.int64) << 32 | step[order]
    for row, at in failures:
        low, high = np.searchsorted(key, [(row << 32) + at - horizon, (row << 32) + at])
        failed[order[low:high]] = True
    warm = {int(row): int(step[node == row].min()) for row in np.unique(node)}
    own = sorted((row, at) for row, at in failures if row in warm and warm[row] < at <= part.end)
    return Examples(features, failed, node, step, tuple(own))
