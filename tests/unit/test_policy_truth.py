"""True claims: what a predictor would claim if it told what is measured of it afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from made_runs import noisy, runs_of

from experiments.policy_lab.cases import CASES, Case
from experiments.policy_lab.draws import draw, drawn_faults
from experiments.policy_lab.profile import Profile, load_profile
from experiments.policy_lab.truth import BELIEVES_TRUTH, beside, truthful

DAY_S = 86_400.0


def small() -> Profile:
    return load_profile("small-256")


def claims(name: str) -> tuple[float, float]:
    profile, case = truthful(small(), CASES[name])
    return case.claims(profile)


def test_an_honest_predictor_claims_what_it_claimed() -> None:
    assert claims("honest") == pytest.approx((0.6, 0.8))
    assert truthful(small(), CASES["honest"])[0] == small()


def test_a_weak_one_and_a_liar_claim_less() -> None:
    assert claims("weak") == pytest.approx((0.4, 0.3))
    assert claims("lie10") == pytest.approx((0.6, 0.1))
    assert claims("lie05") == pytest.approx((0.6, 0.05))


def test_one_that_foretells_nothing_claims_almost_no_true_alarm() -> None:
    for name in ("fa1", "fa10"):
        recall, precision = claims(name)
        assert recall == 0.0
        assert 0.0 < precision < 1e-5


def test_short_leads_are_claimed_as_short() -> None:
    profile, case = truthful(small(), CASES["short"])
    assert profile.lead_median_s == pytest.approx(0.1 * small().lead_median_s)
    assert case.lead_scale == 1.0


@pytest.mark.parametrize("name", ["burst", "turn", "turn0", "cycle"])
def test_what_turns_claims_its_mean(name: str) -> None:
    recall, precision = claims(name)
    assert recall <= 0.6 + 1e-9
    assert 0.0 < precision < 0.5


@pytest.mark.parametrize("name", CASES)
def test_true_claims_leave_every_alarm_where_it_was(name: str) -> None:
    profile, case = small(), CASES[name]
    told, honest = truthful(profile, case)
    faults = drawn_faults(profile, 60 * DAY_S, 5)
    before, after = (draw(p, c, faults, 60 * DAY_S, 5) for p, c in ((profile, case), (told, honest)))
    assert np.array_equal(before.alarm_at, after.alarm_at)
    assert np.array_equal(before.alarm_fault, after.alarm_fault)
    assert np.array_equal(before.alarm_slot, after.alarm_slot)


@pytest.mark.parametrize("name", ["honest", "weak", "turn", "turn0", "burst", "cycle"])
def test_the_claimed_precision_is_that_of_the_alarms_that_come(name: str) -> None:
    profile, case = load_profile("llama3-16k"), CASES[name]
    true = total = 0
    for seed in range(6):
        drawn = draw(profile, case, drawn_faults(profile, 60 * DAY_S, seed), 60 * DAY_S, seed)
        true, total = true + int((drawn.alarm_fault >= 0).sum()), total + drawn.alarm_at.size
    told, honest = truthful(profile, case)
    assert honest.claims(told)[1] == pytest.approx(true / total, rel=0.12)


def test_runs_with_true_claims_stand_beside_the_others_under_their_own_name() -> None:
    both = beside(runs_of({"young": noisy(0.1)}), runs_of({"believes-claims": noisy(0.08)}))
    assert both.policies == ("young", BELIEVES_TRUTH)
    assert both.waste.shape == (2, 20)
    assert both.counts["failures"].shape == (2, 20)


def test_runs_of_other_seeds_are_not_put_beside_each_other() -> None:
    with pytest.raises(ValueError, match="not paired"):
        beside(runs_of({"young": noisy(0.1)}), runs_of({"believes-claims": np.full(5, 0.08)}))


def test_a_case_of_ones_own_keeps_its_name() -> None:
    assert truthful(small(), Case(name="mine", lead_scale=2.0))[1].name == "mine"
