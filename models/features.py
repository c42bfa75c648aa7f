"""The features that a predictor reads: what the windows of a node's metrics show, pooled by signal group.

Pooling takes the largest over the metrics of a group, so the vector has one length and one meaning on any fleet and
does not depend on the order of metrics. All are dimensionless, in the node's own units (see ``models/cohort.py``).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.signals import SIGNALS, signal_of
from models.windows import WindowStatistics

Floats = NDArray[np.float32]

STATISTICS: Final = ("high", "low", "mean", "std", "trend", "step", "missing")
FEATURE_NAMES: Final = (
    *(f"{signal}.{statistic}" for signal in SIGNALS for statistic in STATISTICS),
    "node.deviation",
    "node.missing",
)


def signal_columns(metrics: tuple[str, ...]) -> tuple[NDArray[np.intp], ...]:
    """For each signal group the columns of its metrics.

    >>> dict(zip(SIGNALS, map(len, signal_columns(("gpu0.temp_c", "gpu1.temp_c", "m07")))))["thermal"]
    2
    """
    found = [signal_of(metric) for metric in metrics]
    return tuple(np.flatnonzero([f == signal for f in found]) for signal in SIGNALS)


def pool_features(
    z: Floats,
    window: WindowStatistics,
    told: NDArray[np.bool_],
    deviation: Floats,
    columns: tuple[NDArray[np.intp], ...],
) -> Floats:
    """Features ``(rows, len(FEATURE_NAMES))`` from the last robust z ``(rows, metrics)`` and the window's statistics.

    ``told (rows, metrics)`` says which metrics have own units; the others count for nothing, as a group without
    metrics does. Signed logarithms keep a runaway metric from drowning the rest.
    """
    per_metric = np.stack(
        [z, -z, np.abs(window.mean), window.std, np.abs(window.trend), window.step_max, window.missing]
    )
    per_metric = np.where(told, per_metric, np.float32(np.nan))
    rows = z.shape[0]
    features = np.zeros((rows, len(FEATURE_NAMES)), np.float32)
    for group, at in enumerate(columns):
        if len(at):
            start = group * len(STATISTICS)
            features[:, start : start + len(STATISTICS)] = np.fmax.reduce(per_metric[:, :, at], axis=-1).T
    features[:, -2] = deviation
    features[:, -1] = np.fmin.reduce(per_metric[-1], axis=-1)
    features = np.where(np.isnan(features), np.float32(0.0), features)
    squashed: Floats = np.sign(features) * np.log1p(np.abs(features))
    return squashed
