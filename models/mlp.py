"""Fault probability (seed, Eq. 1, generalised): P = σ(wᵀx + b), or a small network in place of wᵀx + b, in numpy.

A single layer is the seed's literal logistic form. Only element-wise operations and sums along a row's own contiguous
axis are used, so a row's probability is the same bits whatever rows share its batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibration, Platt

Doubles = NDArray[np.float64]

#: Rows multiplied at a time, so that the products stay in the cache.
_TILE_ROWS: Final = 64


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """``weight (outputs, inputs)`` and ``bias (outputs,)``, float64."""

    weight: Doubles
    bias: Doubles

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise ValueError(f"a layer of weight {self.weight.shape} cannot have a bias {self.bias.shape}")

    def __call__(self, x: Doubles) -> Doubles:
        """``(n, inputs) → (n, outputs)``.

        Without ``optimize``, einsum sums each output along the contiguous inputs, whatever the other rows are.
        """
        result: Doubles = np.einsum("ni,oi->no", np.ascontiguousarray(x), self.weight, optimize=False) + self.bias
        return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictor:
    """A trained predictor of failures: what it reads, how it computes, and where it comes from.

    Parameters
    ----------
    layers : from the features to one logit; between them max(0, x).
    feature_names : what it reads, in order.
    mean, std : ``(features,)``, to normalise with; ``clip`` bounds what is normalised, in standard deviations.
    horizon_s : the probability is that of a failure within so many seconds.
    window : frames of the window that the features were computed from.
    calibration : from the logit to the probability.
    provenance : data, split, seed and the like, as text.
    digest : of all the above, 64 hexadecimal digits; computed.
    """

    layers: tuple[Layer, ...]
    feature_names: tuple[str, ...]
    mean: Doubles
    std: Doubles
    clip: float
    horizon_s: float
    window: int
    calibration: Calibration = field(default_factory=Platt)
    provenance: Mapping[str, str] = field(default_factory=dict)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        widths = [len(self.feature_names), *(len(layer.bias) for layer in self.layers)]
        inputs = [layer.weight.shape[1] for layer in self.layers]
        if not self.layers or inputs != widths[:-1] or widths[-1] != 1:
            raise ValueError(
                f"layers take {inputs} and give {widths[1:]}: they must lead from {widths[0]} features to 1"
            )
        if self.mean.shape != (widths[0],) or self.std.shape != (widths[0],) or not (self.std > 0).all():
            raise ValueError("the normalisation needs a mean and a standard deviation above 0 for each feature")
        object.__setattr__(self, "digest", content_digest(self))

    @property
    def is_literal(self) -> bool:
        """Whether it is the seed's Eq. 1 as it stands: one layer."""
        return len(self.layers) == 1

    def logit(self, features: NDArray[np.floating[Any]]) -> Doubles:
        """Raw logits ``(n,)`` of features ``(n, len(feature_names))``."""
        if features.ndim != 2 or features.shape[1] != len(self.feature_names):
            raise ValueError(f"features of shape {features.shape}, not (n, {len(self.feature_names)})")
        x = np.clip((features - self.mean) / self.std, -self.clip, self.clip)
        return np.concatenate(
            [self._forward(x[start : start + _TILE_ROWS]) for start in range(0, len(x), _TILE_ROWS)] or [np.empty(0)]
        )

    def probability(self, features: NDArray[np.floating[Any]]) -> Doubles:
        """P(failure within ``horizon_s``), ``(n, features) → (n,)``; NaN where a feature is NaN."""
        return self.calibration(self.logit(features))

    def _forward(self, x: Doubles) -> Doubles:
        for layer in self.layers[:-1]:
            x = np.maximum(layer(x), 0.0)
        result: Doubles = self.layers[-1](x)[:, 0]
        return result


def description(predictor: Predictor) -> dict[str, Any]:
    """Everything of a predictor but its arrays and digest, as JSON values."""
    return {
        "feature_names": list(predictor.feature_names),
        "clip": predictor.clip,
        "horizon_s": predictor.horizon_s,
        "window": predictor.window,
        "calibration": {"form": type(predictor.calibration).__name__, **asdict(predictor.calibration)},
        "provenance": dict(predictor.provenance),
    }


def arrays(predictor: Predictor) -> dict[str, Doubles]:
    """The arrays of a predictor by name: ``mean``, ``std``, ``weight.0``, ``bias.0``, …"""
    named = {"mean": predictor.mean, "std": predictor.std}
    for number, layer in enumerate(predictor.layers):
        named |= {f"weight.{number}": layer.weight, f"bias.{number}": layer.bias}
    return named


def content_digest(predictor: Predictor) -> str:
    """SHA-256 of the description and of each array's name, shape and bytes."""
    whole = hashlib.sha256(json.dumps(description(predictor), sort_keys=True).encode())
    for name, array in sorted(arrays(predictor).items()):
        whole.update(f"\x1f{name}{array.shape}".encode())
        whole.update(np.ascontiguousarray(array, "<f8").tobytes())
    return whole.hexdigest()
