"""What paired runs show: ratios of means, their intervals, and ledgers that sum to the wall time."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import WALL_S, noisy, runs_of

from experiments.policy_lab.runs import BUCKETS
from experiments.policy_lab.statistics import downtime, mean, ratio, rows, saved, share_of_gain, waste_of


def test_saved_is_one_minus_the_ratio_of_the_means_and_no_mean_of_ratios() -> None:
    waste, young = np.array([0.1, 0.01]), np.array([0.2, 0.1])
    assert saved(waste, young).value == pytest.approx(1 - 0.11 / 0.3)
    assert saved(waste, young).value != pytest.approx(1 - (0.5 + 0.1) / 2)


def test_what_is_compared_with_itself_saves_nothing_for_sure() -> None:
    found = saved(noisy(0.1), noisy(0.1))
    assert (found.value, found.low, found.high, found.noise) == pytest.approx((0, 0, 0, 0), abs=1e-12)


def test_an_interval_is_in_order_and_about_its_value() -> None:
    found = saved(noisy(0.07, seed=1), noisy(0.1, seed=2))
    assert found.low < found.value < found.high
    assert found.interval == [round(found.low, 6), round(found.high, 6)]


def test_pairing_takes_out_what_the_seeds_have_in_common() -> None:
    random = np.random.default_rng(3)
    young = 0.1 * np.exp(0.3 * random.standard_normal(40))
    policy = 0.7 * young * (1 + 0.01 * random.standard_normal(40))
    paired, unpaired = saved(policy, young), saved(policy, random.permutation(young))
    assert paired.high - paired.low < 0.1 * (unpaired.high - unpaired.low)


@pytest.mark.parametrize("seeds", [10, 200])
def test_intervals_cover_the_truth_about_as_often_as_they_say(seeds: int) -> None:
    random = np.random.default_rng(4)
    held = 0
    for _ in range(600):
        common = random.gamma(20.0, 1 / 20.0, seeds)
        young = 0.1 * common * random.gamma(50.0, 1 / 50.0, seeds)
        policy = 0.08 * common * random.gamma(50.0, 1 / 50.0, seeds)
        found = saved(policy, young)
        held += found.low <= 0.2 <= found.high
    assert 0.925 <= held / 600 <= 0.975


def test_more_seeds_narrow_the_interval_by_the_root() -> None:
    widths = []
    for seeds in (100, 1_600):
        found = saved(noisy(0.07, seeds, seed=5), noisy(0.1, seeds, seed=6))
        widths.append(found.high - found.low)
    assert widths[0] / widths[1] == pytest.approx(4.0, rel=0.15)


def test_the_noise_of_one_run_does_not_shrink_with_the_number_of_seeds() -> None:
    few, many = (saved(noisy(0.07, n, seed=7), np.full(n, 0.1)).noise for n in (100, 5_000))
    assert few == pytest.approx(0.02, rel=0.25)
    assert many == pytest.approx(0.02, rel=0.05)


def test_the_same_runs_give_the_same_interval() -> None:
    assert saved(noisy(0.07), noisy(0.1, seed=1)) == saved(noisy(0.07), noisy(0.1, seed=1))


def test_one_seed_gives_no_interval_and_says_so() -> None:
    with pytest.raises(ValueError, match="1 seed gives no interval"):
        saved(np.array([0.1]), np.array([0.1]))


def test_a_reference_that_wastes_nothing_is_no_reference() -> None:
    with pytest.raises(ValueError, match="nothing to compare with"):
        ratio(np.array([1.0, 1.0]), np.array([0.0, 0.0]))


def test_the_mean_has_students_interval() -> None:
    found = mean(np.array([1.0, 2.0, 3.0]))
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx(4.302653 / np.sqrt(3), rel=1e-5)


def test_the_share_of_a_gain_is_one_for_who_gains_it_all_and_zero_for_the_reference() -> None:
    young, best = noisy(0.1, seed=8), noisy(0.06, seed=9)
    assert share_of_gain(best, best, young).value == pytest.approx(1.0)
    assert share_of_gain(young, best, young).value == pytest.approx(0.0)


def test_rows_tell_every_policy_in_order_with_a_ledger_that_sums_to_the_wall_time() -> None:
    runs = runs_of({"young": noisy(0.1), "daly": noisy(0.09, seed=1), "worse": noisy(0.2, seed=2)})
    told = rows(runs)
    assert [row["name"] for row in told] == ["young", "daly", "worse"]
    for row in told:
        assert tuple(row["ledger"]) == BUCKETS
        assert sum(row["ledger"].values()) == pytest.approx(WALL_S, abs=0.01)
        assert 1 - row["ledger"]["productive"] / WALL_S == pytest.approx(row["waste"], abs=2e-6)
        assert row["ci95"][0] <= row["saved_vs_young"] <= row["ci95"][1]
        assert row["counts"]["checkpoints"] == 4.0
    assert told[0]["saved_vs_young"] == 0.0
    assert told[1]["saved_vs_young"] > 0 > told[2]["saved_vs_young"]


def test_the_waste_of_a_policy_is_found_by_its_name() -> None:
    runs = runs_of({"young": [0.1, 0.2], "daly": [0.3, 0.4]})
    assert waste_of(runs, "daly") == pytest.approx([0.3, 0.4])
    with pytest.raises(ValueError, match="not in tuple"):
        waste_of(runs, "weekly")


def test_downtime_is_standstill_alone() -> None:
    runs = runs_of({"young": [0.28, 0.28]})
    still = dict(zip(BUCKETS, runs.seconds[0, 0], strict=True))
    expected = still["detection"] + still["restart"] + still["migration"] + still["waiting"]
    assert downtime(runs, "young") == pytest.approx([expected, expected])
    assert expected < still["checkpoint"] + still["recomputed"] + still["degraded"] + expected
