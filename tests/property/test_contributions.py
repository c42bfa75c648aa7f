"""Contributions of features to a logit: whatever the network, they sum to the difference, and nothing is made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.explaining.contributions import as_read, contributions, pieces
from models.mlp import Layer, Predictor

CASES = settings(max_examples=60, deadline=None)
Doubles = np.ndarray[Any, np.dtype[np.float64]]


def network(seed: int, widths: list[int], clip: float = 4.0) -> Predictor:
    """A random network of these widths that reads ``widths[0]`` features."""
    random = np.random.default_rng(seed)
    layers = [
        Layer(random.normal(size=(outputs, inputs)), random.normal(size=outputs))
        for inputs, outputs in zip(widths, [*widths[1:], 1], strict=True)
    ]
    return Predictor(
        layers=tuple(layers),
        feature_names=tuple(f"f{i}" for i in range(widths[0])),
        mean=random.normal(size=widths[0]),
        std=random.uniform(0.1, 3.0, widths[0]),
        clip=clip,
        horizon_s=60.0,
        window=60,
    )


@st.composite
def questions(draw: st.DrawFn, depth_max: int = 3) -> tuple[Predictor, Doubles, Doubles]:
    """A network of up to so many hidden layers, and two inputs of it, some beyond what is clipped."""
    widths = [draw(st.integers(1, 12)) for _ in range(1 + draw(st.integers(0, depth_max)))]
    predictor = network(draw(st.integers(0, 2**32)), widths)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    features, baseline = random.normal(size=(2, widths[0])) * draw(st.sampled_from([0.0, 1.0, 30.0]))
    return predictor, features, baseline


def difference(predictor: Predictor, features: Doubles, baseline: Doubles) -> float:
    high, low = predictor.logit(np.stack([features, baseline]))
    return float(high - low)


@given(questions())
@CASES
def test_they_sum_to_the_difference_of_the_logits(question: tuple[Predictor, Doubles, Doubles]) -> None:
    given_ = contributions(*question)
    wanted = difference(*question)
    assert abs(given_.sum() - wanted) <= 1e-9 * max(1.0, np.abs(given_).sum())


@given(questions())
@CASES
def test_the_way_back_takes_what_the_way_there_gave(question: tuple[Predictor, Doubles, Doubles]) -> None:
    predictor, features, baseline = question
    there, back = contributions(predictor, features, baseline), contributions(predictor, baseline, features)
    np.testing.assert_allclose(there, -back, rtol=1e-9, atol=1e-9)


@given(questions(), st.randoms(use_true_random=False))
@CASES
def test_the_order_of_features_and_of_units_does_not_matter(
    question: tuple[Predictor, Doubles, Doubles], random: Any
) -> None:
    predictor, features, baseline = question
    order = np.array(random.sample(range(len(features)), len(features)))
    first = predictor.layers[0]
    layers = [Layer(first.weight[:, order], first.bias), *predictor.layers[1:]]
    if len(layers) > 1:
        units = np.array(random.sample(range(len(first.bias)), len(first.bias)))
        layers[0] = Layer(layers[0].weight[units], first.bias[units])
        layers[1] = Layer(layers[1].weight[:, units], layers[1].bias)
    names = tuple(predictor.feature_names[i] for i in order)
    turned = replace(
        predictor,
        layers=tuple(layers),
        feature_names=names,
        mean=predictor.mean[order],
        std=predictor.std[order],
    )
    whole = contributions(predictor, features, baseline)
    np.testing.assert_allclose(contributions(turned, features[order], baseline[order]), whole[order], atol=1e-8)


@given(questions())
@CASES
def test_what_does_not_differ_or_is_not_read_is_given_nothing(question: tuple[Predictor, Doubles, Doubles]) -> None:
    predictor, features, baseline = question
    same = features.copy()
    same[0] = baseline[0]
    assert contributions(predictor, same, baseline)[0] == 0.0
    assert not contributions(predictor, baseline, baseline).any()
    first = predictor.layers[0]
    weight = first.weight.copy()
    weight[:, 0] = 0.0
    deaf = replace(predictor, layers=(Layer(weight, first.bias), *predictor.layers[1:]))
    assert contributions(deaf, features, baseline)[0] == 0.0


@given(questions(depth_max=2))
@settings(max_examples=15, deadline=None)
def test_they_are_what_many_small_steps_come_to(question: tuple[Predictor, Doubles, Doubles]) -> None:
    """The integral as a sum over a thousand midpoints, each gradient by differences."""
    predictor, features, baseline = question
    start, end = as_read(predictor, baseline), as_read(predictor, features)
    plain = replace(predictor, mean=np.zeros_like(start), std=np.ones_like(start), clip=1e9)
    steps, nudge = 1_000, 1e-6
    at = start + ((np.arange(steps) + 0.5) / steps)[:, None] * (end - start)
    shifts = nudge * np.eye(len(start))
    gradient = np.stack([(plain.logit(at + one) - plain.logit(at - one)).mean() / (2 * nudge) for one in shifts])
    found = contributions(predictor, features, baseline)
    np.testing.assert_allclose(found, (end - start) * gradient, atol=0.02 * max(1.0, np.abs(found).max()))


@given(questions())
@CASES
def test_a_piece_is_linear(question: tuple[Predictor, Doubles, Doubles]) -> None:
    """In the middle of each piece lies the mean of its ends; and the pieces are in order, from end to end."""
    predictor, features, baseline = question
    start, away = as_read(predictor, baseline), as_read(predictor, features) - as_read(predictor, baseline)
    ends = pieces(predictor.layers, start, away)
    assert ends[0] == 0.0
    assert ends[-1] == 1.0
    assert (np.diff(ends) > 0).all()
    plain = replace(predictor, mean=np.zeros_like(start), std=np.ones_like(start), clip=1e9)
    middle = (ends[:-1] + ends[1:]) / 2
    logits = plain.logit(start + np.concatenate([ends, middle])[:, None] * away)
    at_ends, at_middles = logits[: len(ends)], logits[len(ends) :]
    np.testing.assert_allclose(at_middles, (at_ends[:-1] + at_ends[1:]) / 2, rtol=1e-9, atol=1e-8)


def test_one_layer_gives_each_feature_its_weight_times_its_difference() -> None:
    predictor = network(3, [5])
    features, baseline = np.random.default_rng(4).normal(size=(2, 5))
    wanted = predictor.layers[0].weight[0] * (as_read(predictor, features) - as_read(predictor, baseline))
    np.testing.assert_allclose(contributions(predictor, features, baseline), wanted, rtol=1e-12)


def test_what_is_clipped_counts_as_far_as_the_network_reads_it() -> None:
    predictor = network(5, [3, 4], clip=2.0)
    far = predictor.mean + 2.0 * predictor.std
    farther = predictor.mean + 9.0 * predictor.std
    whole = contributions(predictor, far, predictor.mean)
    np.testing.assert_array_equal(contributions(predictor, farther, predictor.mean), whole)


def test_a_missing_feature_has_no_logit_to_explain() -> None:
    predictor = network(6, [2, 3])
    with pytest.raises(ValueError, match="NaN"):
        contributions(predictor, np.array([1.0, np.nan]), np.zeros(2))
