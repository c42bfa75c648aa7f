"""Trust is earned: what each end of an alarm teaches, and that a claim teaches nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from decision_log import BEGAN, HORIZON_S, UNBRAKED, DecisionLog

from models.decisions import PolicySettings, from_bytes, to_bytes
from models.records import Incident
from models.trust import (
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
)

CLAIMED_S = HORIZON_S / 2.0


def started(**set_to: Any) -> DecisionLog:
    """A job of four ranks that nobody may migrate unless a test says so, by the shipped policies."""
    return DecisionLog(PolicySettings(**{"level": "checkpoint", **set_to})).start(spares=("s0", "s1", "s2"))


def flat(trust: object) -> list[float]:
    return [number for part in trust for number in flat(part)] if isinstance(trust, tuple) else [float(str(trust))]


def false(trust: Trust) -> Trust:
    return closed_alarm(trust, dense=False, truth=0.0, unfound=False)


def true(trust: Trust, lead_s: float) -> Trust:
    closed = closed_alarm(trust, dense=False, truth=1.0, unfound=False)
    return seen_failure(seen_lead(closed, lead_s, CLAIMED_S), 1.0)


def unfound(trust: Trust) -> Trust:
    return seen_failure(closed_alarm(trust, dense=False, truth=0.0, unfound=True), hidden_truth(trust.sparse))


def past_horizon(log: DecisionLog, seconds: float = HORIZON_S) -> None:
    log.tick(seconds)


def false_alarm(log: DecisionLog, node: str = "n2", **told: Any) -> None:
    """An alarm after which nothing happens; its incident closes, and the next is hours away."""
    log.incident(node, **told)
    past_horizon(log)
    log.incident(node, "closed", probability=0.1)
    log.tick(3600.0)


def true_alarm(log: DecisionLog, lead_s: float = CLAIMED_S) -> None:
    """An alarm about n2, its failure, and the same rank on the same node again, hours later."""
    log.incident("n2")
    log.at += lead_s
    log.fate("n2")
    log.incident("n2", "closed")
    log.fate("n2", "recovered")
    log.at += 3600.0
    log.member("n2", "running", rank=2, world=4)
    log.tick(1.0)


def test_of_a_new_predictor_nothing_is_known() -> None:
    assert started().job.trust == no_trust()


def test_a_horizon_without_a_failure_makes_an_alarm_false() -> None:
    log = started()
    log.incident("n2")
    past_horizon(log, HORIZON_S - 1.0)
    assert log.job.trust == no_trust(), "it is not over"
    past_horizon(log, 1.0)
    assert log.job.trust == false(no_trust())
    past_horizon(log)
    assert log.job.trust == false(no_trust()), "one alarm ends once"


def test_a_failure_within_the_horizon_makes_it_true_and_its_lead_is_learned() -> None:
    log = started()
    log.incident("n2")
    log.at += 30.0
    log.fate("n2")
    assert flat(log.job.trust) == pytest.approx(flat(true(no_trust(), 30.0)))
    assert stretch(log.job.trust) < 1.0, "it came sooner than claimed"
    learned = log.job.trust
    past_horizon(log)
    assert log.job.trust == learned, "it does not count as false afterwards"


def test_a_failure_after_the_horizon_is_one_that_no_alarm_told_of() -> None:
    log = started()
    log.incident("n2")
    past_horizon(log, HORIZON_S + 1.0)
    log.fate("n2")
    assert log.job.trust == seen_failure(false(no_trust()), 0.0)


def test_a_failure_without_an_alarm_lowers_the_recall_and_nothing_else() -> None:
    log = started()
    log.incident("n1")
    log.at += 1.0
    log.fate("n2")
    assert log.job.trust == seen_failure(no_trust(), 0.0)
    assert believed_recall(log.job.trust) < believed_recall(no_trust())


def test_the_failure_of_a_spare_is_none_of_the_job() -> None:
    log = started()
    log.at += 1.0
    log.fate("s0")
    assert log.job.trust == no_trust()


def left(log: DecisionLog) -> None:
    """An alarm about n2, and somebody moves its rank away."""
    log.incident("n2")
    log.at += 60.0
    log.member("n2", "vacated")
    log.member("s1", "running", rank=2, world=4)


@pytest.mark.parametrize("fate", [None, "recovered"])
def test_a_node_that_was_left_and_in_which_nothing_was_found_counts_as_both(fate: str | None) -> None:
    log = started()
    left(log)
    log.at += 60.0
    if fate is not None:
        log.fate("n2", fate)
    past_horizon(log)
    assert 0.0 < hidden_truth(no_trust().sparse) < 1.0
    assert log.job.trust == unfound(no_trust())


def test_a_fault_found_in_a_node_that_was_left_makes_its_alarm_true() -> None:
    log = started()
    left(log)
    log.at += 60.0
    log.fate("n2")
    log.at += 1.0
    log.fate("n2")
    assert flat(log.job.trust) == pytest.approx(flat(true(no_trust(), 120.0))), "once, however often it is told"


def test_a_rank_that_its_own_rescue_moved_counts_the_same() -> None:
    log = DecisionLog(PolicySettings(level="migrate", migration_s=5.0, **UNBRAKED)).start()
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=101)
    (restore,) = log.carry_out(migrate)
    log.carry_out(restore)
    past_horizon(log)
    assert log.job.trust == unfound(no_trust())


def test_a_node_that_fails_while_everything_is_accused_was_hardly_foretold() -> None:
    log = started()
    for node in ("n0", "n1", "n2", "n3"):
        log.at += 1.0
        log.incident(node)
    log.at += 30.0
    log.fate("n2")
    told = log.job.trust.sparse.hits - no_trust().sparse.hits
    assert told == pytest.approx(foretold(believed_recall(no_trust()), 3, 4))
    assert told < 0.6


def test_an_incident_that_closed_early_is_still_an_alarm() -> None:
    log = started()
    log.incident("n2")
    log.at += 10.0
    log.incident("n2", "closed")
    log.at += 10.0
    log.fate("n2")
    assert flat(log.job.trust) == pytest.approx(flat(true(no_trust(), 20.0)))


def test_an_incident_that_lasts_for_days_is_one_alarm() -> None:
    log = started()
    log.incident("n2")
    for _ in range(20):
        past_horizon(log)
        log.incident("n2", "changed", probability=0.9)
    assert log.job.trust == false(no_trust())


def test_the_fourth_alarm_within_an_hour_is_dense() -> None:
    log = started()
    for node in ("n0", "n1", "n2", "n3"):
        log.at += 10.0
        log.incident(node)
    assert [alarm.dense for alarm in log.job.alarms.values()] == [False, False, False, True]
    past_horizon(log)
    assert log.job.trust.dense == closed_alarm(no_trust(), dense=True, truth=0.0, unfound=False).dense
    assert log.job.trust.sparse == false(false(false(no_trust()))).sparse


def test_a_storm_does_not_spoil_the_trust_in_single_alarms() -> None:
    log = started()
    for number in range(40):
        log.at += 1.0
        log.put(incident_named(log, f"storm-{number}", "n1"))
    past_horizon(log)
    assert log.job.trust.sparse == false(false(false(no_trust()))).sparse
    assert believed(log.job.trust.sparse) > 10.0 * believed(log.job.trust.dense)


def incident_named(log: DecisionLog, name: str, node: str) -> Incident:
    return Incident(
        id=f"{name}/0",
        job="gpt",
        node=node,
        at=log.at,
        incident=name,
        state="opened",
        probability=0.9,
        deviation=6.0,
        horizon_s=HORIZON_S,
    )


def test_an_incident_on_a_node_of_no_rank_is_no_alarm() -> None:
    log = started()
    log.incident("s0")
    past_horizon(log)
    assert log.job.trust == no_trust()


def test_an_alarm_counts_once_its_node_is_known_to_run_a_rank() -> None:
    log = DecisionLog(PolicySettings())
    log.tick(0.0)
    log.put(incident_named(log, "early", "n0"))
    log.at += 5.0
    log.member("n0", "running", rank=0, world=1)
    assert log.job.alarms["early"].at == BEGAN
    past_horizon(log)
    assert log.job.trust == false(no_trust())


def test_an_alarm_that_was_over_before_a_rank_ran_there_is_none() -> None:
    log = DecisionLog(PolicySettings())
    log.tick(0.0)
    log.put(incident_named(log, "old", "n0"))
    log.at += HORIZON_S + 1.0
    log.member("n0", "running", rank=0, world=1)
    past_horizon(log)
    assert log.job.trust == no_trust()


def test_a_past_teaches_nothing() -> None:
    log = started()
    log.tick(history=True)
    log.incident("n2", history=True)
    log.tick(HORIZON_S, history=True)
    log.fate("n3")
    log.incident("n2", "closed", history=True)
    log.tick(1.0)
    assert log.job.trust == no_trust()
    assert log.job.alarms == {}


def test_an_incident_that_outlives_the_past_is_an_alarm_from_its_first_word_in_the_present() -> None:
    log = started()
    log.tick(history=True)
    log.incident("n2", history=True)
    log.tick(HORIZON_S, history=True)
    log.tick(1.0)
    log.at += 1.0
    log.incident("n2", "changed")
    assert log.job.alarms["incident-n2"].at == log.at


@pytest.mark.parametrize("level", ["observe", "checkpoint", "quarantine", "migrate"])
def test_trust_is_earned_at_every_level(level: str) -> None:
    log = started(level=level)
    false_alarm(log)
    assert log.job.trust == false(no_trust())


def test_what_is_claimed_does_not_enter() -> None:
    trusts = []
    for claim in (0.01, 0.5, 0.999):
        log = started()
        false_alarm(log, probability=claim)
        trusts.append(log.job.trust)
    assert len(set(trusts)) == 1


def test_true_alarms_earn_belief_and_false_ones_lose_it() -> None:
    log = started()
    believed_then = [believed(log.job.trust.sparse)]
    for _ in range(5):
        true_alarm(log)
        believed_then.append(believed(log.job.trust.sparse))
    assert believed_then == sorted(believed_then)
    assert believed_then[-1] > 0.8
    assert believed_recall(log.job.trust) > 0.85
    for _ in range(30):
        false_alarm(log)
    assert believed(log.job.trust.sparse) < 5 / 35


def test_the_state_holds_trust_exactly() -> None:
    log = started()
    true_alarm(log, 77.7)
    left(log)
    again = from_bytes(to_bytes(log.state), log.settings)
    assert again == log.state
    trust = again.jobs["gpt"].trust
    assert isinstance(trust, Trust)
    assert isinstance(trust.leads, tuple)
    assert type(trust.sparse) is Counts
    assert again.jobs["gpt"].alarms == log.job.alarms
    assert replace(log.job.alarms["incident-n2"], left=False) != log.job.alarms["incident-n2"]
