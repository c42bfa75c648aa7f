"""From the score of a frame to alarm and incident: a threshold that follows, a floor, and a latch with an anchor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.detector import constants as c
from models.detector.arithmetic import Doubles, Flags, Floats, move_quantile, pool, weight

Index = NDArray[np.intp]
State = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Judged:
    """What one frame of each of some nodes shows; all ``(rows,)``."""

    score: Floats  # for ranking: without unit, higher is worse
    anomaly: Floats  # the alarm channel over its threshold: 1 is an alarm; NaN while too little is learned
    alarm: Flags  # the threshold is exceeded, or a slow drift has just opened an incident
    open: Flags  # an incident is open
    opened: Flags  # with this frame
    closed: Flags  # with this frame


def judge(state: State, rows: Index, dt: Doubles, score: Floats, near: Floats, learn_s: float) -> Judged:
    """Compare the score with the threshold, open and close incidents, and let the threshold learn."""
    quick_s = np.maximum(c.QUICK_S, c.QUICK_FRAMES_MIN * state["pace"][rows])
    quick = state["quick"][rows] + weight(dt, quick_s)[:, 0] * (score - state["quick"][rows])
    slow = state["slow"][rows] + weight(dt, c.SLOW_S)[:, 0] * (score - state["slow"][rows])
    state["quick"][rows], state["slow"][rows] = quick, slow
    bar = threshold(state, rows, learn_s)
    age = state["age"][rows]
    armed = age > min(c.ALARM_AFTER_S, learn_s)
    over = armed & (quick > bar)
    drifting, settled = _drift(state, rows, learn_s)
    opened, closed = _latch(state, rows, dt, near, over, drifting, settled)
    _learn_threshold(state, rows, dt, quick, learn_s)
    held = np.where(state["open"][rows], np.float32(c.OPEN_WEIGHT) * bar, np.float32(0.0))
    return Judged(
        score=quick + np.float32(c.SLOW_WEIGHT) * slow + held,
        anomaly=np.where(armed, quick / np.maximum(bar, np.float32(1e-6)), np.float32(np.nan)),
        alarm=over | opened,
        open=state["open"][rows],
        opened=opened,
        closed=closed,
    )


def threshold(state: State, rows: Index, learn_s: float) -> Floats:
    """The alarm threshold of ``rows``: the one that follows, above the noise, above what learning showed.

    The largest peak of the learning is a floor for about half as long as was learned, and while it is learned.
    """
    age = state["age"][rows]
    learned = np.minimum(age, learn_s)
    share = np.exp(-(((age - learned) / (c.FLOOR_SHARE * learned)) ** c.FLOOR_POWER)).astype(np.float32)
    bar = np.maximum(state["threshold"][rows], np.float32(c.NOISE_SHARE) * state["median"][rows])
    highest: Floats = np.maximum(bar, share * state["floor"][rows])
    return highest


def _learn_threshold(state: State, rows: Index, dt: Doubles, quick: Floats, learn_s: float) -> None:
    """At the end of each hour its peak moves the threshold, the median of the peaks and the floor."""
    state["peak"][rows] = np.maximum(state["peak"][rows], quick)
    age = state["age"][rows]
    due = np.floor(age / c.HOUR_S) > np.floor((age - dt) / c.HOUR_S)
    if not due.any():
        return
    rows, age = rows[due], age[due]
    peak, hours = state["peak"][rows], np.maximum(age / c.HOUR_S, 1.0)
    state["peak"][rows] = 0.0
    for name, quantile, memory, clear in (
        ("threshold", 1.0 - c.ALARMS_A_DAY / 24.0, c.THRESHOLD_MEMORY_H, c.CLEAR),
        ("median", 0.5, c.MEDIAN_MEMORY_H, np.inf),
    ):
        at = np.where(state[name][rows] > 0, state[name][rows], peak)
        steps = np.minimum(hours, memory).astype(np.float32)
        ratio = np.maximum(peak, np.float32(1e-9)) / np.maximum(at, np.float32(1e-9))
        share = np.where(ratio > np.float32(clear), np.float32(c.CLEAR_WEIGHT), np.float32(1.0))
        state[name][rows] = move_quantile(at, peak, quantile, steps, share)
    faded = state["floor"][rows] * (1.0 - c.FLOOR_FADES / hours).astype(np.float32)
    state["floor"][rows] = np.where(age <= learn_s, np.maximum(faded, peak), state["floor"][rows])


def _drift(state: State, rows: Index, learn_s: float) -> tuple[Flags, Flags]:
    """Whether the residuals of a node drift together beyond all that was learned, and whether they have settled."""
    drift = pool(np.abs(state["drift"][rows]), c.WORST_SHARE)
    age, floor = state["age"][rows], state["drift_floor"][rows]
    begun = learn_s * (c.MATRIX_SHARE + 0.1 * (1.0 - c.MATRIX_SHARE))
    learning = (age > begun) & (age <= learn_s)
    state["drift_floor"][rows] = np.where(learning, np.maximum(floor, drift), floor)
    beyond = (age > learn_s) & (floor > 0) & (drift > np.float32(c.DRIFT_SHARE) * floor)
    return beyond, ~(drift > floor)


def _latch(
    state: State, rows: Index, dt: Doubles, near: Floats, over: Flags, drifting: Flags, settled: Flags
) -> tuple[Flags, Flags]:
    """Open at an alarm; close when level and residuals were back near the anchor for a while, or after very long."""
    was = state["open"][rows]
    smooth = state["near"][rows] + weight(dt, c.NEAR_S)[:, 0] * (near - state["near"][rows])
    state["near"][rows] = smooth
    usual = state["near_usual"][rows]
    steps = np.clip(state["age"][rows] / dt, c.HIGH_FRAMES_MIN, c.HIGH_MEMORY_S / dt).astype(np.float32)
    learned = move_quantile(np.where(usual > 0, usual, np.maximum(smooth, 0.1)), smooth, c.NEAR_QUANTILE, steps)
    state["near_usual"][rows] = np.where(was, usual, learned)
    opened = (over | drifting) & ~was
    calm = was & (smooth < usual) & settled & ~over
    calm_s = np.where(calm, state["calm_s"][rows] + dt.astype(np.float32), np.float32(0.0))
    open_s = np.where(was, state["open_s"][rows] + dt.astype(np.float32), np.float32(0.0))
    worn = was & (open_s >= c.INCIDENT_S_MAX)
    closed = was & ((calm_s >= c.CALM_S) | worn)
    state["calm_s"][rows], state["open_s"][rows] = calm_s, open_s
    state["open"][rows] = (was & ~closed) | opened
    if worn.any():
        _take_present(state, rows[worn])
    if closed.any():
        back = rows[closed & ~worn]
        state["centre"][back] = state["anchor"][back]  # recovered from there, not to where the centre had followed
        state["scale"][back] = state["anchor_scale"][back]
    return opened, closed


def _take_present(state: State, rows: Index) -> None:
    """What has lasted so long is normal from now on; a centre that could not follow so far begins at the last value."""
    centre, last = state["centre"][rows], state["last"][rows]
    far = np.abs(last - centre) > np.float32(c.HUBER_SCALES) * state["scale"][rows]
    state["centre"][rows] = state["anchor"][rows] = np.where(far, last, centre)
    state["drift"][rows] = 0.0
    state["residual"][rows] = 0.0
