"""Ticks of the decision log: when a past begins and ends, and that nothing is done about what lies in it."""

from __future__ import annotations

import pytest
from decision_log import BEGAN, DecisionLog

from models.records import Tick


@pytest.fixture
def log() -> DecisionLog:
    """A job of four ranks in the present."""
    return DecisionLog().start()


def loading(log: DecisionLog, *, back_s: float = 3600.0, seconds: int = 30) -> float:
    """Somebody loads a past that began ``back_s`` before now; returns the time of its newest tick."""
    past = log.at - back_s
    for second in range(seconds):
        log.put(Tick(at=past + second, history=True))
    return past + seconds - 1


def test_a_past_begins_at_any_time_before_now(log: DecisionLog) -> None:
    newest = loading(log)
    assert (log.state.loading, log.state.now) == (True, newest)


def test_while_it_is_loaded_an_owners_time_is_not_heard(log: DecisionLog) -> None:
    newest = loading(log)
    log.put(Tick(at=log.at + 100.0))
    assert (log.state.loading, log.state.now) == (True, newest)


@pytest.mark.parametrize("after_s", [0.0, 0.5, 3600.0])
def test_it_ends_with_a_tick_of_the_present_at_its_own_end_or_later(log: DecisionLog, after_s: float) -> None:
    newest = loading(log)
    log.put(Tick(at=newest + after_s, history=False))
    assert (log.state.loading, log.state.now) == (False, newest + after_s)


def test_a_tick_of_the_present_that_is_older_than_the_past_does_not_end_it(log: DecisionLog) -> None:
    """One that comes twice, or the end of a shorter past that somebody else loads at the same time."""
    newest = loading(log)
    log.put(Tick(at=newest - 1.0, history=False))
    assert (log.state.loading, log.state.now) == (True, newest)


def test_time_does_not_go_back_within_a_past_nor_within_the_present(log: DecisionLog) -> None:
    newest = loading(log)
    log.put(Tick(at=newest - 5.0, history=True))
    assert log.state.now == newest
    log.put(Tick(at=newest + 1.0, history=False), Tick(at=newest, history=False), Tick(at=newest - 9.0))
    assert log.state.now == newest + 1.0


def test_an_incident_during_a_past_is_acted_upon_neither_then_nor_afterwards(log: DecisionLog) -> None:
    newest = loading(log)
    log.incident("n2")
    assert log.commands == []
    log.at = max(log.at, newest) + 1.0
    log.put(Tick(at=log.at, history=False))
    log.ticks(5)
    assert log.commands == []


def test_an_incident_after_a_past_is_acted_upon(log: DecisionLog) -> None:
    loading(log)
    log.put(Tick(at=log.at, history=False))
    log.incident("n2")
    assert [command.action for command in log.commands] == ["CHECKPOINT"]


def test_a_past_may_follow_a_past(log: DecisionLog) -> None:
    for back_s in (7200.0, 5400.0, 3600.0):
        newest = loading(log, back_s=back_s)
        assert log.state.now == newest
        log.put(Tick(at=newest + 1.0, history=False))
        assert not log.state.loading


def test_a_restart_amid_a_past_goes_on_in_it(log: DecisionLog) -> None:
    newest = loading(log)
    log.restart()
    assert (log.state.loading, log.state.now) == (True, newest)
    log.incident("n2")
    assert log.commands == []


def test_before_the_first_tick_there_is_no_time(log: DecisionLog) -> None:
    fresh = DecisionLog()
    assert fresh.state.now is None
    fresh.put(Tick(at=BEGAN, history=None))
    assert (fresh.state.now, fresh.state.loading) == (BEGAN, False)
