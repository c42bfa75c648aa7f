"""Two predictors on the same nodes: a real difference is told, none is not, and the sums give the exact figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.training.examples import Examples
from models.training.paired import MORE_IS_BETTER, Sums, compared, figures, sums
from models.training.scores import auc, calibration_error

HORIZON, NODES, STEPS = 30, 40, 300
BUDGET = 0.2


def watched(seed: int = 0) -> Examples:
    """Nodes of which most fail once; a row is positive within the horizon before it."""
    random = np.random.default_rng(seed)
    at = {node: int(random.integers(80, STEPS)) for node in range(0, NODES, 2)}
    node = np.repeat(np.arange(NODES), STEPS)
    step = np.tile(np.arange(STEPS), NODES)
    fails = np.array([at.get(n, 10**6) for n in node])
    keep = step < fails
    failed = (fails - step <= HORIZON)[keep]
    return Examples(np.zeros((keep.sum(), 1), np.float32), failed, node[keep], step[keep], tuple(sorted(at.items())))


def guess(seen: Examples, skill: float, seed: int = 1) -> NDArray[np.float64]:
    """Probabilities that know the truth by ``skill``, and else are noise that lasts."""
    random = np.random.default_rng(seed)
    noise = random.random(len(seen.failed)) * 0.2
    result: NDArray[np.float64] = np.clip(np.where(seen.failed, skill, 0.0) + noise, 0, 1)
    return result


@pytest.fixture(scope="module")
def seen() -> Examples:
    return watched()


def of(probability: NDArray[np.float64], seen: Examples) -> Sums:
    return sums(probability, seen, np.unique(seen.node), HORIZON, BUDGET)


def test_the_sums_give_the_figures_of_all_rows(seen: Examples) -> None:
    p = guess(seen, 0.3)
    found = figures(of(p, seen), np.ones((1, NODES)))
    assert found["brier"][0] == pytest.approx(((p - seen.failed) ** 2).mean())
    assert found["ece"][0] == pytest.approx(calibration_error(p, seen.failed))
    assert found["auc"][0] == pytest.approx(auc(p, seen.failed), abs=2e-3)
    assert found["usable_recall"][0] == 1.0


def test_a_node_drawn_twice_counts_twice(seen: Examples) -> None:
    found = of(guess(seen, 0.1), seen)
    weights = np.zeros((1, NODES))
    weights[0, 4] = 2.0
    rows = seen.node == 4
    p = guess(seen, 0.1)
    assert figures(found, weights)["brier"][0] == pytest.approx(((p - seen.failed) ** 2)[rows].mean())


def test_a_clear_difference_is_told_in_its_direction(seen: Examples) -> None:
    good, poor = of(guess(seen, 0.6), seen), of(guess(seen, 0.02, seed=2), seen)
    told = compared(good, poor, random=np.random.default_rng(3))
    assert {name: found["better"] for name, found in told.items() if name != "ece"} == {
        "usable_recall": "a",
        "auc": "a",
        "brier": "a",
    }
    mirrored = compared(poor, good, random=np.random.default_rng(3))
    for name, found in told.items():
        assert mirrored[name]["difference"] == -found["difference"]
        assert mirrored[name]["ci95"] == [-found["ci95"][1], -found["ci95"][0]]
        assert {mirrored[name]["better"], found["better"]} in ({"a", "b"}, {None})


def test_a_predictor_against_itself_cannot_be_told_apart(seen: Examples) -> None:
    one = of(guess(seen, 0.3), seen)
    for found in compared(one, one, random=np.random.default_rng(3)).values():
        assert (found["difference"], found["ci95"], found["better"]) == (0.0, [0.0, 0.0], None)


def test_equal_skill_on_few_nodes_cannot_be_told_apart(seen: Examples) -> None:
    told = compared(of(guess(seen, 0.3, 1), seen), of(guess(seen, 0.3, 2), seen), random=np.random.default_rng(3))
    assert [found["better"] for found in told.values()].count(None) >= 3


def test_the_same_seed_gives_the_same_intervals(seen: Examples) -> None:
    a, b = of(guess(seen, 0.3), seen), of(guess(seen, 0.2), seen)
    assert compared(a, b, random=np.random.default_rng(3)) == compared(a, b, random=np.random.default_rng(3))
    assert compared(a, b, random=np.random.default_rng(3)) != compared(a, b, random=np.random.default_rng(4))


def test_the_interval_holds_the_difference_and_narrows_with_nodes() -> None:
    widths: dict[int, float] = {}
    for repeats in (1, 3):
        parts = [watched(seed) for seed in range(repeats)]
        seen = Examples(
            *(np.concatenate([getattr(p, name) for p in parts]) for name in ("features", "failed")),
            np.concatenate([part.node + NODES * k for k, part in enumerate(parts)]),
            np.concatenate([part.step for part in parts]),
            tuple((node + NODES * k, at) for k, part in enumerate(parts) for node, at in part.failures),
        )
        both = of(guess(seen, 0.3), seen), of(guess(seen, 0.25), seen)
        told: Any = compared(*both, random=np.random.default_rng(3))["brier"]
        assert told["ci95"][0] <= told["difference"] <= told["ci95"][1]
        widths[repeats] = told["ci95"][1] - told["ci95"][0]
    assert widths[3] < widths[1]


def test_every_figure_is_compared(seen: Examples) -> None:
    one = of(guess(seen, 0.3), seen)
    assert set(compared(one, one, np.random.default_rng(0))) == set(MORE_IS_BETTER)
