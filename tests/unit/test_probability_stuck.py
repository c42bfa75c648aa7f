"""P stuck near one half: each cause, injected into a sound model, makes P stick and is named; a sound one is quiet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from connectors.artefacts import load_artefact
from models.calibration import Isotonic, Platt
from models.diagnostics import CAUSES, Told, probability_stuck
from models.diagnostics.probability_stuck import ASSESSMENTS_MIN, GAIN_MIN, looked_at
from models.mlp import Layer, Predictor

NODES, WIDTH, HIDDEN, TURNS = 40, 12, 6, 25
BEGAN = 1_700_000_000.0
Doubles = NDArray[np.float64]


def sound() -> Predictor:
    """A model with a hidden layer whose logits are about ±3 on features as it was trained on."""
    random = np.random.default_rng(3)
    return Predictor(
        layers=(
            Layer(random.normal(size=(HIDDEN, WIDTH)) / 2, random.normal(size=HIDDEN) / 50),
            Layer(np.array([[2.0, -2.0, 1.5, -1.5, 1.8, -1.8]]), np.array([-0.2])),
        ),
        feature_names=tuple(f"f{number}" for number in range(WIDTH)),
        mean=np.full(WIDTH, 5.0),
        std=np.full(WIDTH, 2.0),
        clip=5.0,
        horizon_s=600.0,
        window=60,
    )


def features(turn: int = 0) -> Doubles:
    return 5.0 + 2.0 * np.random.default_rng(turn).normal(size=(NODES, WIDTH))


def alike(turn: int = 0) -> Doubles:
    """A fleet that is well, and so alike."""
    return 5.0 + 2.0 * (np.linspace(0.2, 0.6, WIDTH) + 0.05 * np.random.default_rng(turn).normal(size=(NODES, WIDTH)))


def told_by(predictor: Predictor, of: Callable[[int], Doubles] = features) -> list[Told]:
    """What a fleet's assessments say under a model, a turn of all nodes each second."""
    return [
        Told(f"n{node}", BEGAN + turn, float(p))
        for turn in range(TURNS)
        for node, p in enumerate(predictor.probability(of(turn)))
    ]


def without_scale(predictor: Predictor) -> Predictor:
    """A standard deviation in other units: all features collapse to nothing."""
    return replace(predictor, std=predictor.std * 1e5, layers=(*predictor.layers[:-1], quiet(predictor.layers[-1])))


def saturated(predictor: Predictor) -> Predictor:
    """A mean of other features: every one lies at the clip, and the weights there balance."""
    weight = np.tile([1.0, -1.0], WIDTH // 2)[None]
    return replace(predictor, mean=predictor.mean - 1e6, layers=(Layer(weight, np.zeros(1)),))


def without_weights(predictor: Predictor) -> Predictor:
    first = predictor.layers[0]
    return replace(predictor, layers=(Layer(first.weight * 1e-3, first.bias * 0.0), quiet(predictor.layers[-1])))


def dead_by_bias(predictor: Predictor) -> Predictor:
    first = predictor.layers[0]
    return replace(predictor, layers=(Layer(first.weight, np.full(HIDDEN, -1e3)), quiet(predictor.layers[-1])))


def biased(predictor: Predictor) -> Predictor:
    """Healthy nodes are at −4 by the weights, and the bias of another base rate lifts them to 0."""
    weight = np.full((1, WIDTH), -10.0 / WIDTH)
    return replace(predictor, layers=(Layer(weight, np.array([4.0])),))


def flat(predictor: Predictor) -> Predictor:
    return replace(predictor, calibration=Platt(0.0, 0.1))


def flat_isotonic(predictor: Predictor) -> Predictor:
    return replace(predictor, calibration=Isotonic((-9.0, 9.0), (0.49, 0.51)))


def quiet(layer: Layer) -> Layer:
    return Layer(layer.weight, np.zeros_like(layer.bias))


INJECTED = [
    (without_scale, features, "scaling"),
    (saturated, features, "scaling"),
    (without_weights, features, "weights"),
    (dead_by_bias, features, "bias"),
    (biased, alike, "bias"),
    (flat, features, "calibration"),
    (flat_isotonic, features, "calibration"),
]


@pytest.mark.parametrize(("fault", "fleet", "cause"), INJECTED, ids=[fault.__name__ for fault, _, _ in INJECTED])
def test_an_injected_cause_makes_p_stick_and_is_named(
    fault: Callable[[Predictor], Predictor], fleet: Callable[[int], Doubles], cause: str
) -> None:
    broken = fault(sound())
    found = probability_stuck(told_by(broken, fleet), broken, fleet(99))
    assert (found.holds, found.cause) == (True, cause), found
    assert found.since == BEGAN
    assert found.numbers["near_half_ratio"] >= 0.9
    assert found.runbook == "docs/runbooks/probability-stuck.md"


def test_every_cause_but_the_unexplained_was_injected() -> None:
    assert {cause for _, _, cause in INJECTED} | {"unexplained"} == set(CAUSES["probability-stuck"])


@pytest.mark.parametrize("fleet", [features, alike])
def test_a_sound_model_is_quiet(fleet: Callable[[int], Doubles]) -> None:
    found = probability_stuck(told_by(sound(), fleet), sound(), fleet(99))
    assert not found.holds
    assert found.since is None
    assert found.numbers["near_half_ratio"] < 0.5


@pytest.mark.parametrize("name", ["default", "eq1"])
def test_the_shipped_models_pass_on_what_comes_in(name: str) -> None:
    from pathlib import Path

    predictor = load_artefact(Path(name))
    random = np.random.default_rng(1)
    given = predictor.mean + predictor.std * random.normal(size=(30, len(predictor.feature_names)))
    _, numbers, _ = looked_at(predictor, given)
    assert numbers["gain"] > 4 * GAIN_MIN
    assert numbers["dead_units_ratio"] < 0.5
    assert numbers["calibrated_span"] > 0.2


def test_without_features_or_model_it_is_told_but_not_explained() -> None:
    told = told_by(flat(sound()))
    assert probability_stuck(told).cause == "unexplained"
    assert probability_stuck(told, flat(sound()), None).cause == "unexplained"
    assert probability_stuck(told, flat(sound()), np.empty((0, WIDTH))).cause == "unexplained"


def test_a_fleet_that_truly_stands_at_one_half_is_unexplained() -> None:
    predictor = replace(sound(), layers=(Layer(np.full((1, WIDTH), 1.0), np.zeros(1)),))
    even = features(1)
    even -= even.mean(axis=1, keepdims=True) - 5.0  # what each node's features add up to is the mean's
    found = probability_stuck([Told(f"n{n}", BEGAN + t, 0.5) for n in range(9) for t in range(99)], predictor, even)
    assert found.cause == "unexplained"


def test_it_is_told_since_when() -> None:
    before = told_by(sound())
    after = [Told(one.node, one.ts + 1000, 0.5) for one in told_by(sound()) * 2]
    found = probability_stuck([*after, *before])
    assert found.holds
    assert BEGAN + TURNS - 12 <= (found.since or 0) <= BEGAN + 1000


def test_p_that_was_stuck_once_is_no_matter_now() -> None:
    before = [Told(one.node, one.ts - 1000, 0.5) for one in told_by(sound())]
    assert not probability_stuck([*before, *told_by(sound())]).holds


def test_one_sick_node_among_many_is_no_sign() -> None:
    told = [one._replace(probability=0.5 if one.node == "n3" else 0.02) for one in told_by(sound())]
    assert not probability_stuck(told).holds


def test_a_node_that_talks_most_does_not_speak_for_all() -> None:
    loud = [Told("n0", BEGAN + turn / 100, 0.5) for turn in range(10_000)]
    quiet_ones = [Told(f"n{number}", BEGAN + turn, 0.02) for number in range(1, 40) for turn in range(2)]
    assert not probability_stuck([*loud, *quiet_ones]).holds


@pytest.mark.parametrize(("nodes", "each", "holds"), [(40, 2, False), (40, 3, True), (1, 599, False), (1, 600, True)])
def test_few_assessments_say_nothing_yet(nodes: int, each: int, holds: bool) -> None:
    told = [Told(f"n{node}", BEGAN + turn, 0.5) for node in range(nodes) for turn in range(each)]
    assert probability_stuck(told).holds is holds
    assert (len(told) >= ASSESSMENTS_MIN) or not holds


def test_the_numbers_say_what_each_part_did() -> None:
    cause, numbers, why = looked_at(biased(sound()), alike())
    assert cause == "bias"
    assert numbers["output_bias"] == 4.0
    assert numbers["median_without_bias_ratio"] == pytest.approx(0.018, abs=0.01)
    assert "+4.00" in why
    assert all(np.isfinite(value) for value in numbers.values())
