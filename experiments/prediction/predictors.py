"""The predictors that are compared: two forms of ours with and without the Markov features, and a peer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from experiments.prediction.plan import HORIZON, Plan
from models.calibration import Calibration, fit_platt
from models.features import FEATURE_NAMES, MARKOV_FEATURES
from models.limits import WINDOW_FRAMES
from models.mlp import Predictor
from models.training.examples import Examples

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

#: Names in the order in which they are told.
NAMES: Final = ("eq1", "mlp", "mlp+markov", "boosting")
#: Which of them each of two processes fits: about the same work for both.
SHARES: Final = (("mlp+markov", "eq1", "mlp"), ("boosting",))
INTERVAL_S: Final = 60.0


class Scorer(Protocol):
    """What gives probabilities of features ``(n, len(FEATURE_NAMES))``."""

    def __call__(self, features: Floats) -> Doubles:
        """P(failure within the horizon), ``(n,)``."""


@dataclass(frozen=True, slots=True)
class Ours:
    """A predictor of ours on the features that it was fitted on."""

    predictor: Predictor
    columns: NDArray[np.intp]

    def __call__(self, features: Floats) -> Doubles:
        return self.predictor.probability(features[:, self.columns])


@dataclass(frozen=True, slots=True)
class Boosting:
    """Gradient boosting on histograms (scikit-learn), its raw score calibrated like ours."""

    trees: Any
    calibration: Calibration

    def __call__(self, features: Floats) -> Doubles:
        return self.calibration(self.trees.decision_function(features))


def fitted(name: str, plan: Plan, parts: Mapping[str, Examples], progress: Callable[[], None]) -> Scorer:
    """Fit one of :data:`NAMES` on the very same parts; ``progress`` is told of each epoch."""
    if name == "boosting":
        return _boosting(plan, parts)
    from models.training.fit import Recipe, fit

    names = tuple(f for f in FEATURE_NAMES if name != "mlp" or f not in MARKOV_FEATURES)
    columns = np.array([FEATURE_NAMES.index(f) for f in names], np.intp)
    own = {part: replace(rows, features=rows.features[:, columns]) for part, rows in parts.items()}
    frame = {"feature_names": names, "horizon_s": HORIZON * INTERVAL_S, "window": WINDOW_FRAMES}
    recipe = Recipe(form="logistic" if name == "eq1" else "mlp", seed=plan.seed, epochs=plan.epochs, balanced=False)
    return Ours(fit(recipe, own, frame, lambda *_: progress()), columns)


def _boosting(plan: Plan, parts: Mapping[str, Examples]) -> Boosting:
    """Early stopping by the validation nodes, as for ours."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=150,
        learning_rate=0.15,
        max_leaf_nodes=31,
        early_stopping=True,
        n_iter_no_change=15,
        random_state=plan.seed,
    )
    train, validation, held = parts["train"], parts["validation"], parts["calibration"]
    trees.fit(train.features, train.target, X_val=validation.features, y_val=validation.target)
    return Boosting(trees, fit_platt(trees.decision_function(held.features), held.failed))
