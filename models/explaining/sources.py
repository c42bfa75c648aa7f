"""Which of a node's metrics a pooled feature was taken from: so that a person reads ``gpu0.temp_c``, not ``thermal``.

A feature is the largest, or the second largest, of what its group's metrics show; the metric is the one that shows it.
A feature that is of the node as a whole, or of a group of which nothing is told, has none.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.cohort import Cohort
from models.evidence import EVENTFUL, GONE_SPANS, MEMORIES
from models.evidence import SPANS as EVIDENCE_SPANS
from models.features import FEATURE_NAMES, SECOND, STATISTICS
from models.signals import ASPECTS, SIGNALS
from models.windows import window_statistics

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]

NOBODY: Final = -1
_OF_NODE: Final = 3  # node.deviation, node.missing, node.missing_recent; and again among the evidence


def feature_sources(cohort: Cohort, row: int) -> Index:
    """For each of :data:`FEATURE_NAMES` the column of the metric that it shows; −1 where it is of no single one."""
    at = np.array([row])
    seen = window_statistics(cohort.state["window"][at], cohort.state["centre"][at], cohort.state["scale"][at])
    deviation = cohort.chains.deviation(at)
    of_one = (seen.climb, seen.fall, seen.spread, seen.step, seen.missing, seen.missing_recent, deviation)
    shown = np.concatenate([seen.means, -seen.means, np.stack(of_one)])[:, 0]
    told = cohort.told(at)[0]
    shown = np.where(told & ~np.isnan(shown), shown, np.float32(-np.inf))
    found = [place for columns in cohort.columns for place in _of_signal(shown, columns)]
    found += [int(np.argmax(deviation[0])) if len(deviation[0]) else NOBODY, NOBODY, NOBODY]
    eventful = cohort.eventful(at)[0]
    averages = np.where((told & ~eventful)[:, None], cohort.evidence.state["averages"][row], np.float32(0.0))
    for columns in cohort.aspects.aspects:
        found += _largest(np.abs(averages), columns, len(EVIDENCE_SPANS))
    events = np.where((told & eventful)[:, None], cohort.evidence.state["events"][row], np.float32(0.0))
    for columns in cohort.aspects.eventful:
        found += _of_events(events, columns)
    found += [NOBODY] * (len(GONE_SPANS) + _OF_NODE)
    return np.array(found, np.intp)


def _of_signal(shown: Floats, columns: Index) -> list[int]:
    """``shown (statistics, metrics)``, −∞ where nothing is told."""
    if not len(columns):
        return [NOBODY] * (len(STATISTICS) + len(SECOND))
    order = columns[np.argsort(-shown[:, columns], axis=1, kind="stable")]
    first = _known(shown, order[:, 0])
    if len(columns) == 1:
        return [*first, *([NOBODY] * len(SECOND))]
    second = _known(shown, order[:, 1])
    return [*first, *(second[STATISTICS.index(name)] for name in SECOND)]


def _known(shown: Floats, metrics: Index) -> list[int]:
    told = np.isfinite(shown[np.arange(len(shown)), metrics])
    places: list[int] = np.where(told, metrics, NOBODY).tolist()
    return places


def _largest(values: Floats, columns: Index, count: int) -> list[int]:
    """Of ``values (metrics, count)`` the metric of the largest in each; none where all are 0."""
    if not len(columns):
        return [NOBODY] * count
    inside = values[columns]
    largest: list[int] = np.where(inside.max(axis=0) > 0, columns[inside.argmax(axis=0)], NOBODY).tolist()
    return largest


def _of_events(events: Floats, columns: Index) -> list[int]:
    """The most by the counter that has it, the rest by the largest of the rest, how many moved by the most again."""
    most = _largest(events, columns, len(MEMORIES))
    without = events.copy()
    for memory, metric in enumerate(most):
        if metric != NOBODY:
            without[metric, memory] = 0.0
    return [*most, *_largest(without, columns, len(MEMORIES)), *most]


_GROUPED = len(SIGNALS) * (len(STATISTICS) + len(SECOND)) + _OF_NODE
_EVIDENT = len(ASPECTS) * len(EVIDENCE_SPANS) + 3 * len(EVENTFUL) * len(MEMORIES) + len(GONE_SPANS) + _OF_NODE
if len(FEATURE_NAMES) != _GROUPED + _EVIDENT:
    raise ValueError("explaining: the features are not pooled as it is assumed here")
