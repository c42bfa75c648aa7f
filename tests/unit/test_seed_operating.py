"""Experiments 1 and 2, with a fleet and a simulator made for the test: rows, claims, and plain words about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from made_runs import runs_of

from experiments.policy_lab.cases import Case
from experiments.policy_lab.policies import Settings
from experiments.policy_lab.profile import Profile, load_profile
from experiments.policy_lab.runs import Runs
from experiments.seed.claims import accuracy_claim, claim, cost_claim, of_readings
from experiments.seed.operating import READINGS, THETAS, curve, fixed_threshold, predictor_case, thresholds
from experiments.seed.watching import Watched, figures, joined, label, stuck

PROFILE = load_profile("llama3-16k-ample")
NODES, STEPS = 40, 400


def watched(seed: int = 0, skill: float = 1.0) -> Watched:
    """Nodes whose odd half fails at step 300; skill 1 foresees 20 steps ahead, with false alarms on a few others."""
    random = np.random.default_rng(seed)
    node, step = (grid.ravel() for grid in np.meshgrid(np.arange(NODES), np.arange(STEPS), indexing="ij"))
    failures = [(row, 300) for row in range(1, NODES, 2)]
    alive = (node % 2 == 0) | (step < 300)
    node, step = node[alive], step[alive]
    sign = (node % 2 == 1) & (step >= 275) & (node < 2 * skill * NODES)
    wrong = (node % 4 == 0) & (step >= 100) & (step < 140)
    level = np.where(sign, 0.45 + 0.5 * (node / NODES), np.where(wrong, 0.55, 0.01))
    probability = np.clip(level + 0.005 * random.standard_normal(len(node)), 0.0, 1.0)
    return Watched(probability, label(node, step, failures, 30), 30, 60.0, 1.5)


class Simulator:
    """Notes what it was asked; a predictor that is right more often wastes less."""

    def __init__(self, waste: dict[str, float] | None = None) -> None:
        self.asked: list[tuple[Profile, Case, tuple[str, ...], Sequence[int]]] = []
        self.settings: list[Settings] = []
        self._waste = waste or {}

    def __call__(
        self, profile: Profile, case: Case, policies: Sequence[str], seeds: Sequence[int], settings: Settings
    ) -> Runs:
        self.settings.append(settings)
        self.asked.append((profile, case, tuple(policies), seeds))
        recall, precision = case.claims(profile)
        common = 1 + 0.05 * np.random.default_rng(2).standard_normal(len(seeds))
        gain = 0.0 if case.phases[0].recall == 0.0 else 0.4 * recall * precision
        level = {name: self._waste.get(name, 0.1 if name == "young" else 0.1 * (1 - gain)) for name in policies}
        return runs_of({name: each * common for name, each in level.items()})


def test_experiment_1_has_a_row_for_each_reading_beside_young_and_the_default() -> None:
    simulator = Simulator({"eq2+6-literal-s": 0.3, "eq2+6-literal-min": 0.05, "eq2+6-literal-h": 0.25})
    told = fixed_threshold(PROFILE, watched(), 1, simulator)
    assert [(row["policy"], row["alpha_per"]) for row in told["rows"]] == [
        ("young", None),
        *((policy, unit) for unit, policy in READINGS.items()),
        ("hazard+break-even", None),
    ]
    assert {row["theta"] for row in told["rows"]} == {0.5}
    assert all({"accuracy", "checkpoint_overhead", "recovery_s"} <= set(row) for row in told["rows"])
    assert told["rows"][0]["recovery_ci95"][0] <= told["rows"][0]["recovery_s"] <= told["rows"][0]["recovery_ci95"][1]
    assert told["fleet"]["failures"] == NODES // 2
    assert told["fleet"]["stuck_at"] is None


def test_experiment_1_runs_a_hundred_failures_in_the_mean() -> None:
    simulator = Simulator()
    fixed_threshold(PROFILE, watched(), 7, simulator)
    [(profile, case, _, seeds), (_, assumed, _, again)] = simulator.asked
    assert assumed.claims(profile) == (profile.recall, profile.precision)
    assert list(again) == list(seeds)
    assert profile.days * 86_400.0 / profile.mtbf_s == pytest.approx(100.0)
    assert seeds[0] == 7
    found = figures(watched(), 0.5)
    assert case.claims(profile) == (found["recall"], found["precision"])
    assert case.phases[0].truth(profile)[0] == found["recall"]


def test_a_claim_that_only_some_readings_bear_out_depends_on_the_unit() -> None:
    simulator = Simulator({"eq2+6-literal-s": 0.3, "eq2+6-literal-min": 0.05, "eq2+6-literal-h": 0.25})
    claims = {each["claim"]: each for each in fixed_threshold(PROFILE, watched(), 1, simulator)["claims"]}
    literal = claims["30 % less downtime, by Eq. 2 and 6 with α = β = .5"]
    assert literal["holds"] == "depends on the unit of α and β, which is not stated"
    assert literal["measured"]["min"] == pytest.approx(0.5)
    assert literal["measured"]["s"] == pytest.approx(-2.0)


def test_a_claim_that_no_reading_bears_out_does_not_hold() -> None:
    simulator = Simulator(dict.fromkeys(READINGS.values(), 0.2))
    claims = fixed_threshold(PROFILE, watched(), 1, simulator)["claims"]
    assert claims[0]["holds"] is False
    assert claims[1]["claim"] == "30 % less downtime, by the default policy"
    assert claims[1]["measured"] == pytest.approx(0.4 * 0.9 * 0.64, abs=0.05)


def test_every_claim_of_the_paper_is_spoken_of() -> None:
    texts = " ".join(each["claim"] for each in fixed_threshold(PROFILE, watched(), 1, Simulator())["claims"])
    for word in ("30 % less downtime", "90 % prediction accuracy", "8.30 s against 10.25 to 20.00 s"):
        assert word in texts


def test_experiment_2_has_a_row_for_each_threshold_and_finds_the_cheapest() -> None:
    simulator = Simulator()
    told = thresholds(PROFILE, watched(), 1, simulator)
    assert {settings.eta for settings in simulator.settings} == {0.0}  # every alarm is acted upon
    assert [row["theta"] for row in told["rows"]] == list(THETAS)
    recall = [row["recall"] for row in told["rows"]]
    assert recall == sorted(recall, reverse=True)
    costs = [row["acting"]["waste"] for row in told["rows"]]
    assert told["cheapest_theta"] == THETAS[int(np.argmin(costs))] == 0.6
    assert told["claims"][0]["holds"] is False
    assert told["claims"][0]["measured"]["extra_cost_at_half"] > 0


def test_a_threshold_that_costs_as_little_as_the_best_is_one_to_take() -> None:
    told = thresholds(PROFILE, watched(), 1, Simulator({"young+eq6": 0.08}))
    assert told["claims"][0]["holds"] is True


def test_the_curve_of_precision_and_recall_is_ordered_by_threshold() -> None:
    points = curve(watched())
    levels = [point["theta"] for point in points]
    assert levels == sorted(levels)
    assert points[0]["recall"] >= points[-1]["recall"]
    assert all(0 <= point["precision"] <= 1 for point in points)


def test_accuracy_stands_beside_that_of_never() -> None:
    told = accuracy_claim(0.97, 0.996)
    assert told["holds"] is True
    assert "0.99600" in told["reason"]
    assert accuracy_claim(0.85, 0.996)["holds"] is False
    assert accuracy_claim(0.885, 0.9)["holds"] is True


def test_a_cost_without_a_workload_is_neither_confirmed_nor_refuted() -> None:
    told = cost_claim({"young": 1.0})
    assert told["holds"] is None
    assert "no workload" in told["reason"]


def test_what_holds_is_true_false_unknown_or_depends_on_something() -> None:
    with pytest.raises(ValueError, match="neither holds nor depends"):
        claim("c", None, 1.0, "maybe", "r")
    assert of_readings({"s": 0.4, "h": 0.5}, 0.3, "the unit") is True
    assert of_readings({"s": 0.1, "h": 0.2}, 0.3, "the unit") is False


@pytest.mark.parametrize(("recall", "precision"), [(0.0, 0.5), (0.5, 0.0)])
def test_a_predictor_that_foresees_nothing_raises_no_alarms(recall: float, precision: float) -> None:
    case = predictor_case({"recall": recall, "precision": precision})
    assert case.phases[0].truth(PROFILE) == (0.0, 0.0)


def test_a_predictor_stuck_near_one_half_is_recognised() -> None:
    untrained = 0.5 + 0.004 * np.random.default_rng(1).standard_normal(1_000).clip(-2, 2)
    assert stuck(untrained) == pytest.approx(0.5, abs=0.001)
    assert stuck(np.array([0.0, 0.0, 1.0])) is None
    assert stuck(np.zeros(10)) == 0.0


def test_labels_look_ahead_by_the_horizon_and_no_further() -> None:
    node, step = np.zeros(10, np.intp), np.arange(10)
    seen = label(node, step, [(0, 8), (5, 3)], horizon=3)
    assert np.flatnonzero(seen.failed).tolist() == [5, 6, 7]
    assert seen.failures == ((0, 8),)


def test_a_failure_before_a_node_was_warm_is_nobodys_to_foresee() -> None:
    assert label(np.zeros(3, np.intp), np.arange(10, 13), [(0, 5), (0, 12)], 3).failures == ((0, 12),)


def test_two_fleets_become_one_without_sharing_a_node() -> None:
    both = joined([watched(0), watched(1)])
    assert both.failures == 2 * watched().failures
    assert len(np.unique(both.seen.node)) == 2 * NODES
    assert both.node_hours == pytest.approx(2 * watched().node_hours)
    assert both.cpu_s == 3.0
    one, two = figures(watched(0), 0.5), figures(both, 0.5)
    assert two["recall"] == pytest.approx(one["recall"], abs=0.05)


def test_results_are_values_that_json_knows() -> None:
    import json

    told: dict[str, Any] = thresholds(PROFILE, watched(), 1, Simulator())
    assert json.loads(json.dumps(told, allow_nan=False)) == told
