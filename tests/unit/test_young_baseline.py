"""What acting has saved: the interval is the exact one of its assumptions, and says which they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from decision_log import BEGAN, JOB
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ledger import begun, member, outcome, rescued, trained
from test_who_cost_what import failed, incident, two_ranks

from models.counterfactual import Estimate, counterfactuals, interval_of
from models.job_account import account_of
from models.policy_settings import DAY_S, PolicySettings
from models.records import Event
from models.young_baseline import Loss, quantiles, saved_against_young

SETTINGS = PolicySettings(node_mtbf_days=1.0, detection_s=20.0)
NOTHING = Estimate(0.0, 0.0, 0.0)


def uniform(low: float, high: float) -> Estimate:
    return Estimate(low, (low + high) / 2, high)


def test_one_uniform_loss_has_the_quantiles_of_a_uniform() -> None:
    found = quantiles([Loss(1.0, (uniform(0.0, 100.0),))], (0.05, 0.5, 0.95))
    assert found == pytest.approx([5.0, 50.0, 95.0], abs=0.2)


def test_two_uniform_losses_have_those_of_a_triangle() -> None:
    found = quantiles([Loss(1.0, (uniform(0.0, 1.0), uniform(0.0, 1.0)))], (0.05, 0.5, 0.95))
    assert found == pytest.approx([math.sqrt(0.1), 1.0, 2.0 - math.sqrt(0.1)], abs=0.004)


def test_a_loss_that_may_not_come_is_none_below_its_chance() -> None:
    loss = Loss(0.3, (uniform(50.0, 60.0),))
    assert quantiles([loss], (0.05, 0.69)) == [0.0, 0.0]
    assert 50.0 <= quantiles([loss], (0.75,))[0] <= 60.1


def test_many_losses_come_near_the_normal_law() -> None:
    losses = [Loss(0.5, (Estimate(10.0, 10.0, 10.0),))] * 400
    low, high = quantiles(losses, (0.05, 0.95))
    assert (low, high) == (pytest.approx(2000 - 164.5, abs=12), pytest.approx(2000 + 164.5, abs=12))


parts = st.tuples(st.floats(0, 50), st.floats(0, 50), st.floats(0, 50)).map(lambda ends: Estimate(*sorted(ends)))
losses = st.lists(st.builds(Loss, st.floats(0, 1), st.lists(parts, min_size=1, max_size=3).map(tuple)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(losses)
def test_quantiles_rise_with_their_share_and_stay_within_what_can_be(found: list[Loss]) -> None:
    told = quantiles(found, (0.0, 0.05, 0.5, 0.95, 1.0))
    assert told == sorted(told)
    assert told[0] >= 0.0
    assert told[-1] <= sum(one.high_s for one in found) * (1 + 2 / 1024) + 1e-9


@settings(max_examples=20, deadline=None)
@given(losses, st.integers(0, 5))
def test_they_are_those_of_a_simulation(found: list[Loss], seed: int) -> None:
    draw = np.random.default_rng(seed)
    total = np.zeros(20_000)
    for loss in found:
        come = draw.random(total.size) < loss.chance
        for part in loss.parts:
            lower = draw.random(total.size) < 0.5
            low, high = np.where(lower, part.low_s, part.likely_s), np.where(lower, part.likely_s, part.high_s)
            total += come * (low + (high - low) * draw.random(total.size))
    most_s = sum(one.high_s for one in found)
    for share in (0.25, 0.75):
        (told,) = quantiles(found, (share,))
        below, above = np.mean(total < told - most_s / 256), np.mean(total <= told + most_s / 256)
        assert below - 0.02 <= share <= above + 0.02


def saved(events: list[Event]) -> tuple[float, float, float]:
    found = saved_against_young(account_of(events, JOB), SETTINGS)
    assert found.level == 0.9
    return found.low_s, found.likely_s, found.high_s


def left(*after: Event) -> list[Event]:
    """A node left on an alarm of P .8, in time."""
    events = [*begun(), *trained(0, 25, step=0), incident(15, "n0", "opened"), outcome(20, "MIGRATE", "accepted", "n0")]
    return [
        *events,
        outcome(21, "MIGRATE", "done", "n0", step=21),
        outcome(22, "RESTORE", "accepted", "s0"),
        outcome(24, "RESTORE", "done", "s0", step=21),
        *after,
    ]


def test_a_job_that_lost_nothing_and_would_have_lost_nothing_saved_nothing() -> None:
    low, likely, high = saved([*begun(), *trained(0, 10, step=0)])
    assert low == likely == high
    assert likely == pytest.approx(10 / math.sqrt(2 * 5 * DAY_S) * 5), "what Young would have written meanwhile"


def test_whether_the_node_would_have_failed_is_the_p_that_was_told_until_the_log_knows() -> None:
    unknown = saved(left())
    cleared = saved(left(member(40, "n0", "spare")))
    died = saved(left(failed(40, "n0")))
    assert cleared[1] < unknown[1] < died[1]
    assert cleared[0] == cleared[2], "given back unharmed: nothing was spared, and that is sure"
    assert unknown[0] < 0 < died[0]


def test_what_becomes_of_a_node_is_told_with_its_counterfactual() -> None:
    told = [counterfactuals(left(*after), JOB, SETTINGS)[0].failed for after in ((), (failed(40, "n0"),))]
    assert told == [None, True]


def test_a_failure_that_came_would_have_come_under_young_too() -> None:
    down = [
        failed(20, "n0"),
        outcome(25, "RESTORE", "accepted", "s0"),
        outcome(27, "RESTORE", "done", "s0"),
        *trained(28, 40, step=20, node="s0"),
    ]
    events = [*begun(), *trained(0, 20, step=0), *down]
    low, likely, high = saved(events)
    writing_s = 33 / math.sqrt(2 * 5 * DAY_S) * 5
    assert likely == pytest.approx(writing_s + 10.0, abs=0.1), "all 20 s since the job began, with equal chance"
    assert (low, high) == (pytest.approx(writing_s + 1.0, abs=0.1), pytest.approx(writing_s + 19.0, abs=0.1))


def test_a_failure_never_loses_more_than_was_done() -> None:
    folds = account_of([*begun(), *trained(0, 20, step=0), failed(20, "n0")], JOB)
    assert interval_of(folds, SETTINGS) > 900
    found = saved_against_young(folds, SETTINGS)
    assert found.high_s - found.low_s < 20.0


def test_every_assumption_is_said() -> None:
    events = left(failed(40, "n0"), member(41, "n1", "running", rank=1), failed(42, "n1"))
    text = " ".join(saved_against_young(account_of(events, JOB), SETTINGS).assumptions)
    for word in ("static Young writes", "falls anywhere", "1 failed afterwards", "1 failures that did come"):
        assert word in text


def test_the_wait_for_a_spare_is_in_it() -> None:
    events = [
        *two_ranks(),
        incident(15, "n0", "opened"),
        outcome(20, "MIGRATE", "accepted", "n0"),
        outcome(21, "MIGRATE", "done", "n0"),
        member(51, "s0", "spare"),
        outcome(52, "RESTORE", "accepted", "s0"),
    ]
    (found,) = counterfactuals(events, JOB, SETTINGS)
    assert found.waiting == Estimate(0.0, 30.0 * 30.0 / 120.0, 30.0)
    assert found.total.high_s == pytest.approx(
        sum(one.high_s for one in (found.recomputed, found.detection, found.restart, found.waiting))
    )


def test_a_part_of_the_time_counts_what_happened_in_it() -> None:
    folds = account_of(left(), JOB, BEGAN + 100.0)
    assert saved_against_young(folds, SETTINGS).high_s == 0.0


def test_a_rescue_is_cheaper_than_the_failure() -> None:
    found = saved_against_young(account_of(rescued(), JOB), SETTINGS)
    assert found.cost_s == pytest.approx(0.5 + 2.0 + 3.0 + 3.0)
    assert found.young_s == pytest.approx(found.likely_s + found.cost_s)
