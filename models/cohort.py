"""Nodes that report the same metrics, side by side in columns: their windows, baselines and chains.

A metric's *own units* are set once, when it was seen ``BASELINE_FRAMES`` times: from then on each value is
(value − anchor) / unit, kept as float32; until then it tells nothing. In these units a slowly moving centre and scale
follow the node: exponential averages that count a deviation as at most three scales, so that a fault neither drags the
centre nor widens its own scale. Counters enter as their rate a second. A missing value stays NaN; a gap in time is a
run of NaN frames.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.detector import Detector, Judged
from models.detector.arithmetic import ABS_DEVIATION_TO_SD
from models.evidence import Columns, Gathered
from models.features import pool_features, signal_columns, squashed
from models.limits import (
    ANCHOR_FRAMES_MIN,
    BASELINE_FRAMES,
    CENTRE_MEMORY_S,
    HUBER_SCALES,
    INTERVAL_FRAMES_MIN,
    INTERVALS_LATE_MAX,
    INTERVALS_SILENT_MAX,
    RANGE_FRAMES,
    RAW_MAX,
    SCALE_GROWTH_MAX,
    SCALE_MEMORY_S,
    SKEW_S_MAX,
    UNITS_MAX,
    WINDOW_FRAMES,
    Z_MAX,
)
from models.markov import Chains, node_deviation, quantise
from models.windows import window_statistics

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Index = NDArray[np.intp]

IQR_TO_SD: Final = 1.349
RANGE_MARGIN: Final = np.float32(0.05)  # of the learned range, on either side


@dataclass(frozen=True, slots=True)
class Observed:
    """What one frame of each of some nodes shows; the rows are those that were asked for."""

    features: Floats  # (rows, features)
    deviation: Floats  # (rows,): the node's transition deviation
    z: Floats  # (rows, metrics): the last robust z
    warm: NDArray[np.bool_]  # (rows,): whether baseline and chains are learned
    judged: Judged | None = None  # by the anomaly detector; None for a frame that came late


class Cohort:
    """Windows, baselines and chains of nodes with the same metrics.

    Parameters
    ----------
    metrics : names, in the order of the columns of values.
    counters : which of them count up.
    """

    def __init__(self, metrics: tuple[str, ...], counters: tuple[bool, ...]) -> None:
        self.metrics = metrics
        self.counters = np.array(counters, bool)
        self.columns = signal_columns(metrics)
        self.aspects = Columns(metrics)
        self.size = 0
        width = len(metrics)
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("frames", "interval"), (0,)) | {
            "window": (0, width, WINDOW_FRAMES),
            "times": (0, WINDOW_FRAMES),
        }
        self.state: dict[str, NDArray[Any]] = {
            name: np.full(shapes.get(name, (0, width)), blank, dtype) for name, (blank, dtype) in _BLANK.items()
        }
        self.chains = Chains.empty(0, width)
        self.detector = Detector(0, width)
        self.evidence = Gathered(0, width)

    def add(self, count: int = 1) -> Index:
        """Make room for ``count`` new nodes; returns their rows."""
        rows = np.arange(self.size, self.size + count)
        self.size += count
        room = len(self.state["frames"])
        if self.size > room:
            self._grow(max(self.size, 2 * room) - room)
        return rows

    def _grow(self, count: int) -> None:
        for name, array in self.state.items():
            blank = np.full((count, *array.shape[1:]), *_BLANK[name])
            self.state[name] = np.concatenate([array, blank])
        chains = Chains.empty(count, len(self.metrics)).arrays()
        self.chains = Chains(**{n: np.concatenate([a, chains[n]]) for n, a in self.chains.arrays().items()})
        self.detector.grow(count)
        self.evidence.grow(count)

    def forget(self, row: int) -> None:
        """Make a node's row as if it had never been seen."""
        fresh = Chains.empty(1, len(self.metrics)).arrays()
        for name, array in self.state.items():
            array[row] = _BLANK[name][0]
        for name, chain in self.chains.arrays().items():
            chain[row] = fresh[name][0]
        self.detector.forget(row)
        self.evidence.forget(row)

    def take_over(self, row: int, other: Cohort, other_row: int) -> None:
        """Go on with a node of another cohort, all of whose metrics are here too: what it has learned comes along."""
        columns = [self.metrics.index(metric) for metric in other.metrics]
        self.detector.take_over(row, columns, other.detector, other_row)
        self.evidence.take_over(row, columns, other.evidence, other_row)
        learned = other.arrays()
        for name, array in self.arrays().items():
            if name.startswith(("detector.", "evidence.")):
                continue
            if name in _OF_NODE:
                array[row] = learned[name][other_row]
            else:
                array[row, columns] = learned[name][other_row]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything learned, by name; the first axis of each is the node's row."""
        everything = self.state | {f"chains.{name}": array for name, array in self.chains.arrays().items()}
        everything |= {f"detector.{name}": array for name, array in self.detector.state.items()}
        everything |= {f"evidence.{name}": array for name, array in self.evidence.state.items()}
        return {name: array[: self.size] for name, array in everything.items()}

    @classmethod
    def from_arrays(
        cls, metrics: tuple[str, ...], counters: tuple[bool, ...], arrays: dict[str, NDArray[Any]]
    ) -> Cohort:
        """The cohort whose :meth:`arrays` these are."""
        cohort = cls(metrics, counters)
        cohort.size = len(arrays["frames"])
        cohort.state = {name: arrays[name] for name in cohort.state}
        cohort.chains = Chains(**{name: arrays[f"chains.{name}"] for name in cohort.chains.arrays()})
        cohort.detector.state = {name: arrays[f"detector.{name}"] for name in cohort.detector.state}
        cohort.evidence.state = {name: arrays[f"evidence.{name}"] for name in cohort.evidence.state}
        return cohort

    def last_time(self, row: int) -> float:
        """Source time of the node's newest frame; NaN before the first."""
        return float(self.state["times"][row, -1])

    def interval_s(self, row: int) -> float:
        """The node's learned sampling interval in seconds; NaN until it is known."""
        return float(self.state["interval"][row])

    def silent(self, now: float) -> NDArray[np.bool_]:
        """Which nodes have missed more than ``INTERVALS_SILENT_MAX`` intervals at ``now``, or are ahead of it.

        A node whose interval is not known yet is not called silent.
        """
        last, interval = self.state["times"][: self.size, -1], self.state["interval"][: self.size]
        with np.errstate(invalid="ignore"):
            silent: NDArray[np.bool_] = (now - last > INTERVALS_SILENT_MAX * interval) | (last - now > SKEW_S_MAX)
        return silent

    def has_time(self, row: int, ts: float) -> bool:
        """Whether the window already holds a frame of this time."""
        return bool((self.state["times"][row] == ts).any())

    def advance(self, rows: Index, ts: Doubles, values: Doubles) -> Observed:
        """Take the next frame of each of ``rows`` (all different), newer than all before it.

        ``ts (rows,)`` in seconds, ``values (rows, metrics)`` with NaN where missing.
        """
        state = self.state
        rates = self._rates(rows, ts, values)
        units = self._units(rows, rates)
        elapsed = ts - state["times"][rows, -1]
        self._shift(rows, elapsed)
        window, times = state["window"][rows], state["times"][rows]
        window[:, :, :-1] = window[:, :, 1:]
        window[:, :, -1] = units
        times[:, :-1] = times[:, 1:]
        times[:, -1] = ts
        state["window"][rows], state["times"][rows] = window, times
        state["frames"][rows] += 1
        state["seen"][rows] += ~np.isnan(units)
        self._learn_interval(rows)
        z = self._learn_baseline(rows, units, elapsed)
        self._anchor(rows, units)
        judged = self._judge(rows, units, elapsed)
        told = np.where(state["seen"][rows] > BASELINE_FRAMES, units, np.float32(np.nan))
        self._gather(rows, told, rates, elapsed)
        return replace(self._observe(rows, z), judged=judged)

    def _judge(self, rows: Index, units: Floats, elapsed: Doubles) -> Judged | None:
        told = np.where(self.state["seen"][rows] > BASELINE_FRAMES, units, np.float32(np.nan))
        return self.detector.advance(rows, np.nan_to_num(elapsed), told)

    def insert(self, row: int, ts: float, values: Doubles) -> Observed | None:
        """Put a late frame of one node in its place in the window, if it is within the grace.

        The averages and chains do not move. Returns None, and changes nothing, for one that is too late.
        """
        times = self.state["times"][row]
        grace = INTERVALS_LATE_MAX * self.interval_s(row)
        if not self.last_time(row) - ts <= grace:
            return None
        known = np.flatnonzero(times < ts)
        if not len(known):
            return None
        place = int(known[-1])
        window = self.state["window"][row]
        units = self._units(np.array([row]), np.where(self.counters, np.nan, values)[None])[0]
        room = int(np.argmax(~np.isnan(times[place + 1 :])))
        if room:
            place += int(np.clip(np.rint((ts - times[place]) / self.interval_s(row)), 1, room))
        else:
            window[:, :place] = window[:, 1 : place + 1]
            times[:place] = times[1 : place + 1]
        window[:, place] = units
        times[place] = ts
        at = np.array([row])
        return self._observe(at, self._z(at, self.state["window"][at, :, -1]))

    def _units(self, rows: Index, values: Doubles) -> Floats:
        """The values in own units; as they are, within what float32 can square, where a metric has none yet."""
        units = (values - self.state["anchor"][rows]) / self.state["unit"][rows]
        raw = self.state["seen"][rows] < BASELINE_FRAMES
        bound = np.where(raw, RAW_MAX, UNITS_MAX) if raw.any() else UNITS_MAX
        clipped: Floats = np.clip(units, -bound, bound).astype(np.float32)
        return clipped

    def _rates(self, rows: Index, ts: Doubles, values: Doubles) -> Doubles:
        """Counters as their increase a second since they were last told (NaN at a reset); gauges as they are."""
        columns = np.flatnonzero(self.counters)
        if not len(columns):
            return values
        place = rows[:, None], columns
        counted, before, at = values[:, columns], self.state["raw"][place], self.state["raw_at"][place]
        missing = np.isnan(counted)
        self.state["raw"][place] = np.where(missing, before, counted)
        self.state["raw_at"][place] = np.where(missing, at, ts[:, None])
        rate = (counted - before) / (ts[:, None] - at)
        values = values.copy()
        values[:, columns] = np.where(rate >= 0, rate, np.nan)
        return values

    def _shift(self, rows: Index, elapsed: Doubles) -> None:
        """A gap becomes as many missing frames as intervals were missed."""
        with np.errstate(invalid="ignore"):
            missed = np.rint(elapsed / self.state["interval"][rows]) - 1
            late = np.flatnonzero(missed > 0)
        for at in late:
            row, count = rows[at], int(min(missed[at], WINDOW_FRAMES))
            for array in (self.state["window"][row], self.state["times"][row]):
                array[..., : WINDOW_FRAMES - count] = array[..., count:]
                array[..., WINDOW_FRAMES - count :] = np.nan

    def _learn_interval(self, rows: Index) -> None:
        frames = self.state["frames"][rows]
        for row in rows[(frames == INTERVAL_FRAMES_MIN) | (frames % WINDOW_FRAMES == 0)]:
            times = self.state["times"][row]
            known = times[~np.isnan(times)]
            if len(known) > 1:
                self.state["interval"][row] = np.median(np.diff(known))

    def _z(self, rows: Index, units: Floats) -> Floats:
        """Robust z of each value against its baseline; 0 where it has none yet."""
        z = np.clip((units - self.state["centre"][rows]) / self.state["scale"][rows], -Z_MAX, Z_MAX)
        z = np.where(self.state["seen"][rows] > BASELINE_FRAMES, z, np.float32(0.0))
        return z.astype(np.float32)

    def _learn_baseline(self, rows: Index, units: Floats, elapsed: Doubles) -> Floats:
        """The robust z of each value against its baseline as it was; then the baseline and the chain take it in."""
        state = self.state
        z = self._z(rows, units)
        known = ~np.isnan(units) & (state["seen"][rows] > BASELINE_FRAMES)
        age = 1.0 / state["frames"][rows]
        centre, scale = state["centre"][rows], state["scale"][rows]
        step = np.clip(units - centre, -HUBER_SCALES * scale, HUBER_SCALES * scale)
        weight = np.minimum(1.0, np.maximum(age, elapsed / CENTRE_MEMORY_S)).astype(np.float32)[:, None]
        state["centre"][rows] = np.where(known, centre + weight * step, centre)
        weight = np.minimum(1.0, np.maximum(age, elapsed / SCALE_MEMORY_S)).astype(np.float32)[:, None]
        wider = scale + weight * (ABS_DEVIATION_TO_SD * np.abs(step) - scale)
        state["scale"][rows] = np.where(known, np.clip(wider, 1.0 / SCALE_GROWTH_MAX, SCALE_GROWTH_MAX), scale)
        self._learn_chain(rows, units)
        return z

    def _learn_chain(self, rows: Index, units: Floats) -> None:
        """The range of the states is learned first; then every value is a transition."""
        state = self.state
        seen = state["seen"][rows]
        learning = (seen > BASELINE_FRAMES) & (seen <= RANGE_FRAMES)
        low, high = state["low"][rows], state["high"][rows]
        low, high = np.where(learning, np.fmin(low, units), low), np.where(learning, np.fmax(high, units), high)
        state["low"][rows], state["high"][rows] = low, high
        with np.errstate(invalid="ignore"):
            margin = np.maximum(RANGE_MARGIN * (high - low), RANGE_MARGIN)
            quantised = quantise(units, low - margin, high + margin)
        self.chains.advance(rows, np.where(seen > RANGE_FRAMES, quantised, np.int8(-1)))

    def _anchor(self, rows: Index, units: Floats) -> None:
        """Fix the own units of the metrics that have just been seen often enough; restate their windows in them.

        A metric of which a gap has left too little in the window has to be seen anew.
        """
        due = (self.state["seen"][rows] == BASELINE_FRAMES) & ~np.isnan(units)
        for at, metric in zip(*np.nonzero(due), strict=True):
            row = rows[at]
            window = self.state["window"][row, metric]
            known = window[~np.isnan(window)]
            if len(known) < ANCHOR_FRAMES_MIN:
                self.state["seen"][row, metric] = len(known)
                continue
            anchor, unit = own_unit(known.astype(np.float64))
            if self.counters[metric]:
                unit = max(unit, self._one_count(row))
            self.state["anchor"][row, metric], self.state["unit"][row, metric] = anchor, unit
            self.state["window"][row, metric] = np.clip((window - anchor) / unit, -UNITS_MAX, UNITS_MAX)

    def _one_count(self, row: int) -> float:
        """The rate of one count in a window: a counter's unit is never finer, or its first error would be a storm."""
        return float(1.0 / (WINDOW_FRAMES * self.state["interval"][row]))

    def _gather(self, rows: Index, told: Floats, rates: Doubles, elapsed: Doubles) -> None:
        """Let the evidence take the frame in, its counters as events since the frame before."""
        with np.errstate(invalid="ignore"):
            span = np.fmax(elapsed, self.state["interval"][rows])[:, None]
            counts = np.minimum(rates * span, UNITS_MAX).astype(np.float32)
        self.evidence.advance(rows, told, counts, self.eventful(rows), self.aspects)

    def told(self, rows: Index) -> NDArray[np.bool_]:
        """Which metrics have own units, ``(rows, metrics)``."""
        told: NDArray[np.bool_] = self.state["seen"][rows] >= BASELINE_FRAMES
        return told

    def eventful(self, rows: Index) -> NDArray[np.bool_]:
        """Which metrics are counters that mostly stand still."""
        eventful: NDArray[np.bool_] = self.told(rows) & self.counters & (self.state["anchor"][rows] == 0)
        return eventful

    def _observe(self, rows: Index, z: Floats) -> Observed:
        deviation = self.chains.deviation(rows)
        features = self._features(rows, deviation)
        return Observed(features, node_deviation(deviation), z, self.state["frames"][rows] > RANGE_FRAMES)

    def features(self, rows: Index) -> Floats:
        """What these nodes' windows and evidence show now, as predictors read it: ``(rows, len(FEATURE_NAMES))``."""
        return self._features(rows, self.chains.deviation(rows))

    def _features(self, rows: Index, deviation: Floats) -> Floats:
        state = self.state
        told = self.told(rows)
        seen = window_statistics(state["window"][rows], state["centre"][rows], state["scale"][rows])
        pooled = pool_features(seen, told, deviation, self.columns)
        gathered = squashed(self.evidence.features(rows, told, self.eventful(rows), self.aspects))
        return np.concatenate([pooled, gathered], axis=1)


_BLANK: Final = {
    "window": (np.nan, np.float32),
    "times": (np.nan, np.float64),
    "frames": (0, np.int64),
    "seen": (0, np.int64),
    "interval": (np.nan, np.float64),
    "raw": (np.nan, np.float64),
    "raw_at": (np.nan, np.float64),
    "anchor": (0.0, np.float64),
    "unit": (1.0, np.float64),
    "centre": (0.0, np.float32),
    "scale": (1.0, np.float32),
    "low": (np.inf, np.float32),
    "high": (-np.inf, np.float32),
}
_OF_NODE: Final = frozenset({"times", "frames", "interval"})  # the other arrays have a column for each metric


def own_unit(values: Doubles) -> tuple[float, float]:
    """Anchor (median) and unit of a metric's first values.

    The unit is IQR/1.349, floored by half of that, .3 standard deviations and .005 of the range; a constant metric
    takes 1 % of its magnitude.

    >>> own_unit(np.array([5.0, 5.0, 5.0]))
    (5.0, 0.05)
    """
    anchor = float(np.median(values))
    first, third = np.percentile(values, [25, 75])
    spread = max(float(third - first) / IQR_TO_SD, 0.3 * float(values.std()), 0.005 * float(np.ptp(values)))
    return anchor, spread if spread > 0 else max(0.01 * abs(anchor), 1e-6)
