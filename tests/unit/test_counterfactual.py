"""What losing the node would have cost: an interval, made of the job's own numbers, with its assumptions named."""

from __future__ import annotations

import pytest
from decision_log import HORIZON_S, JOB, DecisionLog

from models.counterfactual import Counterfactual, counterfactuals
from models.policy_settings import DAY_S

#: Four ranks on nodes that last a day: T = √(2·0.2·21600) = 92.95 s.
SETTINGS = {"node_mtbf_days": 1.0, "migration_s": 10.0, "stalled_after_s": 1e6}


def rescued(trained_s: int = 30, **set_to: object) -> tuple[DecisionLog, Counterfactual]:
    """A job that trains, is alarmed once, and leaves n2 for s0 in time."""
    log = DecisionLog(**{**SETTINGS, **set_to}).start()
    log.train(trained_s)
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=log.job.step or 0)
    (restore,) = log.carry_out(migrate)
    log.outcome(restore, "accepted", "s0")
    log.at += 4.0
    log.carry_out(restore)
    (found,) = counterfactuals(log.events, JOB, log.settings)
    return log, found


def test_the_parts_add_up_and_the_interval_holds_the_likely_value() -> None:
    _, found = rescued()
    parts = (found.recomputed, found.detection, found.restart, found.waiting)
    assert found.total.likely_s == pytest.approx(sum(one.likely_s for one in parts))
    for one in (*parts, found.total):
        assert 0.0 <= one.low_s <= one.likely_s <= one.high_s


def test_it_names_node_command_and_probability() -> None:
    log, found = rescued()
    assert (found.node, found.command) == ("n2", log.commands[1].id)
    assert found.probability == 0.9


def test_lost_work_is_at_most_youngs_interval_by_the_measured_cost() -> None:
    _, found = rescued()
    interval_s = (2 * 0.2 * DAY_S / 4) ** 0.5
    assert found.recomputed.high_s == pytest.approx(interval_s)
    assert found.recomputed.low_s == 0.0, "within the horizon a regular checkpoint may come just before the failure"


def test_lost_work_grows_with_what_was_unsaved_when_the_interval_is_long() -> None:
    found = [rescued(seconds, node_mtbf_days=1e4)[1].recomputed for seconds in (30, 60)]
    assert found[0].low_s == pytest.approx(30.0, abs=1.0)
    assert found[1].low_s == pytest.approx(60.0, abs=1.0)
    assert found[1].high_s == pytest.approx(60.0 + HORIZON_S, abs=1.0)


def test_a_checkpoint_before_the_alarm_leaves_less_to_lose_and_the_alarms_own_does_not_count() -> None:
    log = DecisionLog(**{**SETTINGS, "node_mtbf_days": 1e4}).start()
    (first,) = log.incident("n1", probability=0.1)
    log.save(first, step=101)
    log.incident("n1", "closed")
    saved_at = log.at
    log.train(40)
    (checkpoint,) = log.incident("n2")
    log.train(5)
    (migrate,) = log.save(checkpoint, step=log.job.step or 0)
    left_at = log.at
    log.carry_out(migrate)
    (found,) = counterfactuals(log.events, JOB, log.settings)
    assert found.recomputed.low_s == pytest.approx(left_at - saved_at)


def test_a_restart_takes_what_the_jobs_own_took() -> None:
    _, found = rescued()
    assert (found.restart.low_s, found.restart.high_s) == (pytest.approx(4.0), pytest.approx(4.0))


def test_without_a_restart_of_its_own_the_prior_stands_with_its_doubt() -> None:
    log = DecisionLog(**SETTINGS).start()
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=101)
    log.carry_out(migrate)
    (found,) = counterfactuals(log.events, JOB, log.settings)
    assert (found.restart.low_s, found.restart.likely_s, found.restart.high_s) == (90.0, 180.0, 360.0)


def test_every_assumption_is_said() -> None:
    _, found = rescued()
    text = " ".join(found.assumptions)
    for word in ("horizon of 600 s", "every 93 s (Young)", "noticed after 60 s", "restart", "spare"):
        assert word in text


def test_what_was_not_left_has_no_counterfactual() -> None:
    log = DecisionLog(**SETTINGS).start()
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=101)
    log.carry_out(migrate, "failed", reason="no")
    assert counterfactuals(log.events, JOB, log.settings) == ()
