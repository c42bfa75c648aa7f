"""Figures of a study: recall at budgets with its interval over nodes, and what stands beside it."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.fleet.presets import USABLE_LEAD_STEPS
from experiments.prediction.figures import BUDGETS, DRAWS, figures, interval, labels, node_draws
from experiments.prediction.plan import HORIZON
from models.training.scores import Timeline, judged

STEPS = 1_440


def line_of(nodes: int, foreseen: int, missed: int, false: int, seed: int = 0) -> Timeline:
    """Nodes that fail at step 1,000, some of them after an alarm; others have an alarm and do not fail."""
    rng = np.random.default_rng(seed)
    probability = rng.uniform(0, 0.2, (STEPS, nodes)).astype(np.float32)
    probability[980:1_000, :foreseen] = 0.9
    probability[200:220, nodes - false :] = 0.8 - 0.05 * np.arange(false, dtype=np.float32)
    failing = foreseen + missed
    probability[1_000:, :failing] = np.nan
    return Timeline(probability, 0, np.arange(nodes) + 7, tuple((n + 7, 1_000) for n in range(failing)))


def test_recall_is_told_at_each_budget() -> None:
    line = line_of(nodes=100, foreseen=6, missed=4, false=3)
    found = figures(line, labels(line), seed=1)
    assert found["usable_recall"] == {f"{budget:g}": 0.6 for budget in BUDGETS}
    assert found["false_episodes"] == {"0.002": 0, "0.01": 0, "0.05": 3}
    assert found["event_precision_at"] == {"0.002": 1.0, "0.01": 1.0, "0.05": pytest.approx(6 / 9, abs=1e-4)}
    assert found["event_precision"] == 1.0
    assert found["lead_minutes"]["p50"] == 18.0


def test_no_alarm_is_told_as_no_threshold() -> None:
    flat = np.full((STEPS, 4), 0.1, np.float32)
    line = Timeline(flat, 0, np.arange(4), ((0, 500),))
    found = figures(line, labels(line), seed=1)
    assert set(found["usable_recall"].values()) == {0.0}
    assert set(found["threshold"].values()) == {None}
    assert (found["pr_curve"], found["lead_minutes"]) == ([], {}) or found["event_precision"] == 0.0


def test_a_place_is_positive_within_the_horizon_of_its_nodes_failure() -> None:
    line = line_of(nodes=5, foreseen=1, missed=0, false=0)
    failed = np.full(line.probability.shape, False)
    failed[~np.isnan(line.probability)] = labels(line)
    assert np.flatnonzero(failed[:, 0]).tolist() == list(range(1_000 - HORIZON, 1_000))
    assert not failed[:, 1:].any()


def test_the_interval_is_that_of_a_bootstrap_over_nodes() -> None:
    line = line_of(nodes=400, foreseen=30, missed=20, false=0)
    found = judged(line, 0.5, HORIZON, USABLE_LEAD_STEPS)
    low, high = interval(found, line, node_draws(line, 3))
    spread = np.sqrt(0.6 * 0.4 / 50)
    assert (low, high) == pytest.approx((0.6 - 1.96 * spread, 0.6 + 1.96 * spread), abs=0.03)


def test_a_node_that_failed_twice_widens_the_interval() -> None:
    once = line_of(nodes=200, foreseen=20, missed=20, false=0)
    twice = Timeline(once.probability, 0, once.node, once.failures * 2)
    widths = []
    for line in (once, twice):
        low, high = interval(judged(line, 0.5, HORIZON, USABLE_LEAD_STEPS), line, node_draws(line, 3))
        widths.append(high - low)
    assert widths[0] == pytest.approx(widths[1], abs=0.02)  # twice the failures of the same nodes tell nothing new


def test_the_draws_are_the_same_for_all_predictors_of_a_seed() -> None:
    line = line_of(nodes=30, foreseen=3, missed=3, false=1)
    assert node_draws(line, 1).tolist() == node_draws(line, 1).tolist() != node_draws(line, 2).tolist()
    assert node_draws(line, 1).sum(axis=1).tolist() == [30] * DRAWS


def test_the_curve_trades_precision_for_recall() -> None:
    line = line_of(nodes=100, foreseen=6, missed=4, false=3)
    points = figures(line, labels(line), seed=1)["pr_curve"]
    recalls = [point["usable_recall"] for point in points]
    assert recalls == sorted(recalls)
    assert points[0]["event_precision"] >= points[-1]["event_precision"]
    assert all(0 < point["threshold"] <= 1 for point in points)
