"""Surprise of a metric's transitions between ten states, in one byte a count (seed, Eq. 3)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detector.arithmetic import ABS_DEVIATION_TO_SD, Doubles, Flags, Floats, weight
from models.detector.constants import HUBER_SCALES, SURPRISE_MAX, SURPRISE_MEMORY_S
from models.limits import MARKOV_PRIOR, MARKOV_SD_MIN, MARKOV_STATES
from models.markov import quantise

Index = NDArray[np.intp]
State = dict[str, NDArray[Any]]

VISITS_MAX = 250  # of a state: then all its counts are halved


def surprises(state: State, rows: Index, values: Floats, dt: Doubles, ranged: Flags) -> Floats:
    """How much more surprising than usual each metric's transition is, ``(rows, metrics)`` in 0…``SURPRISE_MAX``.

    The surprise −log p(s'|s) minus its own slow average, over its own average deviation; 0 where the range of the
    states ``ranged (rows, metrics)`` or one of the two values is not known. Counts and averages take it in.
    """
    low, high = state["low"][rows], state["high"][rows]
    with np.errstate(invalid="ignore"):
        found = quantise(values, low, np.where(high > low, high, low + state["unit"][rows]))
    found = np.where(ranged, found, np.int8(-1))
    last = state["state"][rows]
    state["state"][rows] = found
    at_row, at_metric = np.nonzero((last >= 0) & (found >= 0))
    out = np.zeros(values.shape, np.float32)
    if not len(at_row):
        return out
    surprise = _count(state["counts"], rows[at_row], at_metric, last[at_row, at_metric], found[at_row, at_metric])
    place = rows[at_row], at_metric
    mean, spread = state["surprise"][place], state["surprise_scale"][place]
    off = surprise - mean
    out[at_row, at_metric] = np.clip(off / np.maximum(spread, np.float32(MARKOV_SD_MIN)), 0.0, SURPRISE_MAX)
    share = weight(dt, SURPRISE_MEMORY_S)[at_row, 0]
    bound = np.float32(HUBER_SCALES) * np.maximum(spread, np.float32(MARKOV_SD_MIN))
    off = np.clip(off, -bound, bound)
    state["surprise"][place] = mean + share * off
    state["surprise_scale"][place] = spread + share * (ABS_DEVIATION_TO_SD * np.abs(off) - spread)
    return out


def _count(counts: NDArray[np.uint8], row: Index, metric: Index, source: Any, target: Any) -> Floats:
    """−log p of each transition under the smoothed counts; then it is counted."""
    each = np.arange(len(row))
    source, target = source.astype(np.intp), target.astype(np.intp)
    seen = counts[row, metric, source]
    total = seen.sum(axis=-1, dtype=np.int32)
    p = (seen[each, target] + np.float32(MARKOV_PRIOR)) / (total + np.float32(MARKOV_PRIOR * MARKOV_STATES))
    seen = np.where((total >= VISITS_MAX)[:, None], seen >> 1, seen)
    seen[each, target] += 1
    counts[row, metric, source] = seen
    surprise: Floats = -np.log(p.astype(np.float32))
    return surprise
