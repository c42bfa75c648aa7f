"""Parts of a recorded history: by node and by time, each with failures enough to learn from or to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from models.limits import RANGE_FRAMES
from models.training.recording import PARTS, Part

#: Share of the nodes, and share of the time, of each part.
NODE_SHARES: Final = (0.4, 0.15, 0.2, 0.25)
TIME_SHARES: Final = (0.3, 0.2, 0.22, 0.28)
#: A part is at least so long that a node is warm for half of it: each begins with nodes of which nothing is known.
PART_STEPS_MIN: Final = 2 * RANGE_FRAMES
#: Failures that each part must hold: to learn from, to stop by, to calibrate by, to judge by.
FAILURES_MIN: Final = (5, 1, 2, 1)


class TooLittle(ValueError):
    """A history that is too short or holds too few failures; says how much is needed."""


def history_split(failed: Sequence[int], nodes: int, steps: int, gap: int) -> tuple[Part, ...]:
    """Parts of a history of ``nodes`` rows and ``steps`` steps, with ``gap`` steps between.

    Parameters
    ----------
    failed : rows of the nodes that have failed at all; they and the others are each cut by :data:`NODE_SHARES`.

    Raises
    ------
    TooLittle
        There are too few nodes or steps.
    """
    if nodes < 2 * len(PARTS):
        raise TooLittle(f"the history has {nodes} nodes; {2 * len(PARTS)} are needed, for parts that share none")
    usable = steps - (len(PARTS) - 1) * gap
    needed = round(PART_STEPS_MIN / min(TIME_SHARES)) + (len(PARTS) - 1) * gap
    if steps < needed:
        raise TooLittle(f"the history has {steps:,} sampling intervals; {needed:,} are needed for four parts and gaps")
    well = sorted(set(range(nodes)) - set(failed))
    cuts = np.cumsum(NODE_SHARES).tolist()
    rows = [_cut(sorted(set(failed)), cuts), _cut(well, cuts)]
    parts, first = [], 0
    for number, name in enumerate(PARTS):
        length = int(usable * TIME_SHARES[number])
        own = np.array(sorted(rows[0][number] + rows[1][number]), np.intp)
        parts.append(Part(name, own, first, first + length))
        first += length + gap
    return tuple(parts)


def _cut(rows: Sequence[int], cuts: Sequence[float]) -> list[list[int]]:
    bounds = [0, *(round(len(rows) * cut) for cut in cuts)]
    return [list(rows[low:high]) for low, high in pairwise(bounds)]


def require_failures(parts: Sequence[Part], failures: Sequence[tuple[int, int]]) -> None:
    """See that each part holds failures enough, once its nodes are warm; raises :class:`TooLittle`."""
    held = {part.name: 0 for part in parts}
    for part in parts:
        own = set(part.nodes.tolist())
        held[part.name] = sum(row in own and part.first + RANGE_FRAMES < at <= part.end for row, at in failures)
    lacking = [
        f"{name} holds {held[name]} and needs {least}"
        for name, least in zip(PARTS, FAILURES_MIN, strict=True)
        if held[name] < least
    ]
    if lacking:
        rule = max(least / (n * t) for least, n, t in zip(FAILURES_MIN, NODE_SHARES, TIME_SHARES, strict=True))
        raise TooLittle(
            f"of {len(failures)} failures too few lie in the parts, which share neither nodes nor times "
            f"({'; '.join(lacking)}); as a rule {round(rule)} to {round(3 * rule)} are needed in all: "
            "gather a longer history"
        )
