"""The shipped policies in the fold: how the rate follows alarms, when one is worth a checkpoint, and when to leave."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from decision_log import HORIZON_S, UNBRAKED, DecisionLog

from models.checkpointing import daly, young_interval_s
from models.decisions import PolicySettings
from models.policy_settings import DAY_S
from models.prices import checkpoint_situation, coming, hazard, unforeseen_hazard
from models.records import Command
from models.trust import Trust, believed, believed_recall, closed_alarm, no_trust, seen_failure

#: A job of four ranks that fails every 1,000 s.
MTBF_S = 1000.0
FAILING = {
    "node_mtbf_days": 4 * MTBF_S / DAY_S,
    "checkpoint_cost_s": 2.0,
    "durable_s": 4.0,
    "lead_median_s": 100.0,
    "migration_s": 20.0,
}


def learned(*, true: int, false: int, foreseen: int, unforeseen: int) -> Trust:
    """What so many alarms and failures teach, the false ones first."""
    trust = no_trust()
    for truth in [0.0] * false + [1.0] * true:
        trust = closed_alarm(trust, dense=False, truth=truth, unfound=False)
    for told in [0.0] * unforeseen + [1.0] * foreseen:
        trust = seen_failure(trust, told)
    return trust


#: A predictor that was nearly always right, and one that never was.
EARNED = learned(true=40, false=2, foreseen=30, unforeseen=10)
SPOILT = learned(true=0, false=40, foreseen=0, unforeseen=40)


def started(trust: Trust = EARNED, spares: tuple[str, ...] = ("s0", "s1"), **set_to: Any) -> DecisionLog:
    log = DecisionLog(PolicySettings(**{"level": "migrate", **FAILING, **UNBRAKED, **set_to})).start(spares=spares)
    log.job.trust = trust
    return log


def rate_now(log: DecisionLog) -> float:
    return math.sqrt(hazard(log.job, log.settings, log.at) / (2.0 * 2.0))


def actions(commands: list[Command]) -> list[str]:
    return [command.action for command in commands]


def test_without_a_predictor_the_rate_is_young_s() -> None:
    """Recall comes from the prior at first; a predictor that missed every failure leaves Young's interval alone."""
    assert 1.0 / rate_now(started(SPOILT)) == pytest.approx(young_interval_s(2.0, MTBF_S), rel=0.01)


def test_failures_that_an_alarm_will_tell_of_make_the_interval_longer() -> None:
    log = started()
    assert unforeseen_hazard(log.job, log.settings) == pytest.approx((1.0 - believed_recall(EARNED)) / MTBF_S, rel=1e-3)


def test_the_hazard_of_an_alarm_rises_falls_and_ends_with_its_incident() -> None:
    log = started()
    log.incident("n2")
    begun = log.at
    found = [hazard(log.job, log.settings, begun + age) for age in (0.0, 60.0, 400.0)]
    assert found[1] > 5.0 * found[0]
    assert found[1] > found[2] > unforeseen_hazard(log.job, log.settings)
    log.at += 30.0
    log.incident("n2", "closed")
    assert hazard(log.job, log.settings, log.at) == unforeseen_hazard(log.job, log.settings)


def test_each_open_alarm_adds_its_own_hazard() -> None:
    log = started(level="observe")
    log.incident("n2")
    one = hazard(log.job, log.settings, log.at + 60.0) - unforeseen_hazard(log.job, log.settings)
    log.incident("n3")
    two = hazard(log.job, log.settings, log.at + 60.0) - unforeseen_hazard(log.job, log.settings)
    assert two == pytest.approx(2.0 * one)


def test_an_alarm_makes_regular_checkpoints_come_sooner() -> None:
    def wait_s(alarm: bool) -> float:
        log = started(level="checkpoint", min_gap_s=0.0)
        if alarm:
            log.incident("n2")
        begun, before = log.at, len(log.commands)
        while len(log.commands) == before:
            log.train(1)
            assert log.at - begun < 600.0
        return log.at - begun

    assert wait_s(alarm=True) < 0.6 * wait_s(alarm=False)


def test_early_in_an_interval_an_alarm_is_not_worth_a_checkpoint() -> None:
    log = started(level="checkpoint")
    log.train(1)
    assert log.incident("n2") == []
    assert log.job.rescues["incident-n2"].phase == "watching"


def test_with_work_at_stake_it_is_and_every_number_stands_in_the_reason() -> None:
    log = started(level="checkpoint")
    log.train(20)
    (checkpoint,) = log.incident("n2")
    numbers = checkpoint.reason.numbers
    chance, unsaved_s = numbers["P·S(a+C+W)"], numbers["unsaved_s"]
    assert checkpoint.action == "CHECKPOINT"
    assert numbers["P"] == pytest.approx(believed(EARNED.sparse))
    assert numbers["claim"] == 0.9
    assert (numbers["a"], numbers["C"], numbers["W"]) == (0.0, 2.0, 4.0)
    assert numbers["hits"] == pytest.approx(EARNED.sparse.hits)
    left = 1.0 - unsaved_s / numbers["T_young"]
    assert numbers["C(1-x)2"] == pytest.approx(2.0 * left**2)
    assert numbers["saves_s"] == pytest.approx(chance * unsaved_s)
    assert numbers["saves_s"] > numbers["C(1-x)2"]


def test_an_alarm_of_a_liar_is_worth_none() -> None:
    log = started(SPOILT)
    log.train(20)
    assert log.incident("n2", probability=0.999) == []
    assert log.ticks(2) == []


@pytest.mark.parametrize("policy", ["young", "daly", "paper"])
def test_under_the_other_policies_every_alarm_is_saved_for(policy: str) -> None:
    log = started(SPOILT, checkpoint=policy)
    assert actions(log.incident("n2")) == ["CHECKPOINT"]


def test_daly_is_daly() -> None:
    log = started(checkpoint="daly", level="checkpoint", overhead_cap=0.5)
    commands: list[Command] = []
    while not commands:
        commands = log.train(1)
    assert commands[0].reason.rule == "daly: integral of the rate reached 1"
    assert commands[0].reason.numbers["T"] == pytest.approx(daly.daly_interval_s(2.0, MTBF_S))


def leaving(log: DecisionLog) -> tuple[Command, Command]:
    """A job that has worked for a while, an alarm, and what follows when its checkpoint is durable."""
    log.train(20)
    (checkpoint,) = log.incident("n2")
    log.at += 1.0
    (migrate,) = log.save(checkpoint, step=log.job.step or 0, cost_s=2.0)
    return checkpoint, migrate


def test_trust_that_was_earned_moves_a_rank_and_both_sides_of_the_rule_are_told() -> None:
    log = started()
    _, migrate = leaving(log)
    numbers = migrate.reason.numbers
    assert migrate.action == "MIGRATE"
    assert migrate.reason.rule == "break-even: staying is expected to cost more than leaving"
    alarmed_s = math.sqrt(2.0 * numbers["C"] * numbers["E[L]"] / numbers["P"])
    failure_s = numbers["W"] + min(numbers["T_young"], alarmed_s) + numbers["D"] + numbers["R"]
    assert numbers["failure_s"] == pytest.approx(failure_s)
    assert numbers["staying_s"] == pytest.approx(numbers["P·S(a+C+M)"] * failure_s)
    assert numbers["leaving_s"] == pytest.approx(numbers["M"] + numbers["C(1-x)2"] + numbers["spare_s"])
    assert numbers["staying_s"] > numbers["leaving_s"]
    assert numbers["C(1-x)2"] == 0.0, "the checkpoint is there: it costs nothing any more"
    assert numbers["free_spares"] == 2.0


def test_a_liar_moves_nothing() -> None:
    log = started(SPOILT, checkpoint="young")
    log.train(20)
    (checkpoint,) = log.incident("n2", probability=0.999)
    assert log.save(checkpoint, step=log.job.step or 0) == []
    assert not {"MIGRATE", "RESTORE"} & set(actions(log.ticks(100)))


def test_the_pool_may_be_too_small_to_leave() -> None:
    """The last spare has its price: whoever fails while it is away waits."""
    few = learned(true=3, false=5, foreseen=30, unforeseen=10)
    ample = started(few, spares=tuple(f"s{n}" for n in range(9)), migration_s=30.0)
    ample.train(20)
    assert actions(ample.incident("n2")) == ["CHECKPOINT"]
    scarce = started(few, spares=("s0",), migration_s=30.0)
    (checkpoint,) = leaving_or_not(scarce)
    assert scarce.save(checkpoint, step=scarce.job.step or 0) == []


def leaving_or_not(log: DecisionLog) -> list[Command]:
    log.train(20)
    return log.incident("n2")


def test_without_a_spare_nothing_is_left() -> None:
    log = started(spares=())
    (checkpoint,) = leaving_or_not(log)
    assert log.save(checkpoint, step=log.job.step or 0) == []


def test_a_spare_that_comes_back_is_taken_while_the_alarm_lasts() -> None:
    log = started(spares=())
    (checkpoint,) = leaving_or_not(log)
    log.save(checkpoint, step=log.job.step or 0)
    log.at += 1.0
    assert actions(log.member("s0", "spare")) == ["MIGRATE"]


def test_when_the_horizon_is_over_the_node_is_left_alone() -> None:
    log = started(spares=())
    (checkpoint,) = leaving_or_not(log)
    log.save(checkpoint, step=log.job.step or 0)
    log.tick(HORIZON_S)
    log.at += 1.0
    assert log.member("s0", "spare") == []
    assert "incident-n2" in log.job.incidents


def test_a_checkpoint_that_was_given_up_makes_leaving_cost_the_unsaved_work() -> None:
    log = started(migration_s=0.0, restart_s=5.0, detection_s=5.0)
    log.train(20)
    (first,) = log.incident("n1")
    log.save(first, step=log.job.step or 0)
    log.incident("n1", "closed")
    log.job.rescues.clear()
    log.job.in_flight.clear()
    log.job.alarms.clear()
    log.job.accrual = log.job.accrual.reset(-1e9)
    log.train(300)
    (second,) = log.incident("n2")
    (third,) = log.outcome(second, "failed", "n1", 1, reason="disk full")
    assert log.outcome(third, "failed", "n1", 1, reason="disk full") == []
    assert log.job.rescues["incident-n2"].phase == "settled"


def test_quarantine_needs_the_break_even_too() -> None:
    trusted, lied = started(level="quarantine"), started(SPOILT, level="quarantine")
    assert "QUARANTINE" in actions(trusted.incident("n2"))
    assert lied.incident("n2", probability=0.999) == []


def test_a_lying_predictor_stops_being_acted_upon() -> None:
    """From the prior on: the first alarm is acted upon; after ten lies none is."""
    log = started(no_trust(), restart_s=600.0)
    acted = []
    for _ in range(30):
        log.at += 600.0
        log.train(20)
        commands = log.incident("n2", probability=0.99)
        acted.append(bool(commands))
        for command in list(log.job.in_flight):
            del log.job.in_flight[command]
        log.job.rescues.clear()
        log.tick(HORIZON_S)
        log.incident("n2", "closed")
        log.tick(3600.0)
    assert acted[0]
    assert not any(acted[-20:])
    assert believed(log.job.trust.sparse) < 0.001


def test_young_stays_young_whatever_was_learned() -> None:
    rates = set()
    for trust in (no_trust(), EARNED, SPOILT):
        log = started(trust, checkpoint="young")
        log.incident("n2")
        situation = checkpoint_situation(log.job, log.settings, log.at + 60.0)
        rates.add((situation.cost_s, situation.mtbf_s))
    assert len(rates) == 1


def test_an_age_too_small_to_be_one_is_none() -> None:
    log = started()
    log.incident("n2")
    log.job.alarms["incident-n2"] = replace(log.job.alarms["incident-n2"], at=0.0)
    assert math.isfinite(coming(log.job, log.job.alarms["incident-n2"], 5e-324, 1.0, log.settings))
