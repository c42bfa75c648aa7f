"""The predictors that are compared: two forms of ours with and without the Markov features, and a peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.prediction.plan import HORIZON, Plan
from models.calibration import Calibration, fit_platt
from models.evidence import EVIDENCE_NAMES
from models.features import MARKOV_FEATURES
from models.limits import WINDOW_FRAMES
from models.mlp import Layer, Predictor
from models.training.examples import Examples

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

#: What is read, in this order: of the pipeline's features those that gather as frames come, and those of the chains.
READ: Final = (*MARKOV_FEATURES, *EVIDENCE_NAMES)
#: Names in the order in which they are told.
NAMES: Final = ("eq1", "mlp", "mlp+markov", "boosting")
#: Which of them each of two processes fits: about the same work for both.
SHARES: Final = (("mlp+markov", "eq1"), ("boosting", "mlp"))
INTERVAL_S: Final = 60.0
#: Of our networks: the widths of the layers in between, how many are averaged, the step width, the quantiles between
#: which each feature is told in pieces, and the least that a target is, and at most 1 less it.
HIDDEN: Final = (48, 24)
MEMBERS: Final = 3
RATE: Final = 2e-3
QUANTILES: Final = (0.0, 0.1, 0.5, 0.9, 0.98, 0.998, 1.0)
SURE: Final = 1e-2
#: The same for boosting.
CERTAIN: Final = 1e-4


class Scorer(Protocol):
    """What gives probabilities of features ``(n, len(READ))``."""

    def __call__(self, features: Floats) -> Doubles:
        """P(failure within the horizon), ``(n,)``."""


@dataclass(frozen=True, slots=True)
class Ours:
    """A predictor of ours on the features that it was fitted on.

    Its layers are multiplied by BLAS and in single precision, a layer of hinges (each of one input) is not multiplied
    at all: many times as fast as the pipeline, whose sums do not depend on which rows come together; probabilities
    differ in the fifth digit.
    """

    predictor: Predictor
    columns: NDArray[np.intp]

    def __call__(self, features: Floats) -> Doubles:
        own = self.predictor
        normal = (features[:, self.columns] - own.mean.astype(np.float32)) / own.std.astype(np.float32)
        x = np.array(np.clip(normal, -own.clip, own.clip).T, np.float32, order="C")
        for layer in own.layers[:-1]:
            x = _hinges(layer, x) if _is_hinges(layer) else layer.weight.astype(np.float32) @ x
            np.maximum(x + layer.bias.astype(np.float32)[:, None], np.float32(0.0), out=x)
        last = own.layers[-1]
        return own.calibration((last.weight[0].astype(np.float32) @ x).astype(np.float64) + last.bias[0])


def _is_hinges(layer: Layer) -> bool:
    return bool(((layer.weight == 0) | (layer.weight == 1)).all() and (layer.weight.sum(axis=1) == 1).all())


def _hinges(layer: Layer, x: Floats) -> Floats:
    """``(inputs, n) → (outputs, n)``: of each output its one input."""
    found: Floats = x[layer.weight.argmax(axis=1)]
    return found


@dataclass(frozen=True, slots=True)
class Boosting:
    """Gradient boosting on histograms (scikit-learn), its raw score calibrated like ours."""

    trees: Any
    calibration: Calibration

    def __call__(self, features: Floats) -> Doubles:
        return self.calibration(self.trees.predict(features))


def fitted(name: str, plan: Plan, parts: Mapping[str, Examples], progress: Callable[[], None]) -> Scorer:
    """Fit one of :data:`NAMES` on the very same parts; ``progress`` is told of each epoch."""
    if name == "boosting":
        return _boosting(plan, parts)
    from models.training.fit import Recipe, fit

    names = tuple(f for f in READ if name != "mlp" or f not in MARKOV_FEATURES)
    columns = np.array([READ.index(f) for f in names], np.intp)
    own = {part: replace(rows, features=rows.features[:, columns]) for part, rows in parts.items()}
    frame = {"feature_names": names, "horizon_s": HORIZON * INTERVAL_S, "window": WINDOW_FRAMES}
    form: Literal["logistic", "mlp"] = "logistic" if name == "eq1" else "mlp"
    recipe = Recipe(
        form=form,
        seed=plan.seed,
        epochs=plan.epochs,
        balanced=False,
    )
    if name != "eq1":
        recipe = replace(recipe, hidden=HIDDEN, members=MEMBERS, rate=RATE, quantiles=QUANTILES, certain=SURE)
    return Ours(fit(recipe, own, frame, lambda *_: progress()), columns)


def _boosting(plan: Plan, parts: Mapping[str, Examples]) -> Boosting:
    """Early stopping by the validation nodes, as for ours; fitted to the logit of a target that is a probability."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        max_iter=150,
        learning_rate=0.15,
        max_leaf_nodes=31,
        early_stopping=True,
        n_iter_no_change=15,
        random_state=plan.seed,
    )
    train, validation, held = parts["train"], parts["validation"], parts["calibration"]
    trees.fit(train.features, _logit(train.target), X_val=validation.features, y_val=_logit(validation.target))
    return Boosting(trees, fit_platt(trees.predict(held.features), held.failed))


def _logit(target: NDArray[Any]) -> Doubles:
    """Of probabilities, which are kept off 0 and 1: beyond it is all one to an alarm."""
    bounded = np.clip(target.astype(np.float64), CERTAIN, 1 - CERTAIN)
    found: Doubles = np.log(bounded / (1 - bounded))
    return found
