"""C and W of a checkpoint of any size: a fixed part and a part for each byte, by mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Line(NamedTuple):
    """Seconds of a checkpoint of ``size`` bytes: ``fixed_s + size / bytes_per_s``."""

    fixed_s: float
    s_per_byte: float

    def __call__(self, size: float) -> float:
        """Return the seconds of one of this size.

        >>> Line(0.5, 1e-9)(2e9)
        2.5
        """
        return self.fixed_s + self.s_per_byte * size


class Cost(NamedTuple):
    """C, how long the job is stopped, and W, how long it then takes until the checkpoint is safe."""

    blocking: Line
    until_safe: Line


def fitted(sizes: Sequence[float], seconds: Sequence[float]) -> Line:
    """Return the line with both parts ≥ 0 that fits best in relative terms, for sizes that span orders of magnitude.

    >>> line = fitted([1e7, 1e8, 1e9], [0.11, 0.2, 1.1])
    >>> round(line.fixed_s, 6), round(line.s_per_byte * 1e9, 6)
    (0.1, 1.0)
    """
    x, y = np.asarray(sizes, float), np.asarray(seconds, float)
    weight = 1.0 / np.maximum(y, 1e-6)
    if len(set(sizes)) > 1:
        columns = np.stack([weight, weight * x], axis=1)
        fixed, slope = np.linalg.lstsq(columns, weight * y, rcond=None)[0]
        if fixed >= 0.0 and slope >= 0.0:
            return Line(float(fixed), float(slope))
        if slope < 0.0:
            return Line(float((weight * y * weight).sum() / (weight * weight).sum()), 0.0)
    slope = (weight * x * weight * y).sum() / (weight * x * weight * x).sum()
    return Line(0.0, float(slope))


def costs(rows: Iterable[Mapping[str, Any]]) -> dict[str, Cost]:
    """Return the cost by mode, from the rows of ``experiments/checkpoint_cost/sample.py``."""
    by_mode: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_mode.setdefault(row["mode"], []).append(row)
    return {
        mode: Cost(
            fitted([row["bytes"] for row in found], [row["blocking_s"] for row in found]),
            fitted([row["bytes"] for row in found], [max(0.0, row["durable_s"] - row["blocking_s"]) for row in found]),
        )
        for mode, found in by_mode.items()
    }
