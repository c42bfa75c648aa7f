"""Whatever lies on the log: a policy beside itself differs in nothing; beside another each command is told of once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from backtested import beside
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_decide_any_events import any_event
from test_decisions import ELASTIC, levels, policies, program, run, settings_of

from models.backtest.beside import Beside
from models.backtest.comparison import Comparison
from models.backtest.difference import told
from models.decisions import from_bytes, to_bytes
from models.policy_settings import PolicySettings
from models.records import Command, Event


def given_by(candidate: Comparison) -> tuple[Counter[str], Counter[str]]:
    """The ids of the log's commands, and of the candidate's, in its differences."""
    was = Counter(one.was.id for one in candidate.differences if one.was)
    return was, Counter(one.would.id for one in candidate.differences if one.would)


@settings(max_examples=60, deadline=None)
@given(program, levels, policies)
def test_a_policy_beside_itself_differs_in_nothing(moves: list[tuple[int, int]], level: str, policy: str) -> None:
    log = run(moves, settings_of(level, policy), ELASTIC)
    found = beside(log.events, log.settings, log.settings)
    assert found.differences == []
    assert found.equal == found.commands.total() == len(log.commands)
    assert not found.world.answered
    assert found.world.left_out == 0
    assert to_bytes(found.state) == to_bytes(log.state)


@settings(max_examples=60, deadline=None)
@given(program, levels, policies, levels, policies)
def test_beside_another_each_command_is_told_of_once(
    moves: list[tuple[int, int]], level: str, policy: str, other_level: str, other_policy: str
) -> None:
    log = run(moves, settings_of(level, policy), ELASTIC)
    candidate = settings_of(other_level, other_policy)
    found = beside(log.events, log.settings, candidate)
    was, would = given_by(found)
    assert set(was.values()) | set(would.values()) <= {1}
    assert found.equal + was.total() == len(log.commands)
    assert found.equal + would.total() == sum(job.generation for job in found.state.jobs.values())
    for one in found.differences:
        assert one.price_s == one.price_s
        assert one.exposed_s == one.exposed_s
        assert all(told(one))


class Cut(Beside):
    """Both folds go on from their bytes before each record of ``at``."""

    def __init__(self, own: PolicySettings, candidate: Comparison, at: frozenset[int]) -> None:
        super().__init__(own, 0, {"candidate": candidate})
        self._own, self._candidate, self._at = own, candidate, at

    def take(self, offset: int, event: Event, given: Sequence[Command] | None = None) -> tuple[Command, ...]:
        if offset in self._at:
            self.state = from_bytes(to_bytes(self.state), self._own)
            self._candidate.state = from_bytes(to_bytes(self._candidate.state), self._candidate.settings)
        return super().take(offset, event, given)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(any_event(), max_size=25), policies, st.frozensets(st.integers(0, 24)))
def test_any_events_are_taken_and_a_cut_anywhere_shows_nowhere(
    events: list[Any], policy: str, cuts: frozenset[int]
) -> None:
    own, candidate = settings_of("migrate", "hazard"), settings_of("migrate", policy)
    whole = beside(events, own, candidate)
    cut = Comparison(candidate, 0, exact=candidate == own)
    folds = Cut(own, cut, cuts)
    for offset, event in enumerate(events):
        folds.take(offset, event)
    assert cut.differences == whole.differences
    assert to_bytes(cut.state) == to_bytes(whole.state)
    if candidate == own:
        assert whole.differences == []
