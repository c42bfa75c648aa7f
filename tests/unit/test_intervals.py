"""How often each policy saves: the seed's quick check, limits that are known, and the price of saving early."""

from __future__ import annotations

import math

import pytest

from models.checkpointing.aupy import aupy_interval_s, aupy_saves
from models.checkpointing.daly import daly_interval_s
from models.checkpointing.hazard import early_price_s, early_saves, hazard_rate_of_checkpoints
from models.checkpointing.lazy import lazy_interval_s
from models.checkpointing.overhead_bounded import overhead_bounded_interval_s
from models.checkpointing.young import young_interval_s
from models.hazard_rate import alarm_hazard, base_hazard, still_to_come
from models.lead import lead_density, lead_mean_s, lead_survival


def test_the_seeds_quick_check_five_and_sixty_seconds() -> None:
    assert round(young_interval_s(5.0, 60.0), 1) == 24.5
    assert round(1.0 / hazard_rate_of_checkpoints(1.0 / 60.0, 5.0), 1) == 24.5


@pytest.mark.parametrize("mtbf_s", [60.0, 11_124.0, 415_584.0])
def test_a_constant_hazard_gives_young(mtbf_s: float) -> None:
    rate = hazard_rate_of_checkpoints(base_hazard(0.0, 0.9, mtbf_s), 20.0)
    assert 1.0 / rate == pytest.approx(young_interval_s(20.0, mtbf_s), rel=1e-12)


def test_daly_nears_young_where_checkpoints_are_cheap() -> None:
    assert daly_interval_s(0.01, 1e6) == pytest.approx(young_interval_s(0.01, 1e6), rel=1e-3)


def test_a_shape_of_one_is_not_lazy_and_failures_that_cluster_are() -> None:
    assert lazy_interval_s(600.0, 1e5, 1.0) == 600.0
    assert lazy_interval_s(600.0, 2e5, 0.62) > lazy_interval_s(600.0, 1e5, 0.62) > 600.0


def test_the_cap_is_kept() -> None:
    interval_s = overhead_bounded_interval_s(20.0, 0.035)
    assert 20.0 / (interval_s + 20.0) == pytest.approx(0.035)


def test_a_predictor_that_foresees_nothing_leaves_young() -> None:
    assert aupy_interval_s(20.0, 11_124.0, 0.0) == young_interval_s(20.0, 11_124.0)
    assert math.isinf(aupy_interval_s(20.0, 11_124.0, 1.0))
    assert not aupy_saves(1e9, 20.0, 0.0)


def test_an_early_checkpoint_is_dear_when_fresh_and_free_when_due() -> None:
    prices = [early_price_s(unsaved, 600.0, 20.0) for unsaved in (0.0, 150.0, 300.0, 600.0, 1e6)]
    assert prices == sorted(prices, reverse=True)
    assert (prices[0], prices[-1]) == (20.0, 0.0)
    assert not early_saves(0.0, 1e6, 0.0)


def test_leads_are_lognormal() -> None:
    step = 0.5
    ages = [step * (index + 0.5) for index in range(60_000)]
    density = [lead_density(age, 720.0, 0.8) for age in ages]
    assert sum(density) * step == pytest.approx(1.0, abs=1e-3)
    mean = sum(age * one for age, one in zip(ages, density, strict=True)) * step
    assert mean == pytest.approx(lead_mean_s(720.0, 0.8), rel=5e-3)
    assert sum(density[:1000]) * step == pytest.approx(1.0 - lead_survival(500.0, 720.0, 0.8), abs=1e-3)


def test_the_hazard_of_an_alarm_integrates_to_its_probability() -> None:
    """What survives ∫h dt is what the alarm leaves alive: 1 − P."""
    step, total = 1.0, 0.0
    for index in range(40_000):
        age = (index + 0.5) * step
        total += step * alarm_hazard(0.7, lead_density(age, 720.0, 0.8), lead_survival(age, 720.0, 0.8))
    assert math.exp(-total) == pytest.approx(0.3, abs=1e-3)


def test_an_alarm_that_stays_without_a_failure_is_believed_less_and_less() -> None:
    chances = [
        still_to_come(0.8, lead_survival(age, 720.0, 0.8), lead_survival(age + 160.0, 720.0, 0.8))
        for age in (600.0, 1800.0, 3600.0)
    ]
    assert chances == sorted(chances, reverse=True)
    assert still_to_come(1.0, 0.0, 0.0) == alarm_hazard(1.0, 0.1, 0.0) == 0.0
