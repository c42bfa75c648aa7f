"""How much each feature moved the logit away from that of a baseline: integrated gradients, without any error.

Between the two inputs, as the network reads them (normalised and clipped), lies a straight line. Along it a network of
max(0, x) is piecewise linear, so the integral of its gradient is a sum over the pieces, and what a feature is given is
its difference times that. The contributions sum to the difference of the logits, a feature that does not differ is
given nothing, and one that the network does not read is given nothing. Source: Sundararajan, Taly and Yan 2017.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.mlp import Layer, Predictor

Doubles = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]


def contributions(predictor: Predictor, features: Floats, baseline: Floats) -> Doubles:
    """What each feature gave to logit(features) − logit(baseline), ``(features,)``; raises ValueError on a NaN.

    Parameters
    ----------
    features, baseline : ``(len(predictor.feature_names),)``.

    Examples
    --------
    >>> layer = Layer(np.array([[2.0, -1.0]]), np.array([5.0]))
    >>> zeros, ones = np.zeros(2), np.ones(2)
    >>> about = {"feature_names": ("a", "b"), "mean": zeros, "std": ones, "clip": 9.0, "horizon_s": 1.0, "window": 1}
    >>> contributions(Predictor(layers=(layer,), **about), np.array([3.0, 1.0]), zeros).tolist()
    [6.0, -1.0]
    """
    start, end = as_read(predictor, baseline), as_read(predictor, features)
    if np.isnan(start).any() or np.isnan(end).any():
        raise ValueError("a feature is NaN, so that there is no logit to explain")
    away = end - start
    whole: Doubles = away * mean_gradient(predictor.layers, start, away)
    return whole


def as_read(predictor: Predictor, features: Floats) -> Doubles:
    """Features as the network reads them: normalised and clipped, ``(features,)``."""
    read: Doubles = np.clip((features - predictor.mean) / predictor.std, -predictor.clip, predictor.clip)
    return read


def mean_gradient(layers: tuple[Layer, ...], start: Doubles, away: Doubles) -> Doubles:
    """The gradient of the logit, averaged over the line from ``start`` to ``start + away``, ``(inputs,)``."""
    ends = pieces(layers, start, away)
    middles = start + ((ends[:-1] + ends[1:]) / 2)[:, None] * away
    passed = [given > 0 for given in _given(layers[:-1], middles)]
    gradient: Doubles = np.diff(ends)[:, None] * layers[-1].weight
    for layer, through in zip(reversed(layers[1:-1]), reversed(passed[1:]), strict=True):
        gradient = (gradient * through) @ layer.weight
    if passed:
        return np.asarray((gradient * passed[0]).sum(axis=0) @ layers[0].weight)
    return np.asarray(gradient.sum(axis=0))


def pieces(layers: tuple[Layer, ...], start: Doubles, away: Doubles) -> Doubles:
    """Where on the line (0…1) some unit begins or ceases to be above 0, ascending, with both ends.

    Layer by layer: within the pieces so far, what a unit is given is linear, so it crosses 0 once at most.
    """
    ends = np.array([0.0, 1.0])
    for depth in range(1, len(layers)):
        given = _given(layers[:depth], start + ends[:, None] * away)[-1]
        before, after = given[:-1], given[1:]
        piece, unit = np.nonzero((before > 0) != (after > 0))
        share = before[piece, unit] / (before[piece, unit] - after[piece, unit])
        crossed = ends[piece] + share * (ends[piece + 1] - ends[piece])
        ends = np.unique(np.clip(np.concatenate([ends, crossed]), 0.0, 1.0))
    return ends


def _given(layers: tuple[Layer, ...], x: Doubles) -> list[Doubles]:
    """What the units of each of these layers are given, ``(n, inputs)`` → ``(n, units)``."""
    given: list[Doubles] = []
    for layer in layers:
        x = np.maximum(given[-1], 0.0) if given else x
        given.append(x @ layer.weight.T + layer.bias)
    return given
