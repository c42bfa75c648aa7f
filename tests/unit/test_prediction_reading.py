"""What the compared predictors read is what the pipeline computes, and how they are computed makes no difference."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.fleet import FleetRecording
from experiments.fleet.presets import prediction_fleet
from experiments.prediction.predictors import READ, Ours
from experiments.prediction.watching import Reading
from infra.wiring import foresight_of
from models.features import FEATURE_NAMES, columns_of
from models.mlp import Layer, Predictor
from models.training.examples import FeaturesAlone, Samples, watch
from models.training.recording import Part

STEPS = 320


def predictor(names: tuple[str, ...], hinges: int = 0) -> Predictor:
    """Weights at random; before them, if asked for, a layer of hinges of one feature each."""
    rng, size = np.random.default_rng(5), len(names)
    first = Layer(np.eye(size)[rng.integers(0, size, hinges)], rng.normal(size=hinges))
    inner = Layer(rng.normal(size=(6, hinges or size)), rng.normal(size=6))
    layers = (*((first,) if hinges else ()), inner, Layer(rng.normal(size=(1, 6)), rng.normal(size=1)))
    mean, std = rng.normal(size=size), 1 + rng.random(size)
    return Predictor(layers=layers, feature_names=names, mean=mean, std=std, clip=5.0, horizon_s=60.0, window=60)


def test_what_is_read_is_to_the_bit_what_the_pipeline_computes() -> None:
    part = Part("test", np.arange(6), 0, STEPS)
    spec = prediction_fleet(nodes=6, seed=3)
    shown = [
        [seen.features for _, _, seen in watch(FleetRecording(spec), part, Samples(FleetRecording(spec), STEPS), kind)]
        for kind in (Reading, FeaturesAlone)
    ]
    own = columns_of(READ)
    assert max(np.abs(one).max() for one in shown[0]) > 1.0
    for reading, whole in zip(*shown, strict=True):
        assert reading.tobytes() == np.ascontiguousarray(whole[:, own]).tobytes()


@pytest.mark.parametrize("hinges", [0, 200])
def test_the_labs_quick_sums_are_the_predictors(hinges: int) -> None:
    names = READ[::3]
    columns = np.array([READ.index(name) for name in names])
    features = np.random.default_rng(1).normal(size=(500, len(READ))).astype(np.float32)
    own = predictor(names, hinges)
    quick, whole = Ours(own, columns)(features), own.probability(features[:, columns])
    assert quick == pytest.approx(whole, abs=2e-5)


@pytest.mark.parametrize("names", [FEATURE_NAMES, FEATURE_NAMES[7:40]])
def test_a_worker_gives_a_predictor_the_features_that_it_reads(names: tuple[str, ...]) -> None:
    features = np.random.default_rng(2).normal(size=(20, len(FEATURE_NAMES))).astype(np.float32)
    told, own = foresight_of(predictor(names)).probability(features), features[:, columns_of(names)]
    assert told.tobytes() == predictor(names).probability(own).tobytes()
