"""How good a predictor is on nodes and times that it never saw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.training.examples import Examples

Doubles = NDArray[np.float64]

#: An alarm opens after so many frames over the threshold in a row and lasts until so many are under it.
OPEN_FRAMES: Final = 3
CLOSE_FRAMES: Final = 30
#: Intervals that must lie between alarm and failure, for a checkpoint to be staged and written.
USABLE_LEAD: Final = 12
#: Intervals of a day at one sample a minute, the unit of the false-episode budgets.
DAY_INTERVALS: Final = 1_440
BUDGETS: Final = (1e-2, 5e-2, 2e-1)
_BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Episode:
    """An alarm on a node from its opening to its last frame over the threshold."""

    node: int
    start: int
    last: int


def episodes(probability: Doubles, seen: Examples, threshold: float) -> list[Episode]:
    """The alarms that a threshold gives, by the rule of :data:`OPEN_FRAMES` and :data:`CLOSE_FRAMES`."""
    found = []
    for node, rows in _rows_by_node(seen):
        over = probability[rows] >= threshold
        held = (
            np.lib.stride_tricks.sliding_window_view(over, OPEN_FRAMES).all(axis=1)
            if len(over) >= OPEN_FRAMES
            else over[:0]
        )
        opened = np.flatnonzero(held) + OPEN_FRAMES - 1
        if not len(opened):
            continue
        steps = seen.step[rows][opened]
        first = np.flatnonzero(np.diff(steps, prepend=steps[0] - CLOSE_FRAMES - 1) > CLOSE_FRAMES)
        last = np.append(first[1:], len(steps)) - 1
        found += [Episode(node, int(steps[a]), int(steps[b])) for a, b in zip(first, last, strict=True)]
    return found


def _rows_by_node(seen: Examples) -> list[tuple[int, NDArray[np.intp]]]:
    order = np.lexsort((seen.step, seen.node))
    nodes, starts = np.unique(seen.node[order], return_index=True)
    return list(zip(nodes.tolist(), np.split(order, starts[1:]), strict=True))


@dataclass(frozen=True, slots=True)
class Alarms:
    """What came of a threshold: failures foreseen with a usable lead, and alarms that no failure followed."""

    threshold: float
    recall: float
    precision: float
    false_per_day: float
    leads: tuple[int, ...]


def alarms(probability: Doubles, seen: Examples, threshold: float, horizon: int) -> Alarms:
    """Score the alarms of a threshold against the failures of the part, ``horizon`` in intervals."""
    found = episodes(probability, seen, threshold)
    by_node: dict[int, list[int]] = {}
    for node, at in seen.failures:
        by_node.setdefault(node, []).append(at)
    true = [any(e.start < at <= e.last + horizon for at in by_node.get(e.node, ())) for e in found]
    leads = []
    for node, at in seen.failures:
        ahead = [at - e.start for e in found if e.node == node and e.start < at <= e.last + CLOSE_FRAMES]
        leads.append(max(ahead, default=0))
    days = len(seen.node) / DAY_INTERVALS
    usable = [lead for lead in leads if lead >= USABLE_LEAD]
    return Alarms(
        threshold=threshold,
        recall=len(usable) / max(len(leads), 1),
        precision=sum(true) / max(len(true), 1),
        false_per_day=(len(true) - sum(true)) / days,
        leads=tuple(usable),
    )


def within_budget(probability: Doubles, seen: Examples, budget: float, horizon: int) -> Alarms:
    """The alarms of the lowest threshold, out of 60, with at most ``budget`` false episodes a node-day."""
    tried = np.quantile(probability, 1 - np.geomspace(1e-5, 0.2, 60))
    best = alarms(probability, seen, float("inf"), horizon)
    for threshold in np.unique(tried)[::-1]:
        now = alarms(probability, seen, float(threshold), horizon)
        if now.false_per_day > budget:
            break
        best = now
    return best


def calibration_error(probability: Doubles, failed: NDArray[np.bool_]) -> float:
    """Expected calibration error over 15 bins of equal width."""
    place = np.minimum((probability * _BINS).astype(np.intp), _BINS - 1)
    gaps = np.bincount(place, probability - failed, _BINS)
    return float(np.abs(gaps).sum() / len(failed))


def score(probability: Doubles, seen: Examples, horizon: int) -> dict[str, Any]:
    """All figures of a predictor on a part, as JSON values."""
    failed = seen.failed
    fixed = {f"{threshold:g}": alarms(probability, seen, threshold, horizon) for threshold in (0.5, 0.7)}
    budgeted = {f"{budget:g}": within_budget(probability, seen, budget, horizon) for budget in BUDGETS}
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
        "median_lead_intervals": float(np.median(found.leads)) if found.leads else None,
    }
