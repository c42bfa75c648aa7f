"""Trust is earned: lies earn nothing, honest alarms their worth, censored and chance cases count as they should."""

from __future__ import annotations

import math

import numpy as np
import pytest

from models.trust import (
    BURN_IN_FINDS,
    CAUTION,
    HITS_PRIOR,
    Counts,
    Trust,
    believed,
    believed_recall,
    closed_alarm,
    foretold,
    hidden_truth,
    no_trust,
    seen_failure,
    seen_lead,
    stretch,
    true_share,
)


def after(truths: list[float], *, dense: bool = False, trust: Trust | None = None) -> Trust:
    """The trust after alarms of nodes that stayed: 1 came true, 0 did not."""
    trust = no_trust() if trust is None else trust
    for truth in truths:
        trust = closed_alarm(trust, dense, truth, False)
    return trust


def test_lies_earn_nothing() -> None:
    probabilities = [believed(after([0.0] * lies).sparse) for lies in range(60)]
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[-1] < 2e-4


def test_without_forgetting_belief_in_lies_falls_as_the_square() -> None:
    near, far = (believed(Counts(HITS_PRIOR, lies, 0.0)) for lies in (100.0, 200.0))
    assert far / near == pytest.approx(0.25, rel=0.02)


def test_less_caution_would_leave_a_floor_under_lies() -> None:
    assert math.sqrt(HITS_PRIOR) == CAUTION


def test_honest_alarms_are_believed_up_to_doubt() -> None:
    truths = (np.random.default_rng(1).random(400) < 0.8).astype(float).tolist()
    counts = after(truths).sparse
    assert true_share(counts) == pytest.approx(0.8, abs=0.1)
    assert 0.0 < true_share(counts) - believed(counts) < 0.05


def test_one_true_alarm_is_already_worth_something() -> None:
    assert believed(after([1.0]).sparse) > 3.0 * believed(no_trust().sparse)


def test_a_storm_leaves_the_trust_in_single_alarms_as_it_was() -> None:
    earned = after([1.0] * 10)
    stormed = after([0.0] * 50, dense=True, trust=earned)
    assert stormed.sparse == earned.sparse
    assert believed(stormed.dense, dense=True) == 0.0 < 0.8 < believed(stormed.sparse)


def test_one_that_came_true_in_a_storm_proves_little() -> None:
    stormed = after([0.0] * 50 + [0.5], dense=True)
    assert believed(stormed.dense, dense=True) == 0.0
    assert believed(after([0.0] * 50 + [1.0] * 5, dense=True).dense, dense=True) > 0.05


def test_a_turn_for_the_worse_is_noticed_within_a_dozen_alarms() -> None:
    honest = after([1.0] * 40)
    assert believed(honest.sparse) > 0.9
    assert believed(after([0.0] * 12, trust=honest).sparse) < 0.7
    assert believed(after([0.0] * 100, trust=honest).sparse) < 0.1


@pytest.mark.parametrize("truth", [0.1, 0.4, 0.8])
def test_vacated_nodes_teach_the_same_share_as_those_that_stayed(truth: float) -> None:
    random = np.random.default_rng(7)
    trust, shares = no_trust(), []
    for _ in range(6000):
        found = random.random() < truth * BURN_IN_FINDS
        trust = closed_alarm(trust, False, 1.0, False) if found else closed_alarm(trust, False, 0.0, True)
        shares.append(true_share(trust.sparse))
    assert np.mean(shares[500:]) == pytest.approx(truth, abs=0.03)


def test_nodes_vacated_in_vain_cost_trust_about_as_fast_as_those_that_stayed() -> None:
    honest = after([1.0] * 10)
    vacated = honest
    for _ in range(20):
        vacated = closed_alarm(vacated, False, 0.0, True)
    stayed = after([0.0] * 20, trust=honest)
    assert believed(stayed.sparse) < believed(vacated.sparse) < 0.5 * believed(honest.sparse)


def test_the_share_of_hidden_truth_agrees_with_itself() -> None:
    counts = Counts(4.0, 3.0, 10.0)
    share = true_share(counts)
    assert share * 17.0 == pytest.approx(4.0 + 10.0 * hidden_truth(counts))


def test_everything_true_and_nothing_found_is_possible() -> None:
    assert true_share(Counts(40.0, 0.5, 0.5)) <= 1.0
    assert hidden_truth(Counts(1.0, 0.0, 0.0)) == 1.0


def test_where_everything_is_accused_nothing_is_foretold() -> None:
    assert foretold(0.6, 0, 2048) == 1.0
    assert foretold(0.2, 10_000, 32) == pytest.approx(0.2)


def test_recall_and_leads_are_learned_from_failures() -> None:
    trust = no_trust()
    for index in range(400):
        trust = seen_failure(trust, 1.0 if index % 5 < 3 else 0.0)
    assert believed_recall(trust) == pytest.approx(0.6, abs=0.03)
    for _ in range(30):
        trust = seen_lead(trust, 72.0, 720.0)
    assert stretch(trust) == pytest.approx(0.1, rel=0.3)


def test_a_failure_in_the_second_of_its_alarm_is_a_lead_of_a_second() -> None:
    assert seen_lead(no_trust(), 0.0, 720.0) == seen_lead(no_trust(), 1.0, 720.0)
