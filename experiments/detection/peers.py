"""The detectors that ours is measured against, each in its usual form; none sees a label.

All are fitted on the first 70 % of the train half; their threshold is the lowest with at most one alarm episode a day
on its other 30 %. Scores of the test half use its past only.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.detection.folder import Machine

Doubles = NDArray[np.float64]

IQR_TO_SD: Final = 1.349
ROLLING_S: Final = 12 * 3600.0
REFRESH_S: Final = 1800.0
VARIANCE_KEPT: Final = 0.9
MEAN_ROWS: Final = 5
TREES: Final = 100
INNER_STATES: Final = 8
PRIOR: Final = 0.5
TRANSITIONS: Final = 10


def scores(machine: Machine, fit_rows: int, interval_s: float, seed: int) -> dict[str, Doubles]:
    """Score the rows of both halves, one after the other, by every peer's name."""
    values = _filled(np.concatenate([machine.train.values, machine.test.values]), fit_rows)
    rolling = rolling_z(values, fit_rows, max(2, round(ROLLING_S / interval_s)), max(1, round(REFRESH_S / interval_s)))
    pca, markov = principal_components(values, fit_rows), transitions(values, fit_rows)
    draw = np.random.default_rng([seed, zlib.crc32(machine.name.encode())])
    return {
        "max |robust z|": static_z(values, fit_rows),
        "max |robust z| rolling 12 h": rolling,
        "PCA": pca,
        "isolation forest": isolation_forest(values, fit_rows, int(draw.integers(2**31))),
        "Markov": markov,
        "rank fusion": rank_fusion([rolling, pca, markov], fit_rows),
        "random": draw.random(len(values)),
    }


def _filled(values: Doubles, fit_rows: int) -> Doubles:
    """A missing value is the one before; the median of the fitted rows where there is none."""
    seen = ~np.isnan(values)
    at = np.maximum.accumulate(np.where(seen, np.arange(len(values))[:, None], -1), axis=0)
    filled = np.take_along_axis(values, np.maximum(at, 0), axis=0)
    known = seen[:fit_rows].any(axis=0)
    usual = np.zeros(values.shape[1])
    usual[known] = np.nanmedian(values[:fit_rows, known], axis=0)
    return np.where(at < 0, usual, filled)


def _spread(values: Doubles) -> tuple[Doubles, Doubles]:
    """Median and robust scale of each column; a constant one has 1 % of its magnitude."""
    first, middle, third = np.percentile(values, [25, 50, 75], axis=0)
    scale = np.maximum.reduce([(third - first) / IQR_TO_SD, 0.3 * values.std(axis=0), 0.005 * np.ptp(values, axis=0)])
    return middle, np.where(scale > 0, scale, np.maximum(0.01 * np.abs(middle), 1e-6))


def static_z(values: Doubles, fit_rows: int) -> Doubles:
    """The largest |robust z| of a row against the fitted rows."""
    middle, scale = _spread(values[:fit_rows])
    worst: Doubles = (np.abs(values - middle) / scale).max(axis=1)
    return worst


def rolling_z(values: Doubles, fit_rows: int, rows: int, refresh: int) -> Doubles:
    """The largest |robust z| against the last ``rows``, whose median and scale are renewed every ``refresh`` rows."""
    _, floor = _spread(values[:fit_rows])
    out = np.zeros(len(values))
    for start in range(rows, len(values), refresh):
        middle, scale = _spread(values[start - rows : start])
        block = values[start : start + refresh]
        out[start : start + refresh] = (np.abs(block - middle) / np.maximum(scale, 0.1 * floor)).max(axis=1)
    return out


def _moving_mean(score: Doubles, rows: int) -> Doubles:
    total = np.cumsum(np.concatenate([np.full(rows, score[0]), score]))
    return (total[rows:] - total[:-rows]) / rows


def principal_components(values: Doubles, fit_rows: int) -> Doubles:
    """What 90 % of the variance does not explain of a row, averaged over five rows."""
    fitted = values[:fit_rows]
    centre, spread = fitted.mean(axis=0), fitted.std(axis=0)
    z = (values - centre) / np.where(spread > 0, spread, np.maximum(0.01 * np.abs(centre), 1e-6))
    variance, directions = np.linalg.eigh(np.cov(z[:fit_rows].T).reshape(z.shape[1], -1))
    share = np.cumsum(variance[::-1]) / max(variance.sum(), 1e-12)
    kept = directions[:, ::-1][:, : int(np.searchsorted(share, VARIANCE_KEPT)) + 1]
    rest = z - z @ kept @ kept.T
    return _moving_mean((rest * rest).sum(axis=1), MEAN_ROWS)


def isolation_forest(values: Doubles, fit_rows: int, seed: int) -> Doubles:
    """scikit-learn's isolation forest, averaged over five rows (Liu, Ting and Zhou, 2008)."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=TREES, random_state=seed, n_jobs=1).fit(values[:fit_rows])
    return _moving_mean(-forest.score_samples(values), MEAN_ROWS)


def transitions(values: Doubles, fit_rows: int) -> Doubles:
    """Mean −log p of the last ten transitions between eight equal-width states and two outside, over all metrics."""
    low, high = values[:fit_rows].min(axis=0), values[:fit_rows].max(axis=0)
    width = np.where(high > low, high - low, 1.0)
    state = np.clip(np.floor((values - low) / width * INNER_STATES), -1, INNER_STATES).astype(np.intp) + 1
    state = np.where(values == high, INNER_STATES, state)
    surprise = np.zeros(len(values))
    states = INNER_STATES + 2
    for metric in range(values.shape[1]):
        pair = state[:-1, metric] * states + state[1:, metric]
        counts = np.bincount(pair[: fit_rows - 1], minlength=states * states).reshape(states, states) + PRIOR
        surprise[1:] -= np.log(counts / counts.sum(axis=1, keepdims=True)).ravel()[pair]
    return _moving_mean(surprise / values.shape[1], TRANSITIONS)


def rank_fusion(parts: list[Doubles], fit_rows: int) -> Doubles:
    """The mean of the ranks among the fitted rows, continued beyond the largest by the ratio to it."""
    fused = np.zeros(len(parts[0]))
    for part in parts:
        seen = np.sort(part[:fit_rows])
        rank = np.searchsorted(seen, part) / len(seen)
        beyond = np.maximum(part / max(seen[-1], 1e-12) - 1.0, 0.0)
        fused += -np.log1p(-np.minimum(rank, 1.0 - 0.5 / len(seen))) + np.minimum(beyond, 10.0)
    return fused
