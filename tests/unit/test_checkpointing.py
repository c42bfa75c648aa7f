"""How often a checkpoint is worth its price, by each policy and within the bounds."""

from __future__ import annotations

import math

import pytest

from models.checkpointing import (
    Accrual,
    CheckpointPolicy,
    Paper,
    Situation,
    Young,
    bounded_rate,
    checkpoint_policy,
    young_interval_s,
)
from models.policy_settings import LEVELS, PolicySettings

POLICIES: tuple[CheckpointPolicy, ...] = (Young(), Paper(alpha=0.01, beta=0.001))


def test_young_is_the_seeds_quick_check() -> None:
    """C = 5 s and μ = 60 s give an interval of 24.5 s."""
    assert young_interval_s(5.0, 60.0) == pytest.approx(24.4949, abs=1e-4)
    assert 1.0 / Young().rate(Situation(cost_s=5.0, mtbf_s=60.0)) == pytest.approx(24.4949, abs=1e-4)


def test_young_takes_no_notice_of_the_predictor() -> None:
    calm = Situation(cost_s=5.0, mtbf_s=60.0)
    alarmed = Situation(cost_s=5.0, mtbf_s=60.0, probability=0.99, load=1.0)
    assert Young().rate(calm) == Young().rate(alarmed)


@pytest.mark.parametrize(
    ("probability", "load", "rate"), [(0.0, 0.0, 0.0), (1.0, 0.0, 0.2), (0.0, 1.0, 0.05), (0.5, 0.5, 0.125)]
)
def test_paper_is_equation_2_literally(probability: float, load: float, rate: float) -> None:
    policy = Paper(alpha=0.2, beta=0.05)
    situation = Situation(cost_s=5.0, mtbf_s=60.0, probability=probability, load=load)
    assert policy.rate(situation) == pytest.approx(rate)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.name)
def test_every_policy_gives_a_finite_rate_that_is_not_negative(policy: CheckpointPolicy) -> None:
    for cost_s in (1e-6, 5.0, 3600.0):
        for probability in (0.0, 0.5, 1.0):
            rate = policy.rate(Situation(cost_s=cost_s, mtbf_s=1e7, probability=probability, load=1.0))
            assert math.isfinite(rate)
            assert rate >= 0.0


@pytest.mark.parametrize("name", ["hazard", "young", "daly", "paper", "lazy", "aupy", "overhead-bounded"])
def test_settings_choose_the_policy_by_its_name(name: str) -> None:
    assert checkpoint_policy(PolicySettings(checkpoint=name)).name == name  # type: ignore[arg-type]


def test_settings_give_the_paper_policy_its_rates() -> None:
    assert checkpoint_policy(PolicySettings(checkpoint="paper", alpha=0.3, beta=0.4)) == Paper(alpha=0.3, beta=0.4)


def test_the_overhead_cap_bounds_the_share_of_time_that_checkpoints_block() -> None:
    rate = bounded_rate(10.0, cost_s=5.0, overhead_cap=0.05)
    interval_s = 1.0 / rate
    assert 5.0 / (interval_s + 5.0) == pytest.approx(0.05)
    assert bounded_rate(1e-4, cost_s=5.0, overhead_cap=0.05) == 1e-4


def test_a_checkpoint_is_due_when_the_integral_of_the_rate_reaches_one() -> None:
    accrual = Accrual().until(100.0, 0.25)
    assert accrual == Accrual(0.0, 100.0), "nothing is owed for the time before the first tick"
    assert not accrual.until(103.0, 0.25).due
    assert accrual.until(104.0, 0.25).due


def test_a_rate_that_changes_is_integrated_piece_by_piece() -> None:
    accrual = Accrual(at=0.0).until(2.0, 0.1).until(4.0, 0.3)
    assert accrual.integral == pytest.approx(0.8)


def test_time_that_goes_back_owes_nothing() -> None:
    assert Accrual(0.5, 100.0).until(90.0, 1.0).integral == 0.5


def test_reset_begins_anew_or_makes_the_next_one_due() -> None:
    assert Accrual(1.2, 50.0).reset() == Accrual(0.0, 50.0)
    assert Accrual(1.2, 50.0).reset(1.0).due


def test_each_level_includes_the_ones_before_it() -> None:
    for given in LEVELS:
        allowed = [level for level in LEVELS if PolicySettings(level=given).allows(level)]
        assert allowed == list(LEVELS[: LEVELS.index(given) + 1])
