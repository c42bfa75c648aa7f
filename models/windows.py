"""Statistics of windows, batched: each row's numbers depend on that row alone, to the last bit.

Only element-wise operations and reductions along a row's own contiguous axis are used; a matrix product would not do,
since its order of summation follows the shape of the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class WindowStatistics:
    """Per row and metric ``(rows, metrics) float32``, in the node's own units; NaN where nothing was seen."""

    mean: Floats
    std: Floats
    trend: Floats
    step_max: Floats
    missing: Floats


def window_statistics(window: Floats) -> WindowStatistics:
    """Summarise windows of shape ``(rows, metrics, frames)``, oldest first, NaN where a value is missing.

    ``trend`` is the least-squares slope times the window's length: the change that the trend explains. ``step_max`` is
    the largest change between neighbouring frames. ``missing`` is the fraction of frames without a value.
    """
    frames = window.shape[-1]
    seen = ~np.isnan(window)
    values = np.where(seen, window, np.float32(0.0))
    clock = np.arange(frames, dtype=np.float32) - np.float32((frames - 1) / 2)
    count = seen.sum(axis=-1, dtype=np.int32).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = values.sum(axis=-1) / count
        centred = np.where(seen, values - mean[..., None], np.float32(0.0))
        std = np.sqrt((centred * centred).sum(axis=-1) / count)
        trend = _slope(centred, clock, seen, count) * np.float32(frames)
    steps = np.abs(window[..., 1:] - window[..., :-1])
    step_max = np.fmax.reduce(steps, axis=-1)
    return WindowStatistics(mean, std, trend, step_max, np.float32(1.0) - count / np.float32(frames))


def _slope(centred: Floats, clock: Floats, seen: NDArray[np.bool_], count: Floats) -> Floats:
    """Least-squares slope a frame over the frames seen; NaN with fewer than two."""
    at = np.where(seen, clock, np.float32(0.0))
    at = np.where(seen, at - (at.sum(axis=-1) / count)[..., None], np.float32(0.0))
    spread = (at * at).sum(axis=-1)
    slope: Floats = np.where(count >= 2, (centred * at).sum(axis=-1) / spread, np.float32(np.nan))
    return slope
