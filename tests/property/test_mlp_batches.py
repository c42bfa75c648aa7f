"""A row's probability is the same bits whatever rows share its batch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.calibration import Isotonic, Platt, fit_isotonic, fit_platt
from models.mlp import Layer, Predictor

FEATURES = 58


def predictor(hidden: int, seed: int, isotonic: bool) -> Predictor:
    rng = np.random.default_rng(seed)
    widths = [FEATURES, hidden, 1] if hidden else [FEATURES, 1]
    layers = [Layer(rng.standard_normal((o, i)), rng.standard_normal(o)) for i, o in pairwise(widths)]
    return Predictor(
        layers=tuple(layers),
        feature_names=tuple(f"f{n}" for n in range(FEATURES)),
        mean=rng.standard_normal(FEATURES),
        std=rng.uniform(0.1, 3, FEATURES),
        clip=5.0,
        horizon_s=120.0,
        window=60,
        calibration=Isotonic((-4.0, 0.0, 3.0), (0.01, 0.2, 0.9)) if isotonic else Platt(0.7, -0.3),
    )


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 200),
    hidden=st.sampled_from([0, 1, 7, 24]),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    seed=st.integers(0, 2**32),
    isotonic=st.booleans(),
)
def test_any_split_of_a_batch_gives_equal_bytes(
    rows: int, hidden: int, cuts: list[int], seed: int, isotonic: bool
) -> None:
    model = predictor(hidden, seed, isotonic)
    features = np.random.default_rng(seed + 1).standard_normal((rows, FEATURES)).astype(np.float32) * 4
    whole = model.probability(features)
    parts = np.split(features, sorted(cut for cut in cuts if cut < rows))
    assert np.concatenate([model.probability(part) for part in parts]).tobytes() == whole.tobytes()
    order = np.random.default_rng(seed).permutation(rows)
    assert model.probability(features[order]).tobytes() == whole[order].tobytes()


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(20, 400), steep=st.floats(-2, 4))
@example(seed=2**32, rows=261, steep=3.0)
def test_calibration_never_reverses_the_order(seed: int, rows: int, steep: float) -> None:
    rng = np.random.default_rng(seed)
    logit = np.round(rng.standard_normal(rows) * 3, 1)
    failed = rng.random(rows) < 1 / (1 + np.exp(-steep * logit))
    failed[:2] = True, False
    grid = np.linspace(-12, 12, 200)
    for calibration in (fit_platt(logit, failed), fit_isotonic(logit, failed)):
        probability = calibration(grid)
        assert (np.diff(probability) >= 0).all()
        assert probability.min() >= 0
        assert probability.max() <= 1


def test_nan_in_one_row_stays_there() -> None:
    model = predictor(7, 1, isotonic=True)
    features = np.ones((3, FEATURES), np.float32)
    features[1, 5] = np.nan
    assert np.isnan(model.probability(features)).tolist() == [False, True, False]


def test_no_rows_give_no_probabilities() -> None:
    assert predictor(7, 1, isotonic=False).probability(np.empty((0, FEATURES))).shape == (0,)


def test_a_single_layer_is_equation_one() -> None:
    model = predictor(0, 3, isotonic=False)
    x = np.random.default_rng(4).standard_normal((5, FEATURES))
    z = np.clip((x - model.mean) / model.std, -5, 5)
    expected = 1 / (1 + np.exp(-(0.7 * (z @ model.layers[0].weight[0] + model.layers[0].bias[0]) - 0.3)))
    assert model.is_literal
    assert model.probability(x) == pytest.approx(expected, abs=1e-12)
