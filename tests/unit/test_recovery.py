"""Eq. 6: the chain over health states, η, and the loss L of each way on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.policy_settings import PolicySettings
from models.recovery import HealthChain, Paper, Suspicion, health_state, recovery_policy
from models.recovery.chain import STATES

PAPER = Paper(eta=0.7, theta=0.5, lambda1=1.0, lambda2=1.0, claim_weight=8.0)
SUSPICION = Suspicion(
    chain=HealthChain(),
    probability=0.9,
    spare_probability=0.0,
    ranks=4,
    unsaved_s=10.0,
    migration_s=20.0,
    detection_s=60.0,
    restart_s=30.0,
)


def chain_of(*transitions: str) -> HealthChain:
    chain = HealthChain()
    for transition in transitions:
        state, move, following = transition.split()
        chain = chain.learned(state, move, following)  # type: ignore[arg-type]
    return chain


def test_a_deterministic_chain_gives_one() -> None:
    """The seed's quick check: a chain that always goes to the same state gives it probability 1, any other 0."""
    chain = chain_of(*["failing stay failed"] * 5)
    found = [chain.probability(one, "failing", "stay", claim=0.5, weight=0.0) for one in STATES]
    assert found == [0.0, 0.0, 0.0, 1.0]


def test_without_a_count_the_claim_stands_alone() -> None:
    assert HealthChain().probability("failed", "failing", "stay", claim=0.83, weight=8.0) == pytest.approx(0.83)
    assert HealthChain().probability("failed", "failing", "stay", claim=0.83, weight=0.0) == pytest.approx(0.83)


def test_counts_outweigh_a_claim_that_is_wrong() -> None:
    chain = chain_of(*["failing stay ok"] * 8)
    assert chain.probability("failed", "failing", "stay", claim=0.9, weight=8.0) == pytest.approx(0.45)


def test_what_follows_a_state_sums_to_one() -> None:
    chain = chain_of("failing stay ok", "failing stay failed", "failing stay suspect", "suspect stay ok")
    total = sum(chain.probability(one, "failing", "stay", claim=0.3, weight=8.0) for one in STATES)
    assert total == pytest.approx(1.0)


def test_states_and_moves_are_counted_apart() -> None:
    chain = chain_of("failing stay failed", "failing migrate ok")
    assert chain.probability("failed", "failing", "migrate", claim=0.0, weight=0.0) == 0.0
    assert chain.probability("failed", "suspect", "stay", claim=0.1, weight=0.0) == 0.1


def test_learning_leaves_the_chain_that_was_alone() -> None:
    chain = HealthChain()
    chain.learned("ok", "stay", "ok")
    assert chain == HealthChain()


@pytest.mark.parametrize(
    ("probability", "state"), [(0.0, "ok"), (0.2999, "ok"), (0.3, "suspect"), (0.5999, "suspect"), (0.6, "failing")]
)
def test_theta_divides_the_health_states(probability: float, state: str) -> None:
    assert health_state(probability, theta=0.6) == state


def test_it_migrates_above_eta_and_not_at_it() -> None:
    assert PAPER.choose(replace(SUSPICION, probability=0.71)).move == "migrate"
    assert PAPER.choose(replace(SUSPICION, probability=0.7)).move == "stay"


def test_it_stays_when_migrating_costs_more_than_the_failure() -> None:
    choice = PAPER.choose(replace(SUSPICION, migration_s=1000.0))
    assert choice.move == "stay"
    assert choice.numbers["L(migrate)"] > choice.numbers["L(stay)"]


def test_the_losses_are_lambda1_resource_cost_plus_lambda2_fault_impact() -> None:
    policy = replace(PAPER, lambda1=2.0, lambda2=3.0)
    numbers = policy.choose(replace(SUSPICION, spare_probability=0.1)).numbers
    assert numbers["ResourceCost(migrate)"] == 4 * 20.0
    assert numbers["FaultImpact"] == 4 * (10.0 + 60.0 + 30.0)
    assert numbers["L(stay)"] == pytest.approx(3.0 * 0.9 * 400.0)
    assert numbers["L(migrate)"] == pytest.approx(2.0 * 80.0 + 3.0 * 0.1 * 400.0)
    assert numbers["P(failed|s,stay)"] == pytest.approx(0.9)
    assert numbers["eta"] == 0.7


def test_lambda1_makes_a_migration_dear() -> None:
    assert replace(PAPER, lambda1=100.0).choose(SUSPICION).move == "stay"


def test_false_alarms_in_the_past_keep_a_rank_where_it_is() -> None:
    suspected = replace(SUSPICION, chain=chain_of(*["failing stay ok"] * 4))
    assert PAPER.choose(SUSPICION).move == "migrate"
    assert PAPER.choose(suspected).move == "stay"


def test_a_spare_that_is_as_bad_is_not_worth_it() -> None:
    assert PAPER.choose(replace(SUSPICION, spare_probability=0.9)).move == "stay"


def test_settings_give_the_policy_its_numbers() -> None:
    settings = PolicySettings(migration="paper", eta=0.6, theta=0.4, lambda1=2.0, lambda2=3.0, claim_weight=5.0)
    assert recovery_policy(settings) == Paper(eta=0.6, theta=0.4, lambda1=2.0, lambda2=3.0, claim_weight=5.0)


def test_a_policy_that_never_leaves_stays_whatever_is_claimed() -> None:
    choice = recovery_policy(PolicySettings(migration="never")).choose(replace(SUSPICION, probability=1.0))
    assert (choice.move, choice.numbers["P"]) == ("stay", 1.0)
