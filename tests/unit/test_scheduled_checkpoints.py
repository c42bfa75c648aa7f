"""Checkpoints by the rate: when they are due, what bounds them, and what a failed one leads to."""

from __future__ import annotations

import pytest
from decision_log import DecisionLog

from models.records import Command

#: With four ranks this makes μ of the job 60 s.
MTBF_60_S = {"node_mtbf_days": 4 * 60.0 / 86_400.0, "overhead_cap": 0.5}

#: A node lasts a day, so that a spare is not expected to fail within the horizon; T is then 46 s.
SPARES_ARE_GOOD = {"node_mtbf_days": 1.0, "checkpoint_cost_s": 0.05}


def young(**set_to: object) -> DecisionLog:
    return DecisionLog(**{"checkpoint_cost_s": 5.0, **MTBF_60_S, **set_to}).start()


def trained_until_checkpoint(log: DecisionLog, seconds_max: int = 400) -> tuple[Command, float]:
    begun = log.at
    for _ in range(seconds_max):
        for command in log.train(1):
            return command, log.at - begun
    raise AssertionError(f"no checkpoint within {seconds_max} s")


def test_young_orders_one_each_interval() -> None:
    """T = √(2·5·60) = 24.5 s, counted from the job's first tick and found at the first tick after it."""
    log = young()
    checkpoint, waited_s = trained_until_checkpoint(log)
    assert (checkpoint.action, checkpoint.incident, checkpoint.ranks) == ("CHECKPOINT", None, (0, 1, 2, 3))
    assert waited_s == pytest.approx(1.0 + 25.0, abs=0.2)
    assert checkpoint.reason.rule == "young: integral of the rate reached 1"
    assert checkpoint.reason.numbers["T"] == pytest.approx(24.4949, abs=1e-4)
    assert checkpoint.reason.numbers["C"] == 5.0
    assert checkpoint.reason.numbers["mtbf_s"] == pytest.approx(60.0)
    assert checkpoint.reason.numbers["integral"] >= 1.0
    assert checkpoint.reason.numbers["unsaved_s"] == pytest.approx(25.0, abs=1.0)
    assert checkpoint.reason.evidence == (f"control.event.v1/0/{len(log.events) - 1}",)


def test_the_cost_that_was_measured_sets_the_next_interval() -> None:
    log = young()
    checkpoint, _ = trained_until_checkpoint(log)
    log.save(checkpoint, step=150, cost_s=20.0)
    following, waited_s = trained_until_checkpoint(log)
    assert following.reason.numbers["T"] == pytest.approx((2 * 20.0 * 60.0) ** 0.5)
    assert waited_s == pytest.approx(49.0, abs=1.0)


def test_later_measurements_move_the_cost_by_a_share() -> None:
    log = young(min_gap_s=0.0)
    costs = []
    for cost_s in (4.0, 5.0):
        checkpoint, _ = trained_until_checkpoint(log)
        log.save(checkpoint, step=log.job.step or 0, cost_s=cost_s)
        costs.append(log.job.cost_s)
    assert costs == [4.0, pytest.approx(4.3)]


def test_paper_follows_the_largest_probability_and_the_load() -> None:
    log = DecisionLog(checkpoint="paper", alpha=0.05, beta=0.02, overhead_cap=0.5, level="checkpoint").start()
    (alarm,) = log.incident("n2", probability=0.4)
    log.save(alarm, step=101)
    (checkpoint,) = log.train(36, load=0.5)
    assert checkpoint.reason.rule == "paper: integral of the rate reached 1"
    assert checkpoint.reason.numbers["lambda"] == pytest.approx(0.05 * 0.4 + 0.02 * 0.5)
    assert checkpoint.issued_at - alarm.issued_at == pytest.approx(1.0 + 34.0, abs=0.2)


def test_paper_without_alarm_and_load_never_asks() -> None:
    log = DecisionLog(checkpoint="paper", alpha=0.05, beta=0.02).start()
    assert log.train(300) == []


def test_history_probability_does_not_count() -> None:
    log = DecisionLog(checkpoint="paper", alpha=0.05, beta=0.0).start()
    log.incident("n2", history=True)
    assert log.train(100) == []


def test_the_overhead_cap_makes_the_interval_longer() -> None:
    log = young(overhead_cap=0.05)
    checkpoint, waited_s = trained_until_checkpoint(log)
    assert waited_s == pytest.approx(95.0, abs=1.0)
    assert checkpoint.reason.numbers["T"] == pytest.approx(95.0)


def test_the_least_gap_holds_after_an_alarm() -> None:
    log = young(min_gap_s=40.0, level="checkpoint")
    (alarm,) = log.incident("n2", probability=0.2)
    log.save(alarm, step=101, cost_s=5.0)
    following, _ = trained_until_checkpoint(log)
    assert following.issued_at - alarm.issued_at == pytest.approx(40.0, abs=1.0)


def test_none_while_one_is_in_flight() -> None:
    log = young(checkpoint_deadline_s=1000.0)
    trained_until_checkpoint(log)
    assert log.train(100) == []


def test_an_alarm_shares_the_one_in_flight() -> None:
    log = young(**SPARES_ARE_GOOD)
    checkpoint, _ = trained_until_checkpoint(log)
    assert log.incident("n2") == []
    (migrate,) = log.save(checkpoint, step=149)
    assert (migrate.action, migrate.step) == ("MIGRATE", 149)


def test_nothing_unsaved_nothing_ordered() -> None:
    log = young(stalled_after_s=1e6)
    checkpoint, _ = trained_until_checkpoint(log)
    log.save(checkpoint, step=log.job.step or 0)
    assert log.ticks(100) == []


def test_a_job_that_tells_nothing_is_not_asked() -> None:
    log = young(stalled_after_s=5.0)
    log.train(10)
    assert log.ticks(100) == []


def test_a_job_with_a_rank_missing_is_not_asked() -> None:
    log = young()
    log.member("n2", "vacated")
    assert log.train(100) == []


def test_a_failed_checkpoint_is_tried_again_once_and_then_when_it_is_due() -> None:
    log = young()
    first, _ = trained_until_checkpoint(log)
    log.outcome(first, "failed", "n1", 1, reason="disk full")
    second, waited_s = trained_until_checkpoint(log)
    assert waited_s == pytest.approx(10.0, abs=1.0), "as soon as the least gap allows"
    assert second.reason.rule.endswith("; after CHECKPOINT 1 failed: rank 1 failed: disk full")
    log.outcome(second, "failed", "n1", 1, reason="disk full")
    third, waited_s = trained_until_checkpoint(log)
    assert waited_s == pytest.approx(25.0, abs=1.0)
    assert third.reason.rule.endswith("CHECKPOINT 2 failed: rank 1 failed: disk full, given up until the next was due")
    log.save(third, step=200, cost_s=5.0)
    fourth, _ = trained_until_checkpoint(log)
    assert fourth.reason.rule == "young: integral of the rate reached 1"


def test_none_while_a_rank_is_being_moved() -> None:
    log = young(**SPARES_ARE_GOOD)
    (alarm,) = log.incident("n2")
    (migrate,) = log.save(alarm, step=101, cost_s=0.05)
    assert migrate.action == "MIGRATE"
    assert log.train(55) == []


def test_a_job_begun_anew_from_elsewhere_forgets_the_checkpoint_it_does_not_use() -> None:
    log = young()
    checkpoint, _ = trained_until_checkpoint(log)
    log.save(checkpoint, step=140)
    log.at += 60.0
    log.progress(5)
    assert log.job.saved is None
    log.at += 1.0
    log.progress(6)
    assert log.job.unsaved_steps > 0
