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
    """Summarise windows.

    ``trend`` is the least-squares slope times the window's length: the change that the trend explains. ``step_max`` is
    the largest change between neighbouring frames. ``missing`` is the fraction of frames without a value.

    Parameters
    ----------
    window : ``(rows, metrics, frames) float32``, oldest first, NaN where a value is missing.

    Examples
    --------
    >>> found = window_statistics(np.float32([[[1, 2, np.nan, 4]]]))
    >>> found.trend.tolist(), found.step_max.tolist(), found.missing.tolist()
    ([[4.0]], [[1.0]], [[0.25]])
    """
    whole = ~np.isnan(window).any(axis=(1, 2))
    if whole.all():
        return _of_whole(window)
    if not whole.any():
        return _of_holed(window)
    parts = ((whole, _of_whole(window[whole])), (~whole, _of_holed(window[~whole])))
    joined = {name: np.empty(window.shape[:2], np.float32) for name in WindowStatistics.__slots__}
    for rows, part in parts:
        for name, array in joined.items():
            array[rows] = getattr(part, name)
    return WindowStatistics(**joined)


def _clock(frames: int) -> Floats:
    return np.arange(frames, dtype=np.float32) - np.float32((frames - 1) / 2)


def _of_whole(window: Floats) -> WindowStatistics:
    """Rows in which nothing is missing: most of them, most of the time."""
    frames = np.float32(window.shape[-1])
    clock = _clock(window.shape[-1])
    mean = window.sum(axis=-1) / frames
    centred = window - mean[..., None]
    trend = (centred * clock).sum(axis=-1) / (clock * clock).sum() * frames
    std = np.sqrt((centred * centred).sum(axis=-1) / frames)
    step_max = np.abs(window[..., 1:] - window[..., :-1]).max(axis=-1)
    return WindowStatistics(mean, std, trend, step_max, np.zeros_like(mean))


def _of_holed(window: Floats) -> WindowStatistics:
    frames = window.shape[-1]
    seen = ~np.isnan(window)
    values = np.where(seen, window, np.float32(0.0))
    count = seen.sum(axis=-1, dtype=np.int32).astype(np.float32)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = values.sum(axis=-1) / count
        centred = np.where(seen, values - mean[..., None], np.float32(0.0))
        std = np.sqrt((centred * centred).sum(axis=-1) / count)
        trend = _slope(centred, seen, count) * np.float32(frames)
    step_max = np.fmax.reduce(np.abs(window[..., 1:] - window[..., :-1]), axis=-1)
    return WindowStatistics(mean, std, trend, step_max, np.float32(1.0) - count / np.float32(frames))


def _slope(centred: Floats, seen: NDArray[np.bool_], count: Floats) -> Floats:
    """Least-squares slope a frame over the frames seen; NaN with fewer than two."""
    at = np.where(seen, _clock(seen.shape[-1]), np.float32(0.0))
    at = np.where(seen, at - (at.sum(axis=-1) / count)[..., None], np.float32(0.0))
    slope: Floats = np.where(count >= 2, (centred * at).sum(axis=-1) / (at * at).sum(axis=-1), np.float32(np.nan))
    return slope
