"""Statistics of windows, batched: each row's numbers depend on that row alone, to the last bit.

Only element-wise operations and reductions along a row's own contiguous axis are used; a matrix product would not do,
since its order of summation follows the shape of the whole batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.limits import Z_MAX

Floats = NDArray[np.float32]

#: Frames of the means that end with the newest one.
SPANS: Final = (3, 6, 12, 30)
#: Frames in which a step or a silence is recent.
RECENT_FRAMES: Final = 6
#: Of the cumulative sums (Page 1954): frames looked back, what a frame has to exceed, and at most counts for.
CUSUM_FRAMES: Final = 24
CUSUM_ALLOWANCE: Final = np.float32(1.0)
CUSUM_FRAME_MAX: Final = np.float32(8.0)


@dataclass(frozen=True, slots=True)
class WindowStatistics:
    """Per row and metric, in robust z; NaN where nothing was seen.

    ``means (spans, rows, metrics)`` are over the last :data:`SPANS` frames; the others are ``(rows, metrics)``.
    """

    means: Floats
    spread: Floats
    step: Floats
    climb: Floats
    fall: Floats
    missing: Floats
    missing_recent: Floats


def window_statistics(window: Floats, centre: Floats, scale: Floats) -> WindowStatistics:
    """Summarise windows against each metric's baseline.

    ``spread`` is the standard deviation, ``step`` the largest change between neighbours of the last frames. ``climb``
    and ``fall`` are Page's cumulative sums: how far the last frames together lie above (below) the baseline, from the
    moment on at which that is largest. ``missing`` is the fraction of frames without a value.

    Parameters
    ----------
    window : ``(rows, metrics, frames) float32``, oldest first, NaN where a value is missing.
    centre, scale : ``(rows, metrics) float32``, the baseline.

    Examples
    --------
    >>> window = np.zeros((1, 1, 60), np.float32)
    >>> window[..., -5:] = 3.0
    >>> found = window_statistics(window, np.float32([[0]]), np.float32([[1]]))
    >>> found.means[:, 0, 0].tolist(), found.climb.tolist(), found.fall.tolist()
    ([3.0, 2.5, 1.25, 0.5], [[10.0]], [[0.0]])
    """
    z = (window - centre[..., None]) / scale[..., None]
    np.clip(z, -Z_MAX, Z_MAX, out=z)
    whole = ~np.isnan(z).any(axis=(1, 2))
    if whole.all():
        return _of_whole(z)
    if not whole.any():
        return _of_holed(z)
    return _joined(whole, _of_whole(z[whole]), _of_holed(z[~whole]))


def _joined(whole: NDArray[np.bool_], first: WindowStatistics, second: WindowStatistics) -> WindowStatistics:
    joined = {}
    for name in WindowStatistics.__slots__:
        a, b = getattr(first, name), getattr(second, name)
        array = np.empty((*a.shape[:-2], len(whole), a.shape[-1]), np.float32)
        array[..., whole, :], array[..., ~whole, :] = a, b
        joined[name] = array
    return WindowStatistics(**joined)


def _of_whole(z: Floats) -> WindowStatistics:
    """Rows in which nothing is missing: most of them, most of the time."""
    frames = np.float32(z.shape[-1])
    means = np.stack([z[..., -span:].sum(axis=-1) / np.float32(span) for span in SPANS])
    mean = z.sum(axis=-1) / frames
    spread = np.sqrt(np.maximum((z * z).sum(axis=-1) / frames - mean * mean, np.float32(0.0)))
    none = np.zeros_like(mean)
    return WindowStatistics(means, spread, _step(z), *_cusum(z), none, none)


def _of_holed(z: Floats) -> WindowStatistics:
    frames = z.shape[-1]
    seen = ~np.isnan(z)
    values = np.where(seen, z, np.float32(0.0))
    counts = {span: seen[..., -span:].sum(axis=-1, dtype=np.int32).astype(np.float32) for span in (*SPANS, frames)}
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.stack([values[..., -span:].sum(axis=-1) / counts[span] for span in SPANS])
        mean = values.sum(axis=-1) / counts[frames]
        spread = np.sqrt(np.maximum((values * values).sum(axis=-1) / counts[frames] - mean * mean, np.float32(0.0)))
    missing = np.float32(1.0) - counts[frames] / np.float32(frames)
    recent = seen[..., -RECENT_FRAMES:].sum(axis=-1, dtype=np.int32).astype(np.float32)
    missing_recent = np.float32(1.0) - recent / np.float32(RECENT_FRAMES)
    return WindowStatistics(means, spread, _step(z), *_cusum(values), missing, missing_recent)


def _step(z: Floats) -> Floats:
    last = z[..., -RECENT_FRAMES - 1]
    step = np.full(last.shape, np.float32(np.nan))
    for back in range(RECENT_FRAMES, 0, -1):
        now = z[..., -back]
        np.fmax(step, np.abs(now - last), out=step)
        last = now
    return step


def _cusum(values: Floats) -> tuple[Floats, Floats]:
    """Climb and fall; a missing value, given as 0, counts for neither. Frame by frame for all rows and metrics."""
    total, climb, fall = np.zeros((3, *values.shape[:-1]), np.float32)
    for back in range(1, min(CUSUM_FRAMES, values.shape[-1]) + 1):
        total += np.clip(values[..., -back], -CUSUM_FRAME_MAX, CUSUM_FRAME_MAX)
        allowed = CUSUM_ALLOWANCE * np.float32(back)
        np.maximum(climb, total - allowed, out=climb)
        np.maximum(fall, -total - allowed, out=fall)
    return climb, fall
