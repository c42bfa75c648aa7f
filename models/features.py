"""The features that a predictor reads: what the windows of a node's metrics show, pooled by signal group.

Pooling takes the largest (and for some the second largest) over the metrics of a group, so the vector has one length
and one meaning on any fleet and does not depend on the order of metrics. All are dimensionless, against the node's own
baseline (see ``models/cohort.py``). The second largest tells one noisy counter from a fault that many metrics show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.evidence import EVIDENCE_NAMES
from models.markov import node_deviation
from models.signals import SIGNALS, signal_of
from models.windows import SPANS, WindowStatistics

Floats = NDArray[np.float32]

#: Pooled by the largest over a group's metrics; "high" and "low" are of the means over so many frames, either sign.
STATISTICS: Final = (
    *(f"high{span}" for span in SPANS),
    *(f"low{span}" for span in SPANS),
    "climb",
    "fall",
    "spread",
    "step",
    "missing",
    "missing_recent",
    "deviation",
)
#: Pooled by the second largest.
SECOND: Final = ("high6", "low6", "climb", "fall")
WINDOW_NAMES: Final = (
    *(f"{signal}.{statistic}" for signal in SIGNALS for statistic in (*STATISTICS, *(f"second_{s}" for s in SECOND))),
    "node.deviation",
    "node.missing",
    "node.missing_recent",
)
FEATURE_NAMES: Final = (*WINDOW_NAMES, *EVIDENCE_NAMES)
#: Those that the Markov chains give.
MARKOV_FEATURES: Final = tuple(name for name in FEATURE_NAMES if name.endswith(".deviation"))
_SECOND_AT: Final = tuple(STATISTICS.index(name) for name in SECOND)
_WIDTH: Final = len(STATISTICS) + len(SECOND)


def signal_columns(metrics: tuple[str, ...]) -> tuple[NDArray[np.intp], ...]:
    """For each signal group the columns of its metrics.

    >>> dict(zip(SIGNALS, map(len, signal_columns(("gpu0.temp_c", "gpu1.temp_c", "m07")))))["thermal"]
    2
    """
    found = [signal_of(metric) for metric in metrics]
    return tuple(np.flatnonzero([f == signal for f in found]) for signal in SIGNALS)


def columns_of(names: Sequence[str]) -> NDArray[np.intp]:
    """Of features in the order of :data:`FEATURE_NAMES` the places of those named.

    >>> columns_of(("node.missing", FEATURE_NAMES[0])).tolist()
    [267, 0]
    """
    return np.array([FEATURE_NAMES.index(name) for name in names], np.intp)


def pool_features(
    window: WindowStatistics,
    told: NDArray[np.bool_],
    deviation: Floats,
    columns: tuple[NDArray[np.intp], ...],
) -> Floats:
    """Features ``(rows, len(WINDOW_NAMES))`` from the window's statistics and each metric's transition deviation.

    ``told (rows, metrics)`` says which metrics have own units; the others count for nothing, as a group without
    metrics does. Signed logarithms keep a runaway metric from drowning the rest.
    """
    of_one = (window.climb, window.fall, window.spread, window.step, window.missing, window.missing_recent, deviation)
    per_metric = np.concatenate([window.means, -window.means, np.stack(of_one)])
    per_metric = np.where(told & ~np.isnan(per_metric), per_metric, np.float32(-np.inf))
    features = np.zeros((told.shape[0], len(WINDOW_NAMES)), np.float32)
    for group, at in enumerate(columns):
        start = group * _WIDTH
        if len(at) == 1:
            features[:, start : start + len(STATISTICS)] = per_metric[:, :, at[0]].T
        elif len(at):
            inside = per_metric[:, :, at]
            features[:, start : start + len(STATISTICS)] = inside.max(axis=-1).T
            two = np.sort(inside[_SECOND_AT, ...], axis=-1)[..., -2]
            features[:, start + len(STATISTICS) : start + _WIDTH] = two.T
    features[:, -3] = node_deviation(deviation)
    for place, statistic in ((-2, "missing"), (-1, "missing_recent")):
        least = np.where(told, per_metric[STATISTICS.index(statistic)], np.float32(np.inf)).min(axis=-1, initial=np.inf)
        features[:, place] = least
    features = np.where(np.isfinite(features), features, np.float32(0.0))
    return squashed(features)


def pool_deviation(told: NDArray[np.bool_], deviation: Floats, columns: tuple[NDArray[np.intp], ...]) -> Floats:
    """:data:`MARKOV_FEATURES` alone, ``(rows, len(MARKOV_FEATURES))``, the same as among all of them."""
    inside = np.where(told, deviation, np.float32(-np.inf))
    pooled = [inside[:, at].max(axis=-1, initial=np.float32(-np.inf)) for at in columns]
    features = np.stack([*pooled, node_deviation(deviation)], axis=1)
    return squashed(np.where(np.isfinite(features), features, np.float32(0.0)))


def squashed(features: Floats) -> Floats:
    """Signed logarithms, sign(x)·log(1 + |x|).

    >>> squashed(np.float32([-1.0, 0.0]))
    array([-0.6931472,  0.       ], dtype=float32)
    """
    found: Floats = np.sign(features) * np.log1p(np.abs(features))
    return found
