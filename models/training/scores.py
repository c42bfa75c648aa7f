"""How good a predictor is on nodes and times that it never saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.incident import IncidentSettings
from models.training.examples import Examples

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Index = NDArray[np.intp]

#: An alarm is an incident of the pipeline, by the rule of ``models/incident.py`` with the pipeline's own settings.
OPEN_FRAMES: Final = IncidentSettings().open_frames
CLOSE_FRAMES: Final = IncidentSettings().close_frames
#: Intervals that must lie between alarm and failure, for a checkpoint to be staged and written.
USABLE_LEAD: Final = 12
#: Intervals of a day at one sample a minute, the unit of the false-episode budgets.
DAY_INTERVALS: Final = 1_440
BUDGETS: Final = (1e-2, 5e-2, 2e-1)
#: Thresholds tried in search of a budget, and halvings between the last within it and the first beyond.
_THRESHOLDS: Final = 60
_HALVINGS: Final = 8
_BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Episode:
    """An alarm on a node from its opening to the last frame that held it open."""

    node: int
    start: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """Probabilities as they came: ``probability (steps, nodes)``, NaN where nothing was told, from the step ``first``.

    ``failures`` and ``later`` are as in :class:`~models.training.examples.Examples`; ``node (nodes,)`` names columns.
    """

    probability: Floats
    first: int
    node: Index
    failures: tuple[tuple[int, int], ...]
    later: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, probability: Doubles, seen: Examples) -> Timeline:
        """The timeline of rows in any order."""
        node, column = np.unique(seen.node, return_inverse=True)
        first = int(seen.step.min()) if len(seen.step) else 0
        grid = np.full((int(seen.step.max(initial=first)) - first + 1, len(node)), np.nan, np.float32)
        grid[seen.step - first, column] = probability
        return cls(grid, first, node, seen.failures, seen.later)

    @property
    def days(self) -> float:
        """Node-days that were watched, at one sample a minute."""
        return float((~np.isnan(self.probability)).sum()) / DAY_INTERVALS

    def opening(self) -> Floats:
        """Of each step and node the threshold up to which an incident could open there: the least of the last few."""
        told = np.where(np.isnan(self.probability), np.float32(-1.0), self.probability)
        if len(told) < OPEN_FRAMES:
            return told[:0]
        windows = np.lib.stride_tricks.sliding_window_view(told, OPEN_FRAMES, axis=0)
        least: Floats = windows.min(axis=-1)
        return least


def latched(line: Timeline, threshold: float) -> list[Episode]:
    """The incidents of a timeline: all nodes side by side through the same steps as ``models.incident.Latch``."""
    able = np.flatnonzero((line.probability >= threshold).sum(axis=0) >= OPEN_FRAMES)
    run, start, last = np.zeros((3, len(able)), np.intp)
    is_open = np.zeros(len(able), np.bool_)
    found = []
    for step, now in enumerate(line.probability[:, able], line.first):
        told = ~np.isnan(now)
        holds = now >= threshold / 2
        run = np.where(told, np.where(is_open ^ np.where(is_open, holds, now >= threshold), run + 1, 0), run)
        last[is_open & holds] = step
        opens, closes = told & ~is_open & (run >= OPEN_FRAMES), told & is_open & (run >= CLOSE_FRAMES)
        start[opens], last[opens] = step, step
        found += [Episode(int(line.node[able[at]]), int(start[at]), int(last[at])) for at in np.flatnonzero(closes)]
        is_open = (is_open | opens) & ~closes
        run[opens | closes] = 0
    left = np.flatnonzero(is_open)
    found += [Episode(int(line.node[able[at]]), int(start[at]), int(last[at])) for at in left]
    return sorted(found, key=lambda episode: (episode.node, episode.start))


@dataclass(frozen=True, slots=True)
class Alarms:
    """What came of a threshold: each failure's lead (0 when not foreseen) and each alarm's truth, with their nodes."""

    threshold: float
    leads: tuple[tuple[int, int], ...]
    alarms: tuple[tuple[int, bool], ...]
    days: float
    usable_lead: int = USABLE_LEAD

    @property
    def usable(self) -> tuple[int, ...]:
        """The leads that are long enough."""
        return tuple(lead for _, lead in self.leads if lead >= self.usable_lead)

    @property
    def recall(self) -> float:
        """Share of the failures that were foreseen with a usable lead."""
        return len(self.usable) / max(len(self.leads), 1)

    @property
    def false(self) -> int:
        """Alarms that no failure followed."""
        return sum(not true for _, true in self.alarms)

    @property
    def precision(self) -> float:
        """Share of the alarms that a failure followed."""
        return (len(self.alarms) - self.false) / max(len(self.alarms), 1)

    @property
    def false_per_day(self) -> float:
        """False alarms a node-day."""
        return self.false / self.days


def alarms(
    probability: Doubles, seen: Examples, threshold: float, horizon: int, usable_lead: int = USABLE_LEAD
) -> Alarms:
    """Score the alarms of a threshold against the failures of the part, ``horizon`` in intervals."""
    return judged(Timeline.of(probability, seen), threshold, horizon, usable_lead)


def judged(line: Timeline, threshold: float, horizon: int, usable_lead: int = USABLE_LEAD) -> Alarms:
    """An alarm is true if its node fails while it is open or within the horizon after the last frame that held it.

    A failure is foreseen by an alarm that was still open, or the last frame of which is at most so many steps ago as
    close it; it is usable if the alarm opened ``usable_lead`` steps before.
    """
    by_node: dict[int, list[Episode]] = {}
    for episode in latched(line, threshold):
        by_node.setdefault(episode.node, []).append(episode)
    failures: dict[int, list[int]] = {}
    for node, at in (*line.failures, *line.later):
        failures.setdefault(node, []).append(at)
    told = [
        (node, any(e.start < at <= e.last + horizon for at in failures.get(node, ())))
        for node, found in by_node.items()
        for e in found
    ]
    leads = []
    for node, at in line.failures:
        ahead = [at - e.start for e in by_node.get(node, ()) if e.start < at <= e.last + CLOSE_FRAMES]
        leads.append((node, max(ahead, default=0)))
    return Alarms(threshold, tuple(leads), tuple(told), line.days, usable_lead)


def curve(line: Timeline, horizon: int, beyond: float, usable_lead: int = USABLE_LEAD) -> list[Alarms]:
    """The alarms of falling thresholds until there are more than ``beyond`` false ones a node-day."""
    opening = line.opening()
    told = opening[opening > 0].astype(np.float64)
    found = [judged(line, float("inf"), horizon, usable_lead)]
    if not len(told):
        return found
    for threshold in np.unique(np.quantile(told, 1 - np.geomspace(1e-5, 0.2, _THRESHOLDS)))[::-1].tolist():
        found.append(judged(line, threshold, horizon, usable_lead))
        if found[-1].false_per_day > beyond:
            break
    return found


def at_budget(found: Sequence[Alarms], line: Timeline, budget: float, horizon: int) -> Alarms:
    """The alarms of the lowest threshold with at most ``budget`` false episodes a node-day, between two of a curve."""
    within = next((k for k, one in enumerate(found) if one.false_per_day > budget), len(found)) - 1
    best = found[within]
    if within == len(found) - 1:
        return best
    low, high = found[within + 1].threshold, best.threshold if np.isfinite(best.threshold) else 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        now = judged(line, middle, horizon, best.usable_lead)
        if now.false_per_day > budget:
            low = middle
            continue
        best, high = now if now.alarms else best, middle
    return best


def within_budget(probability: Doubles, seen: Examples, budget: float, horizon: int) -> Alarms:
    """The alarms of about the lowest threshold with at most ``budget`` false episodes a node-day."""
    line = Timeline.of(probability, seen)
    return at_budget(curve(line, horizon, budget), line, budget, horizon)


def calibration_error(probability: Doubles, failed: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins of equal width."""
    place = np.minimum((probability * _BINS).astype(np.intp), _BINS - 1)
    gaps = np.bincount(place, probability - failed, _BINS)
    return float(np.abs(gaps).sum() / len(failed))


def score(probability: Doubles, seen: Examples, horizon: int) -> dict[str, Any]:
    """All figures of a predictor on a part, as JSON values."""
    failed, line = seen.failed, Timeline.of(probability, seen)
    fixed = {f"{threshold:g}": judged(line, threshold, horizon) for threshold in (0.5, 0.7)}
    found = curve(line, horizon, max(BUDGETS))
    budgeted = {f"{budget:g}": at_budget(found, line, budget, horizon) for budget in BUDGETS}
    return {
        "rows": len(failed),
        "nodes": len(np.unique(seen.node)),
        "node_days": round(len(failed) / DAY_INTERVALS, 1),
        "failures": len(seen.failures),
        "positive_share": round(float(failed.mean()), 5),
        "auc": round(auc(probability, failed), 4),
        "brier": round(float(((probability - failed) ** 2).mean()), 5),
        "brier_of_base_rate": round(float(failed.mean() * (1 - failed.mean())), 5),
        "ece": round(calibration_error(probability, failed), 5),
        "accuracy": round(float(((probability >= 0.5) == failed).mean()), 5),
        "accuracy_of_never": round(float(1 - failed.mean()), 5),
        "at_threshold": {name: _figures(found) for name, found in fixed.items()},
        "at_budget": {name: _figures(found) for name, found in budgeted.items()},
    }


def auc(probability: Doubles, failed: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: the chance that a positive row ranks above a negative one, ties counting half."""
    _, inverse, counts = np.unique(probability, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = int(failed.sum())
    negative = len(failed) - positive
    return float((rank[failed].sum() - positive * (positive + 1) / 2) / max(positive * negative, 1))


def _figures(found: Alarms) -> dict[str, float | None]:
    return {
        "threshold": round(found.threshold, 4) if np.isfinite(found.threshold) else None,
        "usable_recall": round(found.recall, 4),
        "precision": round(found.precision, 4),
        "false_episodes_per_node_day": round(found.false_per_day, 4),
        "median_lead_intervals": float(np.median(found.usable)) if found.usable else None,
    }
