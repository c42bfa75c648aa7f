"""The seed's first signature: P stands near one half for all nodes, all the time, and tells nothing.

That P is stuck shows in the assessments alone. Why, shows when the features of some nodes are put through the model
again, layer by layer: what is normalised, what the weights make of it, where the bias puts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.diagnostics.diagnosis import Diagnosis
from models.mlp import Layer, Predictor

Doubles = NDArray[np.float64]
NAME: Final = "probability-stuck"

#: P within this of one half is near it; this share of all assessments, and of nodes, has to be.
NEAR: Final = 0.1
SHARE: Final = 0.9
#: So many assessments are looked at before anything is said, and of few nodes so many each.
ASSESSMENTS_MIN: Final = 100
ASSESSMENTS_OF_ALL_NODES_MIN: Final = 600
#: Normalised features have a root mean square near 1; below this they are collapsed.
INPUT_RMS_MIN: Final = 0.1
#: More than this share of them at the clip: saturated.
CLIPPED_MAX: Final = 0.5
#: How far the logit moves when every feature moves by one standard deviation (the shipped models: 3.6 and 4.3).
GAIN_MIN: Final = 0.5
#: A hidden unit that gives 0 for everything is dead; a layer of more than this share of them passes nothing on.
DEAD_MAX: Final = 0.9
#: How far P moves when the logit moves by two either way; below this the calibration is flat.
CALIBRATED_SPAN_MIN: Final = 0.05


class Told(NamedTuple):
    """One assessment that had a probability."""

    node: str
    ts: float
    probability: float


def probability_stuck(
    told: Sequence[Told], predictor: Predictor | None = None, features: NDArray[np.floating] | None = None
) -> Diagnosis:
    """Judge the assessments of all nodes over the last time.

    Parameters
    ----------
    told : in any order.
    predictor, features : the model in use and the features of some nodes ``(nodes, features)``, as far as they are
        known; without them it is not told why.
    """
    nodes = len({one.node for one in told})
    numbers = {"assessments": float(len(told)), "nodes": float(nodes)}
    if len(told) < max(ASSESSMENTS_MIN, ASSESSMENTS_OF_ALL_NODES_MIN // max(1, nodes)):
        return Diagnosis(name=NAME, numbers=numbers, saying="too few assessments yet")
    ordered = sorted(told, key=lambda one: one.ts)
    since, ratio = _stuck_since(ordered)
    probability = np.array([one.probability for one in ordered])
    numbers |= {
        "near_half_ratio": float((np.abs(probability - 0.5) <= NEAR).mean()),
        "median_ratio": float(np.median(probability)),
    }
    if since is None or ratio < SHARE:
        return Diagnosis(name=NAME, numbers=numbers, saying="P tells nodes and times apart")
    if predictor is None or features is None or not len(features):
        return _stuck("unexplained", since, numbers, "the model or the features of its nodes are not at hand")
    cause, looked, why = looked_at(predictor, np.asarray(features, np.float64))
    return _stuck(cause, since, numbers | looked, why)


def _stuck(cause: str, since: float, numbers: Mapping[str, float], why: str) -> Diagnosis:
    saying = f"P stands near one half for nearly every node and tells nothing: {why}"
    return Diagnosis(name=NAME, cause=cause, since=since, numbers=numbers, saying=saying)


def _stuck_since(ordered: Sequence[Told]) -> tuple[float | None, float]:
    """The earliest time from which on the share near one half is at least ``SHARE``, and the share of such nodes."""
    near = np.array([abs(one.probability - 0.5) <= NEAR for one in ordered])
    count = np.arange(len(near), 0, -1)
    share = near[::-1].cumsum()[::-1] / count
    held = np.flatnonzero(share >= SHARE)
    if not len(held) or len(near) - held[0] < ASSESSMENTS_MIN:
        return None, 0.0
    first = int(held[0])
    by_node: dict[str, list[bool]] = {}
    for one, is_near in zip(ordered[first:], near[first:], strict=True):
        by_node.setdefault(one.node, []).append(bool(is_near))
    stuck = sum(2 * sum(flags) > len(flags) for flags in by_node.values())
    return ordered[first].ts, stuck / len(by_node)


def looked_at(predictor: Predictor, features: Doubles) -> tuple[str, dict[str, float], str]:
    """Put features ``(nodes, features)`` through a model and say which part of it keeps P where it is.

    Returns
    -------
    The cause, the numbers that each part was judged by, and why in words. The first part that fails is named, from the
    input on, for what lies behind it can be no better.
    """
    raw = (features - predictor.mean) / predictor.std
    normal = np.clip(raw, -predictor.clip, predictor.clip)
    gain, dead, killed = _passed_on(predictor, normal.mean(axis=0))
    logit = predictor.logit(features)
    bias = float(predictor.layers[-1].bias[0])
    here, without = float(np.median(logit)), float(np.median(logit)) - bias
    numbers = {
        "input_rms": float(np.sqrt((normal**2).mean())),
        "input_clipped_ratio": float((np.abs(raw) >= predictor.clip).mean()),
        "gain": gain,
        "dead_units_ratio": dead,
        "output_bias": bias,
        "logit_median": here,
        "calibrated_span": _calibrated(predictor, here + 2.0) - _calibrated(predictor, here - 2.0),
        "median_without_bias_ratio": _calibrated(predictor, without),
    }
    cause, why = _named(numbers, killed)
    return cause, numbers, why


def _named(numbers: Mapping[str, float], killed: bool) -> tuple[str, str]:
    rms, clipped, gain = numbers["input_rms"], numbers["input_clipped_ratio"], numbers["gain"]
    if rms < INPUT_RMS_MIN:
        return "scaling", f"normalised features have all but vanished (root mean square {rms:.2g}, near 1 is right)"
    if clipped > CLIPPED_MAX:
        return "scaling", f"{100 * clipped:.0f} % of the normalised features lie at the clip"
    if gain < GAIN_MIN and killed:
        return "bias", f"biases keep {100 * numbers['dead_units_ratio']:.0f} % of a hidden layer at 0 whatever comes in"
    if gain < GAIN_MIN:
        return (
            "weights",
            f"weights pass nothing on: one standard deviation of every feature moves the logit by {gain:.2g}",
        )
    if numbers["calibrated_span"] < CALIBRATED_SPAN_MIN:
        return "calibration", "the calibration gives nearly the same P for very different logits"
    if abs(numbers["median_without_bias_ratio"] - 0.5) > NEAR:
        shift = f"{numbers['output_bias']:+.2f} in the output, without which P would be"
        return "bias", f"the bias puts it there: {shift} {numbers['median_without_bias_ratio']:.3f}"
    return "unexplained", "scaling, weights, bias and calibration are all as they should be"


def _passed_on(predictor: Predictor, around: Doubles) -> tuple[float, float, bool]:
    """What the layers pass on of a standard deviation of each feature around a point, both ways.

    Returns the gain: the root of the summed squares of how far the logit moves; the largest share of dead units in a
    hidden layer; and whether those of a dead layer would live without its bias.
    """
    moved = np.concatenate([around + np.eye(len(around)), around - np.eye(len(around)), around[None]])
    x = np.clip(moved, -predictor.clip, predictor.clip)
    dead, killed = 0.0, False
    for layer in predictor.layers[:-1]:
        share = _dead(layer(x))
        if share > max(dead, DEAD_MAX):
            killed = _dead(Layer(layer.weight, np.zeros_like(layer.bias))(x)) <= DEAD_MAX
        dead = max(dead, share)
        x = np.maximum(layer(x), 0.0)
    logit = predictor.layers[-1](x)[:, 0]
    half = len(around)
    return float(np.sqrt((((logit[:half] - logit[half : 2 * half]) / 2.0) ** 2).sum())), dead, killed


def _dead(before: Doubles) -> float:
    """The share of units that are 0 in every row after max(0, x)."""
    return float((before <= 0.0).all(axis=0).mean())


def _calibrated(predictor: Predictor, logit: float) -> float:
    return float(predictor.calibration(np.array([logit]))[0])
