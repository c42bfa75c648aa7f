"""When a node is left: the probability at which it pays, the price of a spare, and going on smaller."""

from __future__ import annotations

import pytest

from models.lead import lead_mean_s, lead_survival
from models.recovery.break_even import failure_cost_s, poisson_at_least, spare_price_s, worth_leaving
from models.recovery.resize import growth_gain_s, shrink_price_s, whole_replicas


def leaves(probability: float, free: int) -> bool:
    """Whether a job like llama3-16k, at the mean of its interval, leaves a node just accused."""
    failure_s = failure_cost_s(probability, 120.0, 667.0, 20.0, lead_mean_s(720.0, 0.8), 60.0, 180.0)
    price_s = 140.0 + 5.0 + spare_price_s(probability, free, 3600.0, 11_124.0)
    return worth_leaving(probability * lead_survival(160.0, 720.0, 0.8), failure_s, price_s)


def test_at_16k_it_pays_from_about_a_fifth() -> None:
    worth = [leaves(probability / 100.0, 1000) for probability in range(1, 100)]
    assert worth == sorted(worth)
    assert 0.12 < (worth.index(True) + 1) / 100.0 < 0.25


def test_the_price_rises_as_the_pool_empties() -> None:
    prices = [spare_price_s(0.5, free, 3600.0, 11_124.0) for free in range(6)]
    assert prices == sorted(prices, reverse=True)
    assert prices[0] == 900.0
    assert prices[5] < 1.0


def test_a_true_alarm_pays_nothing_for_its_spare() -> None:
    assert spare_price_s(1.0, 0, 3600.0, 11_124.0) == 0.0


def test_poisson_tails_sum_up() -> None:
    mean = sum(poisson_at_least(count, 2.5) for count in range(1, 40))
    assert mean == pytest.approx(2.5)


def test_a_job_runs_on_whole_replicas() -> None:
    assert [whole_replicas(healthy, 16) for healthy in (2048, 2047, 2033, 2032)] == [2048, 2032, 2032, 2032]


def test_growing_back_waits_for_a_restart_unless_much_is_missing() -> None:
    assert growth_gain_s(16, 2048, 11_124.0) < 140.0 < growth_gain_s(32, 2048, 11_124.0)


def test_shrinking_is_cheaper_than_waiting() -> None:
    assert shrink_price_s(0.5, 1.0, 16, 2048, 3600.0) < 0.02 * spare_price_s(0.5, 0, 3600.0, 11_124.0)
