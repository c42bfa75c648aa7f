"""One candidate beside the log of one partition: its own fold, its own world, and where the two part."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from models.backtest.difference import Difference, halves, paired, same
from models.backtest.world import World, outcome_of, took
from models.backtest.worth import Failure, at_once_s, exposure_s, loss_s
from models.decision_state import DecisionState
from models.decisions import decide, initial_state
from models.job import Job
from models.policy_settings import PolicySettings
from models.records import Cause, Command, Event, Membership, NodeFate, Tick

#: So many differences of a job wait for their other half.
OPEN_MAX = 20


@dataclass(slots=True)
class Tally:
    """One job under the candidate: commands that it gives, differences, and what these save (s)."""

    commands: int = 0
    differences: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Comparison:
    """Folds the log's events under ``settings`` and holds what it commands against what the log holds.

    Parameters
    ----------
    partition : int
        Of the decision log.
    exact : bool
        Whether commands that differ in their numbers alone differ too: so where the policy is the log's own.
    begin, end : float
        Differences, failures and seconds outside of these source times are not told of.
    kept_max : int or None
        So many differences and failures are kept, the newest (None: all); ``tallies`` count each of them.
    """

    settings: PolicySettings
    partition: int
    exact: bool = False
    begin: float = -math.inf
    end: float = math.inf
    kept_max: int | None = None
    tallies: dict[str, Tally] = field(default_factory=dict)
    commands: Counter[str] = field(default_factory=Counter)
    equal: int = 0
    differences: list[Difference] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    world: World = field(default_factory=World)
    state: DecisionState = field(init=False)
    _open: dict[str, list[Difference]] = field(default_factory=dict)
    _newest: dict[str, Difference] = field(default_factory=dict)
    _now: float | None = None

    def __post_init__(self) -> None:
        self.state = initial_state(self.settings)

    def told(self, at: float) -> bool:
        """Whether a time lies in the range."""
        return self.begin <= at <= self.end

    def foresee(self, event: NodeFate, log: DecisionState) -> None:
        """Before a real failure enters either fold: note what it costs under each."""
        if event.state != "failed" or not self.told(event.at):
            return
        for name, ours in log.jobs.items():
            if event.job is not None and event.job != name:
                continue
            was_s = loss_s(ours, event.node, ours, log.settings)
            would_s = loss_s(self.state.jobs.get(name), event.node, ours, log.settings)
            if was_s or would_s:
                self.failures.append(Failure(at=event.at, job=name, node=event.node, was_s=was_s, would_s=would_s))
                self._bound(self.failures)

    def part_from(self, log: DecisionState) -> None:
        """Where the log's fold has been the candidate's too, go on with one of its own."""
        if self.state is log:
            self.state = deepcopy(log)

    def take(
        self,
        offset: int,
        event: Event | None,
        given: Sequence[Command],
        log: DecisionState,
        own: Sequence[Command] = (),
    ) -> None:
        """Take in one record (None: of none), the commands that the log gave at it, and its own fold after it.

        ``own`` is what that fold gave. Where it is the candidate's too, the record is in it already; they part after
        the first record at which the log holds something else, for by that their worlds differ.
        """
        one_fold = self.state is log
        would = own if one_fold else self._fold(offset, event)
        if one_fold and list(own) != list(given):
            self.part_from(log)
        if given or would:
            for was, twin in paired(given, would):
                self._weigh(was, twin, log)
        if isinstance(event, Tick) and (self._now is None or event.at > self._now):
            self._expose(event.at, log)

    def _fold(self, offset: int, event: Event | None) -> list[Command]:
        """The candidate's commands at this record, and at the answers to earlier ones that have come by now."""
        commands: list[Command] = []
        if isinstance(event, Tick):
            for answer in self.world.due(event):
                outcome = outcome_of(answer, self.state.jobs.get(answer.command.job), self.settings)
                if outcome is not None:
                    commands += self._decide(offset, outcome, len(commands))
        seen = None if event is None else self.world.seen(event)
        if self._newest and isinstance(event, Membership | NodeFate):
            self.world.kept["membership" if isinstance(event, Membership) else "fate"] += 1
        if seen is not None:
            commands += self._decide(offset, seen, len(commands))
        return commands

    def _decide(self, offset: int, event: Event, index: int) -> Sequence[Command]:
        self.state, commands = decide(self.state, event, Cause(self.partition, offset, index))
        return commands

    def _weigh(self, was: Command | None, would: Command | None, log: DecisionState) -> None:
        """Count what both gave at this record; whatever one of them gave alone is a difference."""
        given = was or would
        if given is None:
            return
        within = self.told(given.issued_at)
        self._tally(given.job).commands += within and would is not None
        if was is not None:
            self.commands[was.action] += within
            self.world.hand_over(was, would)
        if was is not None and would is not None:
            equal = was == would or (not self.exact and same(was, would, self.world.shift.get(was.job, 0)))
            self._go_on_from(was, would)
            self.equal += within and equal
            if not equal:
                self._note(Difference(at=given.issued_at, job=given.job, was=was, would=would))
            return
        if would is not None:
            self.world.answer(would, took(log.jobs.get(would.job), log.settings, would))
        price_s = at_once_s(given, log) * (1.0 if was is None else -1.0)
        self._part(Difference(at=given.issued_at, job=given.job, was=was, would=would, price_s=price_s))

    def _part(self, half: Difference) -> None:
        """What one of them gave alone; where the other did shortly before, both are one decision, as dear to each."""
        waiting = self._open.setdefault(half.job, [])
        other = next((one for one in waiting if halves(one, half)), None)
        if other is None:
            waiting.append(half)
            del waiting[:-OPEN_MAX]
            self._note(half)
            return
        waiting.remove(other)
        if self.told(other.at):
            self._tally(other.job).seconds -= other.price_s
        other.was, other.would, other.price_s = other.was or half.was, other.would or half.would, 0.0
        self._newest[half.job] = other
        if other.was is not None and other.would is not None:
            self._go_on_from(other.was, other.would)

    def _note(self, difference: Difference) -> None:
        self._newest[difference.job] = difference
        if self.told(difference.at):
            tally = self._tally(difference.job)
            tally.differences += 1
            tally.seconds += difference.price_s
            self.differences.append(difference)
            self._bound(self.differences)

    def _tally(self, job: str) -> Tally:
        return self.tallies.setdefault(job, Tally())

    def _bound(self, kept: list[Any]) -> None:
        if self.kept_max is not None:
            del kept[: -self.kept_max]

    def _go_on_from(self, was: Command, would: Command) -> None:
        """A job that goes back does so to the checkpoint that each has: its steps count from there."""
        if was.action in {"RESTORE", "RESIZE"} and was.step is not None and would.step is not None:
            self.world.shift[was.job] = would.step - was.step

    def _expose(self, at: float, log: DecisionState) -> None:
        """A tick: what lay unsaved under each since the one before counts to the job's newest difference.

        Of a time without ticks no more counts than a job may be silent and still be taken to make progress.
        """
        passed_s = 0.0 if self._now is None else min(at - self._now, log.settings.stalled_after_s)
        self._now = at
        if not self.told(at):
            return
        for name, difference in self._newest.items():
            ours, theirs = log.jobs.get(name, Job(name=name)), self.state.jobs.get(name, Job(name=name))
            exposed_s = exposure_s(ours, theirs, log.settings, at, passed_s)
            difference.exposed_s += exposed_s
            self._tally(name).seconds += exposed_s
