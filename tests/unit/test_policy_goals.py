"""The registered goals: their bars, which of them runs measure, and the bar with the least margin."""

from __future__ import annotations

import pytest
from made_runs import noisy, runs_of

from experiments.policy_lab.cases import CASES
from experiments.policy_lab.goals import (
    AMPLE,
    BARS,
    OURS,
    REGRET_CASES,
    SCARCE,
    SMALL,
    Place,
    goal,
    goals,
    places,
    policies_at,
)
from experiments.policy_lab.names import KNOWS_TRUTH, POLICIES
from experiments.policy_lab.profile import profile_names
from experiments.policy_lab.runs import Runs


def bars_of(name: str) -> list[float]:
    return [bar.bar for bar in BARS if bar.goal == name]


def test_the_bars_are_those_that_were_registered() -> None:
    assert bars_of("G1") == [0.30, 0.30, 0.80, 0.18, 0.88]
    assert bars_of("G2") == [0.25, 0.75]
    assert [bars_of(name) for name in ("G3", "G5", "G6", "G7")] == [[0.07], [0.15], [0.20], [0.40]]
    assert bars_of("G4").count(-0.01) == 22
    assert sorted(set(bars_of("G4"))) == [-0.01, 0.80, 0.90]
    assert (bars_of("G4").count(0.90), bars_of("G4").count(0.80)) == (2, 2)


def test_regret_is_asked_in_every_case_there_is_on_both_profiles() -> None:
    assert set(REGRET_CASES) == set(CASES)
    assert {bar.place.profile for bar in BARS if bar.goal == "G4"} == {SCARCE, SMALL}
    assert {place.profile for place in places()} <= set(profile_names())


def test_a_place_names_the_policies_that_its_bars_need() -> None:
    assert policies_at(Place(AMPLE)) == (
        "young",
        OURS,
        "best-fixed",
        "oracle-same-recall",
        "in-memory+break-even",
        "in-memory",
    )
    assert policies_at(Place(SMALL)) == ("young", OURS, KNOWS_TRUTH, "hazard")
    assert policies_at(Place(AMPLE, "weak")) == ("young", OURS)
    assert policies_at(Place(SMALL, "turn")) == ("young", OURS, KNOWS_TRUTH)


def test_every_policy_that_a_bar_names_can_be_simulated() -> None:
    assert {name for place in places() for name in policies_at(place)} <= {*POLICIES, KNOWS_TRUTH}


def test_the_value_and_bar_of_a_goal_are_those_of_the_least_margin() -> None:
    parts = [
        {"what": "wide", "value": 0.5, "bar": 0.1},
        {"what": "narrow", "value": 0.91, "bar": 0.90},
        {"what": "middle", "value": 0.02, "bar": -0.01},
    ]
    told = goal(parts, complete=True)
    assert (told["what"], told["value"], told["bar"], told["met"]) == ("narrow", 0.91, 0.90, True)
    assert told["parts"] == parts


def test_one_missed_bar_misses_the_goal() -> None:
    told = goal([{"what": "a", "value": 0.31, "bar": 0.3}, {"what": "b", "value": 0.79, "bar": 0.8}], complete=True)
    assert not told["met"]
    assert told["what"] == "b"


def test_a_value_on_its_bar_meets_it() -> None:
    assert goal([{"what": "a", "value": 0.07, "bar": 0.07}], complete=True)["met"]


def test_a_goal_of_one_bar_has_no_parts_unless_others_were_not_measured() -> None:
    part = {"what": "a", "value": 0.2, "bar": 0.1}
    assert "parts" not in goal([part], complete=True)
    assert goal([part], complete=False)["parts"] == [part]


def ample(ours: float = 0.06) -> Runs:
    waste = {"young": 0.0888, OURS: ours, "best-fixed": 0.0885, "oracle-same-recall": 0.054}
    return runs_of({name: noisy(level, seed=at) for at, (name, level) in enumerate(waste.items())})


def test_goals_are_told_of_what_was_run_and_say_what_is_missing() -> None:
    told = goals({Place(AMPLE): ample()})
    assert list(told) == ["G1"]
    assert len(told["G1"]["parts"]) == 3
    assert not told["G1"]["complete"]
    assert told["G1"]["met"]
    assert told["G1"]["parts"][0]["value"] == pytest.approx(1 - 0.06 / 0.0888, abs=0.01)


def test_a_real_trace_is_a_place_of_its_own() -> None:
    told = goals({Place(AMPLE, traced=True): ample()})
    assert list(told) == ["G2"]
    assert told["G2"]["complete"]
    assert all("real trace" in part["what"] for part in told["G2"]["parts"])


def test_runs_without_the_compared_policy_measure_no_bar_of_it() -> None:
    told = goals({Place(AMPLE, traced=True): runs_of({"young": noisy(0.09), OURS: noisy(0.06, seed=1)})})
    assert len(told["G2"]["parts"]) == 1
    assert not told["G2"]["complete"]
    assert goals({Place(AMPLE): runs_of({"young": noisy(0.09)})}) == {}


def test_a_profile_of_ones_own_has_no_goals() -> None:
    assert goals({Place("my-cluster.toml"): ample()}) == {}


def test_regret_is_the_lower_end_and_not_the_value() -> None:
    runs = runs_of({"young": noisy(0.1, seed=1), OURS: noisy(0.1001, seed=2)})
    [part] = goals({Place(SMALL, "fa10"): runs})["G4"]["parts"]
    assert part["value"] == part["ci95"][0]
    assert part["value"] < -0.001


def small(ours: float, knowing: float) -> Runs:
    waste = {"young": noisy(0.1, seed=1), OURS: noisy(ours, seed=2), KNOWS_TRUTH: noisy(knowing, seed=3)}
    return runs_of(waste)


def test_the_share_kept_is_asked_where_the_truth_is_worth_something() -> None:
    [_, share] = goals({Place(SMALL, "weak"): small(0.085, 0.08)})["G4"]["parts"]
    assert share["bar"] == 0.80
    assert share["value"] == pytest.approx(0.75, abs=0.05)
    assert KNOWS_TRUTH in share["what"]


def test_no_share_is_asked_of_a_gain_that_is_none() -> None:
    assert len(goals({Place(SMALL, "fa10"): small(0.1, 0.1)})["G4"]["parts"]) == 1


def test_all_places_together_complete_every_goal() -> None:
    every = {name: noisy(0.1 - 0.001 * at, seed=at) for at, name in enumerate([*POLICIES, KNOWS_TRUTH])}
    told = goals(dict.fromkeys(places(), runs_of(every)))
    assert list(told) == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    assert all(goal["complete"] for goal in told.values())
    assert [name for name, goal in told.items() if "beside" in goal] == ["G4"]


def test_what_is_kept_where_a_predictor_lies_or_turns_stands_beside_the_goal_and_decides_nothing() -> None:
    waste = {"young": noisy(0.1), OURS: noisy(0.095, seed=1), KNOWS_TRUTH: noisy(0.05, seed=2)}
    told = goals({Place(SMALL, "cycle"): runs_of(waste)})["G4"]
    assert [part["what"] for part in told["beside"]] == [
        "small-256, cycle: hazard+break-even, share of the gain of knows-truth"
    ]
    assert told["beside"][0]["value"] < 0.2
    assert told["met"]
    assert len(told["parts"]) == 1
