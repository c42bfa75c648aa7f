"""A pool of spares under failures of several nodes at once: by hand where a hand can, by its laws where not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.policy_lab.profile import Profile, load_profile
from experiments.policy_lab.sizing import cheapest, sized
from experiments.seed.concurrent import CONCURRENT, POOLS, experiment
from experiments.seed.standing import draws, incidents

HOUR_S = 3_600.0
PROFILE = dataclasses.replace(load_profile("small-256"), detection_s=60.0, restart_s=180.0)


def made(running: list[float], repairs: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(running), np.array(repairs)


def test_enough_spares_cost_detection_and_restart_alone() -> None:
    found = incidents(PROFILE, 2, 2, made([1_000.0], [[HOUR_S, HOUR_S]]))
    assert found.contended == 0.0
    assert found.recovery_s.tolist() == [240.0]
    assert found.still_share == pytest.approx(240.0 / 1_240.0)
    assert found.idle_nodes == pytest.approx(2 * 1_000.0 / 1_240.0)


def test_without_spares_the_job_waits_for_the_last_repair_of_what_it_lost() -> None:
    found = incidents(PROFILE, 0, 2, made([1_000.0], [[HOUR_S, 3 * HOUR_S]]))
    assert found.contended == 1.0
    assert found.recovery_s.tolist() == [3 * HOUR_S + 180.0]
    assert found.idle_nodes == 0.0


def test_one_spare_for_two_failures_waits_for_the_first_repair() -> None:
    found = incidents(PROFILE, 1, 2, made([1_000.0], [[HOUR_S, 3 * HOUR_S]]))
    assert found.contended == 1.0
    assert found.recovery_s.tolist() == [HOUR_S + 180.0]


def test_a_repair_within_the_detection_costs_no_waiting() -> None:
    found = incidents(PROFILE, 0, 1, made([1_000.0], [[30.0]]))
    assert found.recovery_s.tolist() == [240.0]


def test_a_second_incident_finds_the_pool_that_the_first_left() -> None:
    long = [[100 * HOUR_S], [HOUR_S]]
    found = incidents(PROFILE, 1, 1, made([1_000.0, 1_000.0], long))
    assert found.contended == 0.5
    assert found.recovery_s.tolist() == [240.0, HOUR_S + 180.0]


def test_a_repaired_node_is_a_spare_again() -> None:
    found = incidents(PROFILE, 1, 1, made([1_000.0, 2 * HOUR_S], [[HOUR_S], [HOUR_S]]))
    assert found.contended == 0.0


@settings(max_examples=40, deadline=None)
@given(spares=st.integers(0, 6), together=st.integers(1, 3), seed=st.integers(0, 999))
def test_with_a_larger_pool_the_job_is_never_later_at_any_incident(spares: int, together: int, seed: int) -> None:
    drawn = draws(PROFILE, together, 20, seed)
    less, more = (incidents(PROFILE, size, together, drawn) for size in (spares, spares + 1))
    assert (np.cumsum(more.recovery_s) <= np.cumsum(less.recovery_s) + 1e-6).all()
    assert (more.recovery_s >= PROFILE.detection_s + PROFILE.restart_s - 1e-6).all()
    assert 0.0 <= more.still_share < 1.0
    assert more.idle_nodes <= spares + 1


def test_draws_are_those_of_the_seed_and_of_nothing_else() -> None:
    first, again, other = (draws(PROFILE, 2, 10, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    running, repairs = draws(PROFILE, 3, 40_000, 3)
    assert running.mean() == pytest.approx(PROFILE.mtbf_s, rel=0.03)
    assert np.median(repairs) == pytest.approx(PROFILE.repair_median_s, rel=0.03)


def test_the_cheapest_pool_takes_what_cannot_be_told_from_it_along() -> None:
    random = np.random.default_rng(1)
    base = 5.0 + random.standard_normal(50)
    costs = [base + 1.0 + 0.1 * random.standard_normal(50), base, base + 0.3 * random.standard_normal(50)]
    best, as_good = cheapest(costs)
    assert best in {1, 2}
    assert as_good == [1, 2]


def test_sizing_weighs_what_is_lost_against_the_spares() -> None:
    asked: list[int | None] = []

    def lost(pool: Profile) -> np.ndarray:
        asked.append(pool.spares)
        level = 0.5 if not pool.spares else 0.05 / pool.spares
        return np.array([level, level * 1.01])

    found = sized(PROFILE, lost, range(5))
    assert asked == [0, 1, 2, 3, 4]
    assert found["recommended"] == 1
    row = found["rows"][1]
    assert row["idle_gpu_hours_a_day"] == 24 * 8
    assert row["cost_gpu_hours_a_day"] == pytest.approx(
        row["idle_gpu_hours_a_day"] + row["lost_gpu_hours_a_day"], abs=0.2
    )
    assert row["lost_ci95"][0] <= row["lost"] <= row["lost_ci95"][1]


@pytest.fixture(scope="module")
def third() -> dict:
    return experiment(PROFILE, 1)


def test_experiment_3_has_a_row_for_each_pool_and_number_of_failures(third: dict) -> None:
    places = [(row["concurrent"], row["spares"]) for row in third["rows"]]
    assert places == [(together, spares) for together in CONCURRENT for spares in POOLS]
    assert len(places) == 18
    for row in third["rows"]:
        assert 0.0 <= row["contention"] <= 1.0
        assert row["recovery_ci95"][0] <= row["recovery_s"] <= row["recovery_ci95"][1]
        parts = row["idle_gpu_hours_a_day"] + row["standstill_gpu_hours_a_day"]
        assert row["cost_gpu_hours_a_day"] == pytest.approx(parts, abs=0.2)


def test_experiment_3_recommends_one_pool_for_each_number_of_failures(third: dict) -> None:
    for together in CONCURRENT:
        rows = [row for row in third["rows"] if row["concurrent"] == together]
        [best] = [row for row in rows if row["recommended"]]
        assert best["cost_gpu_hours_a_day"] == min(row["cost_gpu_hours_a_day"] for row in rows)
        assert rows[0]["contention"] == 1.0
        assert rows[together - 1]["contention"] == 1.0
        assert rows[together]["contention"] < 0.9
        assert 0 < best["spares"] < 8


def test_experiment_3_says_on_what_its_claims_depend(third: dict) -> None:
    assert len(third["claims"]) == 2
    for claim in third["claims"]:
        assert claim["holds"].startswith("depends on")
        assert claim["measured"]["recommended_spares"] in claim["measured"]["as_good"]
        assert claim["paper"] is None


def test_experiment_3_is_the_same_for_the_same_seed(third: dict) -> None:
    assert experiment(PROFILE, 1) == third
