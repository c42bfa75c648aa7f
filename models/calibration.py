"""Calibration: from a model's raw probability to one that can be believed, fitted on nodes of its own.

Both forms rise with the raw probability and treat each row alone, so a batch's rows never touch each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Labels = NDArray[np.bool_]

#: Newton steps at most; Platt's problem is convex and needs about ten.
_NEWTON_STEPS_MAX: Final = 50
_LOGIT_MAX: Final = 40.0
#: How much of σ(logit) an isotonic fit is given, and how far beyond the rows' logits its last knot lies.
_TILT: Final = 0.01
_BEYOND: Final = 5.0


def sigmoid(logit: Doubles) -> Doubles:
    """1 / (1 + e^−x), element-wise.

    >>> sigmoid(np.array([0.0, 800.0])).tolist()
    [0.5, 1.0]
    """
    result: Doubles = 1.0 / (1.0 + np.exp(-np.clip(logit, -_LOGIT_MAX, _LOGIT_MAX)))
    return result


@dataclass(frozen=True, slots=True)
class Platt:
    """P = σ(slope · logit + intercept), slope ≥ 0. Slope 1 and intercept 0 leave the model's own probability."""

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not self.slope >= 0:
            raise ValueError(f"slope is {self.slope}, must be at least 0: calibration keeps the order")

    def __call__(self, logit: Doubles) -> Doubles:
        """Calibrated probabilities of raw logits, ``(n,) → (n,)``."""
        return sigmoid(self.slope * logit + self.intercept)


@dataclass(frozen=True, slots=True)
class Isotonic:
    """P by straight lines between knots of the raw logit; flat outside them. Both sequences rise."""

    logits: tuple[float, ...]
    probabilities: tuple[float, ...]

    def __post_init__(self) -> None:
        x, y = np.array(self.logits), np.array(self.probabilities)
        if not len(x) == len(y) >= 2 or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any():
            raise ValueError("isotonic calibration needs at least two knots, rising in logit and in probability")

    def __call__(self, logit: Doubles) -> Doubles:
        """Calibrated probabilities of raw logits, ``(n,) → (n,)``; NaN stays NaN."""
        x, y = np.array(self.logits), np.array(self.probabilities)
        inside = np.clip(logit, x[0], x[-1])
        right = np.clip(np.searchsorted(x, inside, side="right"), 1, len(x) - 1)
        share = (inside - x[right - 1]) / (x[right] - x[right - 1])
        result: Doubles = y[right - 1] + share * (y[right] - y[right - 1])
        return result


Calibration = Platt | Isotonic


def fit_platt(logit: Doubles, failed: Labels) -> Platt:
    """Platt scaling by Newton's method, with his smoothed targets, so that separable data stay finite.

    Source: Platt 1999; Lin, Lin and Weng 2007. A slope that would reverse the order is put to 0.
    """
    positive, negative = int(failed.sum()), int((~failed).sum())
    if not positive or not negative:
        raise ValueError("calibration needs rows of both outcomes")
    target = np.where(failed, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack([np.clip(logit, -_LOGIT_MAX, _LOGIT_MAX), np.ones_like(logit)])
    weights = np.array([1.0, 0.0])
    for _ in range(_NEWTON_STEPS_MAX):
        p = sigmoid(weights @ design)
        gradient = design @ (p - target)
        hessian = (design * (p * (1 - p))) @ design.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights -= np.clip(step, -2, 2)
        if np.abs(step).max() < 1e-9:
            break
    if weights[0] < 0:
        share = positive / (positive + negative)
        return Platt(0.0, float(np.log(share / (1 - share))))
    return Platt(float(weights[0]), float(weights[1]))


def fit_isotonic(logit: Doubles, failed: Labels, knots: int = 64) -> Isotonic:
    """Isotonic regression by pooling adjacent violators over about ``knots`` groups of neighbouring rows.

    Half of the groups' bounds part all rows evenly, the other half those that failed, so that the rare high
    probabilities are resolved too. A group's level is its share of failures with one pseudo-row at the overall share,
    so none is exactly 0 or 1. A little of σ(logit) is mixed in and a last knot put beyond all rows: so P never stands
    still while the logit rises, and a threshold can tell rows apart at the very top.
    """
    base = float(failed.mean())
    order = np.argsort(logit, kind="stable")
    even, among = np.linspace(0, 1, knots // 2 + 1), np.flatnonzero(failed[order])
    bounds = np.concatenate([even * len(logit), np.quantile(among, even) if len(among) else []]).astype(np.intp)
    groups = [g for g in np.split(order, np.unique(bounds)) if len(g)]
    level = [((failed[g].sum() + base) / (len(g) + 1), len(g) + 1.0, float(logit[g].mean())) for g in groups]
    pooled: list[tuple[float, float, list[float]]] = []
    for value, weight, centre in level:
        pooled.append((value, weight, [centre]))
        while len(pooled) > 1 and pooled[-2][0] >= pooled[-1][0]:
            (v, w, c), (u, m, d) = pooled.pop(-2), pooled.pop()
            pooled.append(((v * w + u * m) / (w + m), w + m, c + d))
    ends = {centre: value for value, _, centres in pooled for centre in (centres[0], centres[-1])}
    x = sorted(ends)
    if len(x) < 2:
        raise ValueError("isotonic calibration needs at least two different logits")
    # Means of neighbouring groups may be equal, or change places by their last bit: the levels must rise all the same.
    y = np.maximum.accumulate([ends[centre] for centre in x])
    beyond = max(x[-1], float(logit.max())) + _BEYOND
    x, y = [*x, beyond], np.append(y, 1.0)
    y = (1 - _TILT) * y + _TILT * sigmoid(np.array(x))
    return Isotonic(tuple(x), tuple(y.tolist()))
