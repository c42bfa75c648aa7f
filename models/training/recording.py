"""What a predictor is trained on: successive samples of many nodes, and when which of them failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

#: The four parts of a recording, in the order of their times.
PARTS: Final = ("train", "validation", "calibration", "test")


class Recording(Protocol):
    """Samples of nodes at one interval, told once from the first to the last."""

    metrics: tuple[str, ...]
    counters: tuple[bool, ...]
    interval_s: float

    def blocks(self, steps: int) -> Iterator[NDArray[np.float32]]:
        """The first ``steps`` samples in blocks ``(steps, nodes, metrics)``; NaN where a value did not arrive."""

    def failures(self) -> Sequence[tuple[int, int]]:
        """(row, step) of every failure in what was told so far; at ``step`` the node is already silent."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a split: ``nodes`` (rows of the recording) from ``first`` to before ``end``."""

    name: str
    nodes: NDArray[np.intp]
    first: int
    end: int


def split(node_counts: Sequence[int], step_counts: Sequence[int], gap: int) -> tuple[Part, ...]:
    """Parts that share no node and no time: rows one after the other, times with ``gap`` steps between.

    A label looks ahead and a window looks back; with a gap as long as both together no sample tells of another part.

    >>> [(p.name, p.nodes.tolist(), p.first, p.end) for p in split((2, 1, 1, 1), (9, 5, 5, 5), 3)][:2]
    [('train', [0, 1], 0, 9), ('validation', [2], 12, 17)]
    """
    parts, row, step = [], 0, 0
    for name, nodes, steps in zip(PARTS, node_counts, step_counts, strict=True):
        parts.append(Part(name, np.arange(row, row + nodes), step, step + steps))
        row, step = row + nodes, step + steps + gap
    return tuple(parts)


def require_apart(parts: Sequence[Part], gap: int) -> None:
    """See that no node is in two parts, and that ``gap`` steps lie between any two of them.

    Raises
    ------
    ValueError
        Naming the two parts and what they share.
    """
    ordered = sorted(parts, key=lambda part: part.first)
    for number, part in enumerate(ordered):
        for other in ordered[number + 1 :]:
            if shared := np.intersect1d(part.nodes, other.nodes).tolist():
                raise ValueError(f"{part.name} and {other.name} share the nodes {shared[:5]}")
            if other.first < part.end + gap:
                raise ValueError(
                    f"{part.name} ends at step {part.end} and {other.name} begins at {other.first}: "
                    f"{gap} steps must lie between"
                )
