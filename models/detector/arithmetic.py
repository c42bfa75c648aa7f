"""Arithmetic on rows whose result for a row never depends on the rows beside it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

ABS_DEVIATION_TO_SD = np.float32(1.2533)  # of a normal distribution

ONE = np.float32(1.0)


def pool(values: Floats, share: float) -> Floats:
    """Mean of the largest ``share`` of each row's values; ``(rows, metrics) → (rows,)``.

    >>> pool(np.float32([[1, 5, 3, 2]]), 0.5).tolist()
    [4.0]
    """
    count = max(1, math.ceil(share * values.shape[-1] - 1e-9))
    worst = np.partition(values, values.shape[-1] - count, axis=-1)[:, values.shape[-1] - count :]
    mean: Floats = np.sort(worst, axis=-1).sum(axis=-1) / np.float32(count)
    return mean


def weight(dt: Doubles, memory_s: float | Doubles, told: Floats | None = None) -> Floats:
    """Weight of a new value in an average of ``memory_s``; the plain mean's while less than that was told.

    ``dt (rows,)``; with ``told (rows, metrics)`` seconds the result has a column for each metric.

    >>> weight(np.array([60.0]), 600.0).tolist(), weight(np.array([60.0]), 600.0, np.float32([[120]])).tolist()
    ([[0.10000000149011612]], [[0.5]])
    """
    share = (dt / memory_s).astype(np.float32)[:, None]
    if told is not None:
        share = np.maximum(share, dt.astype(np.float32)[:, None] / np.maximum(told, np.float32(1e-9)))
    return np.minimum(share, np.float32(1.0))


def move_quantile(
    at: Floats, value: Floats, quantile: float, steps: Floats, share: Floats | np.float32 = ONE
) -> Floats:
    """A positive quantile followed by multiplication: up when ``value`` is above it, down a little when not.

    ``steps`` is over how many values it forgets, ``share`` how much of a step this value is worth. It rests where a
    share ``1 − quantile`` of the values lies above (Robbins and Monro, 1951).

    >>> at = np.float32([1.0])
    >>> for step in range(4000):
    ...     at = move_quantile(at, np.float32([step % 100]), 0.9, np.float32([400.0]))
    >>> bool(abs(at[0] - 90) < 10)
    True
    """
    rate = 1.0 / (steps * (1.0 - quantile))
    turn = np.where(value > at, rate * np.float32(quantile), rate * np.float32(quantile - 1.0))
    moved: Floats = (at * np.exp(share * np.clip(turn, -0.5, 0.5))).astype(np.float32)
    return moved
