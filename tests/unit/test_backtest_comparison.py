"""A candidate beside the log: what differs, what is the same thing at another time, and what it is worth."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from backtested import OWN, beside, carry_out, kinds
from decision_log import DecisionLog

from models.backtest.comparison import Comparison
from models.backtest.difference import told
from models.decisions import decide, initial_state
from models.policy_settings import PolicySettings
from models.records import Cause, Outcome


@pytest.fixture(scope="module")
def story() -> DecisionLog:
    """Regular checkpoints, a failure after an alarm, then an alarm that is trusted for it: a whole rescue."""
    log = DecisionLog(OWN).start(ranks=4, spares=("s0", "s1", "s2"))
    carry_out(log, log.train(60))
    carry_out(log, log.incident("n1", probability=0.6))
    carry_out(log, log.train(30))
    carry_out(log, log.fate("n1"))
    carry_out(log, log.incident("n1", "closed", probability=0.1))
    carry_out(log, log.train(40))
    carry_out(log, log.incident("n2", probability=0.6))
    carry_out(log, log.train(5) + log.incident("n2", "changed", probability=0.95))
    carry_out(log, log.train(40))
    return log


def test_the_same_policy_gives_every_command_again(story: DecisionLog) -> None:
    found = beside(story.events, OWN, OWN)
    assert found.commands.total() == found.equal == len(story.commands) >= 6
    assert found.differences == []
    assert not found.world.answered
    assert found.world.left_out == 0
    assert found.state.jobs == story.state.jobs


def test_the_same_policy_is_folded_once_until_the_log_holds_something_else(
    story: DecisionLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.backtest.comparison.decide", None)
    assert beside(story.events, OWN, OWN).equal == len(story.commands)
    with pytest.raises(TypeError, match="not callable"):
        beside(story.events, OWN, OWN, gone=story.commands[-2].id)


@pytest.mark.parametrize("lost", range(6))
def test_one_fold_for_both_finds_what_two_of_them_do(story: DecisionLog, lost: int) -> None:
    """The log has lost a command, and what followed from that is another world."""
    once, twice = (beside(story.events, OWN, OWN, gone=story.commands[lost].id, apart=apart) for apart in (False, True))
    assert once.differences
    assert (once.differences, once.failures, once.equal) == (twice.differences, twice.failures, twice.equal)
    assert (once.world, once.tallies, once.state) == (twice.world, twice.tallies, twice.state)


def test_other_numbers_are_no_difference_but_to_the_policy_itself(story: DecisionLog) -> None:
    other = replace(OWN, command_ttl_s=61.0)
    found = beside(story.events, OWN, other)
    assert found.differences == []
    assert found.equal == len(story.commands)
    exact = Comparison(other, 0, exact=True)
    state = initial_state(OWN)
    for offset, event in enumerate(story.events):
        state, given = decide(state, event, Cause(0, offset))
        exact.take(offset, event, given, state)
    assert {told(one)[1] for one in exact.differences} == {"the same, by other numbers"}


def test_who_only_watches_gives_nothing(story: DecisionLog) -> None:
    found = beside(story.events, OWN, replace(OWN, level="observe"))
    assert [would for _, would in kinds(found.differences)] == ["nothing"] * len(story.commands)
    assert found.equal == 0
    told_outcomes = sum(isinstance(event, Outcome) for event in story.events)
    assert found.world.left_out == told_outcomes > 0


def test_who_acts_where_the_log_only_watched_is_answered_by_the_priors() -> None:
    quiet = replace(OWN, level="observe")
    log = DecisionLog(quiet).start(ranks=2)
    log.train(90)
    found = beside(log.events, quiet, OWN)
    given = kinds(found.differences)
    assert len(given) >= 2
    assert set(given) == {("nothing", "CHECKPOINT")}
    assert found.world.answered["CHECKPOINT"] == len(given)
    saved = found.state.jobs["gpt"].saved
    assert saved is not None
    assert saved.step > 100
    assert found.state.jobs["gpt"].failures == ()


def test_a_decision_taken_later_is_one_difference_of_no_price(story: DecisionLog) -> None:
    found = beside(story.events, OWN, replace(OWN, checkpoint="young"))
    moved = [one for one in found.differences if one.was and one.would and one.was.issued_at != one.would.issued_at]
    assert moved
    for one in moved:
        assert one.price_s == 0.0
        assert told(one)[1].endswith(("later", "earlier"))
    ours = [one.was.id for one in found.differences if one.was]
    assert len(ours) == len(set(ours))


def test_a_node_that_is_not_left_costs_what_break_even_had_found(story: DecisionLog) -> None:
    found = beside(story.events, OWN, replace(OWN, migration="never"))
    (stayed,) = [one for one in found.differences if one.was and one.was.action == "MIGRATE"]
    assert stayed.was is not None
    assert stayed.would is None
    numbers = stayed.was.reason.numbers
    assert stayed.price_s == pytest.approx(numbers["leaving_s"] - numbers["staying_s"], rel=1e-9)
    assert stayed.price_s < 0


def test_a_real_failure_costs_what_was_unsaved_under_either(story: DecisionLog) -> None:
    same, other = (beside(story.events, OWN, one) for one in (OWN, replace(OWN, level="observe")))
    (failure,) = same.failures
    assert failure.node == "n1"
    assert failure.was_s == failure.would_s
    (worse,) = other.failures
    assert worse.was_s == failure.was_s
    assert worse.would_s > worse.was_s
    assert worse.seconds == worse.was_s - worse.would_s


def test_a_checkpoint_more_costs_what_it_blocks_and_saves_hazard_times_unsaved_work() -> None:
    quiet = replace(OWN, level="checkpoint", node_mtbf_days=1000.0, checkpoint="young", durable_s=1.0)
    log = DecisionLog(quiet).start(ranks=1, spares=())
    log.train(100)
    assert log.commands == []
    busy = replace(quiet, node_mtbf_days=0.2, min_gap_s=40.0)
    found = beside(log.events, quiet, busy)
    assert found.differences
    assert {one.price_s for one in found.differences} == {-OWN.checkpoint_cost_s}
    hazard = 1.0 / (1000.0 * 86_400.0)
    total = sum(one.exposed_s for one in found.differences)
    assert 0.0 < total < hazard * 100.0 * 100.0


def test_a_range_tells_of_itself_only(story: DecisionLog) -> None:
    observe = replace(OWN, level="observe")
    whole = beside(story.events, OWN, observe)
    middle = whole.differences[len(whole.differences) // 2].at
    part = Comparison(observe, 0, begin=middle)
    state = initial_state(OWN)
    for offset, event in enumerate(story.events):
        state, given = decide(state, event, Cause(0, offset))
        part.take(offset, event, given, state)
    assert [one.at for one in part.differences] == [one.at for one in whole.differences if one.at >= middle]
    assert part.commands.total() == sum(command.issued_at >= middle for command in story.commands)


def test_a_job_that_went_back_to_an_older_checkpoint_counts_its_steps_from_there(story: DecisionLog) -> None:
    found = beside(story.events, OWN, replace(OWN, checkpoint="paper", alpha=0.0, beta=0.0))
    restored = next(one for one in found.differences if one.was and one.would and one.was.action == "RESTORE")
    assert restored.was is not None
    assert restored.would is not None
    assert restored.was.step is not None
    assert restored.would.step is not None
    assert restored.would.step < restored.was.step
    job, theirs = story.job, found.state.jobs["gpt"]
    assert theirs.step is not None
    assert job.step is not None
    assert theirs.step < job.step
    assert theirs.step - job.step == found.world.shift["gpt"]


def test_a_rank_that_does_not_run_fails_its_checkpoint() -> None:
    quiet = PolicySettings(level="observe", checkpoint="young", node_mtbf_days=0.01, checkpoint_cost_s=0.5)
    candidate = replace(quiet, level="checkpoint")
    log = DecisionLog(quiet).start(ranks=2, spares=())
    log.train(40)
    probe = beside(log.events, quiet, candidate)
    first = probe.differences[0].would
    assert first is not None
    log = DecisionLog(quiet).start(ranks=2, spares=())
    while log.at < first.issued_at + 1.0:
        log.train(1)
    log.member("n1", "vacated")
    log.train(25)
    found = beside(log.events, quiet, candidate)
    assert found.state.jobs["gpt"].saved is None
    assert any("rank 1 failed: no rank runs here" in text for text in found.state.jobs["gpt"].failures)


def test_a_process_that_folds_loads_nothing_that_assesses() -> None:
    """It is started anew for each log, and what it loads is part of how long a back-test takes."""
    asked = "import sys, infra.backtest.run; print('infra.backtest.assessing' in sys.modules, 'kafka' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.split() == ["False", "False"]
