"""The paper's quick checks: Young by hand, a predictor stuck near one half, a chain that always does the same."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.prediction.plan import HORIZON
from experiments.seed.watching import figures, stuck, watch_fleet
from models.calibration import sigmoid
from models.checkpointing import Accrual, Situation, Young, young_interval_s
from models.features import FEATURE_NAMES
from models.limits import WINDOW_FRAMES
from models.markov import Chains, node_deviation
from models.mlp import Layer, Predictor
from models.recovery import HealthChain

FEATURES = len(FEATURE_NAMES)


def predictor(layers: tuple[Layer, ...], scale: float = 1.0) -> Predictor:
    return Predictor(
        layers=layers,
        feature_names=FEATURE_NAMES,
        mean=np.zeros(FEATURES),
        std=np.full(FEATURES, scale),
        clip=5.0,
        horizon_s=1_800.0,
        window=WINDOW_FRAMES,
    )


def test_five_seconds_and_a_minute_give_24_and_a_half_by_young() -> None:
    assert young_interval_s(5.0, 60.0) == pytest.approx(24.4949, abs=1e-4)
    rate = Young().rate(Situation(cost_s=5.0, mtbf_s=60.0))
    elapsed, accrual = 0.0, Accrual(at=0.0)
    while not accrual.due:
        elapsed += 0.01
        accrual = accrual.until(elapsed, rate)
    assert elapsed == pytest.approx(24.5, abs=0.02)


def test_young_is_the_least_of_its_own_first_order_waste() -> None:
    def waste(interval: float) -> float:
        return 5.0 / interval + interval / (2 * 60.0)

    best = young_interval_s(5.0, 60.0)
    assert waste(best) == min(waste(best * factor) for factor in (0.5, 0.9, 1.0, 1.1, 2.0))


def test_an_untrained_predictor_says_one_half_of_everything_and_is_recognised() -> None:
    untrained = predictor((Layer(np.zeros((1, FEATURES)), np.zeros(1)),))
    rows = np.random.default_rng(1).standard_normal((500, FEATURES)).astype(np.float32)
    probability = untrained.probability(rows)
    assert probability == pytest.approx(np.full(500, 0.5))
    assert stuck(probability) == 0.5


def test_one_fed_in_units_of_a_million_is_stuck_and_is_recognised() -> None:
    random = np.random.default_rng(2)
    layer = Layer(random.standard_normal((1, FEATURES)), np.zeros(1))
    rows = random.standard_normal((500, FEATURES)).astype(np.float32)
    assert stuck(predictor((layer,), scale=1e6).probability(rows)) == pytest.approx(0.5, abs=0.001)
    assert stuck(predictor((layer,)).probability(rows)) is None


def test_a_trained_weight_frees_it() -> None:
    weights = np.zeros((1, FEATURES))
    weights[0, 0] = 2.0
    rows = np.zeros((3, FEATURES), np.float32)
    rows[:, 0] = (-2, 0, 2)
    probability = predictor((Layer(weights, np.zeros(1)),)).probability(rows)
    assert probability == pytest.approx(sigmoid(np.array([-4.0, 0.0, 4.0])))
    assert stuck(probability) is None


def test_a_deterministic_chain_is_sure_and_one_surprise_does_not_blow_up() -> None:
    chains, row = Chains.empty(rows=1, metrics=1), np.array([0])
    for step in range(600):
        chains.advance(row, np.array([[3 + step % 2]], np.int8))
    calm = float(node_deviation(chains.deviation(row))[0])
    chains.advance(row, np.array([[3]], np.int8))
    chains.advance(row, np.array([[9]], np.int8))
    startled = float(node_deviation(chains.deviation(row))[0])
    assert abs(calm) < 1.0
    assert startled > calm + 0.5
    assert np.isfinite(startled)


def test_a_chain_that_always_failed_foresees_failure_and_one_recovery_makes_it_doubt() -> None:
    chain = HealthChain()
    for _ in range(20):
        chain = chain.learned("failing", "stay", "failed")
    assert chain.probability("failed", "failing", "stay", claim=0.1, weight=0.0) == 1.0
    doubting = chain.learned("failing", "stay", "ok")
    assert doubting.probability("failed", "failing", "stay", claim=0.1, weight=0.0) == pytest.approx(20 / 21)


def test_a_fleet_is_watched_through_the_pipelines_own_features() -> None:
    weights = np.random.default_rng(3).standard_normal((1, FEATURES)) * 0.1
    able = predictor((Layer(weights, np.full(1, -2.0)),))
    first, again = (watch_fleet(able, seed=11, nodes=12, days=0.25) for _ in range(2))
    assert np.array_equal(first.probability, again.probability)
    assert first.seen.failures == again.seen.failures
    assert len(first.probability) == len(first.seen.failed) > 0
    assert first.horizon == HORIZON
    assert set(np.unique(first.seen.node)) <= set(range(12))
    assert figures(first, 0.5)["accuracy_of_never"] >= 0.9
