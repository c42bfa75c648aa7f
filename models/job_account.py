"""All that is told of one job, taken in as it comes, in any order and any number of times.

What is old is folded and forgotten, so that a job of weeks costs no more room than its last events; what is recent
waits to be put in order. The sums are exactly those of all events put in order at once. What comes later than can be
waited for is counted in ``late`` and passed over.
"""

from __future__ import annotations

import copy
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from models.claims import Claims
from models.losses import Losses
from models.node_costs import NodeCosts
from models.records import Event, JobEvent, NodeFate, Outcome, Progress
from models.twins import twin

#: So many events wait at most to be put in order, and so long (s) beside the newest.
PENDING_MAX = 20_000
PENDING_S = 900.0
#: The newest time is read off the event that so many are newer than, so that a few wrong clocks do not set it.
WRONG_CLOCKS = 100
#: How many events come between two looks at what can be folded.
TURN = 1_000

_STAGES = ("received", "accepted", "staged", "durable", "done", "failed", "expired", "rejected")
_Order = tuple[float, int, str]


def order(event: JobEvent) -> _Order:
    """Return what events are put in order by: time, then what follows from what, then id."""
    stage = _STAGES.index(event.stage) if isinstance(event, Outcome) else -1
    return (event.at, stage, event.id)


@dataclass(slots=True)
class Folds:
    """The folds over one job's events in order."""

    job: str
    claims: Claims
    nodes: NodeCosts
    losses: Losses = field(default_factory=Losses)

    def take(self, event: JobEvent) -> None:
        """Take in the next event; the failure of a node of no job concerns the jobs that it ever stood with."""
        if isinstance(event, NodeFate) and event.job is None and event.node not in self.claims.places:
            return
        self.claims.take(event)
        if not isinstance(event, Progress):
            self.nodes.take(event)
            self.losses.take(event)


class JobAccount:
    """One job's events, as they come.

    Parameters
    ----------
    job:
        Events of other jobs are passed by.
    since, until:
        The part of the time that is accounted for (s).
    """

    def __init__(self, job: str, since: float = -math.inf, until: float = math.inf) -> None:
        self.job = job
        self.late = 0
        self._folds = Folds(job, Claims(since, until), NodeCosts(since, until))
        self._pending: dict[str, JobEvent] = {}
        self._folded: _Order = (-math.inf, -1, "")
        self._to_turn = TURN
        self._made: list[Folds] = []

    def take(self, event: Event) -> None:
        """Take in one event; one that is known changes nothing."""
        if not isinstance(event, JobEvent) or not self._concerns(event):
            return
        if order(event) <= self._folded:
            self.late += 1
            return
        if event.id in self._pending:
            return
        self._pending[event.id] = event
        self._made = []
        self._to_turn -= 1
        if self._to_turn <= 0:
            self._fold_ripe()

    def folds(self) -> Folds:
        """Return the folds over everything that was taken in; not to be changed."""
        known = self._made
        if not known:
            made = twin(self._folds)
            for event in sorted(self._pending.values(), key=order):
                made.take(event)
            known.append(made)
        return known[0]

    def copied(self) -> JobAccount:
        """As it is now: made quickly, so that its folds can be asked for while this one takes in more.

        What either of them folds first is the other's too, until this one takes in something new.
        """
        found = copy.copy(self)
        found._folds, found._pending = twin(self._folds), self._pending.copy()
        return found

    def _concerns(self, event: JobEvent) -> bool:
        return event.job == self.job or (isinstance(event, NodeFate) and event.job is None)

    def _fold_ripe(self) -> None:
        self._to_turn = TURN
        waiting = sorted(self._pending.values(), key=order)
        newest = waiting[-min(WRONG_CLOCKS, len(waiting))].at
        ripe = sum(1 for event in waiting if event.at < newest - PENDING_S)
        for event in waiting[: max(ripe, len(waiting) - PENDING_MAX)]:
            self._folds.take(event)
            self._folded = order(event)
            del self._pending[event.id]
        self._folds.claims.settle()


class JobAccounts:
    """The accounts of all jobs, by name in ``by_job``.

    The fate of a node of no job is handed to every job, also to one that is heard of later: on another partition it may
    be read before what it concerns. Each account knows whether it does.
    """

    def __init__(self, since: float = -math.inf, until: float = math.inf) -> None:
        self.by_job: dict[str, JobAccount] = {}
        self._since, self._until = since, until
        self._nobodys: deque[NodeFate] = deque(maxlen=PENDING_MAX)

    def of(self, job: str) -> JobAccount:
        """The account of a job, begun when it is first heard of."""
        account = self.by_job.get(job)
        if account is None:
            account = self.by_job[job] = JobAccount(job, self._since, self._until)
            for earlier in self._nobodys:
                account.take(earlier)
        return account

    def take(self, event: Event) -> None:
        """Hand one event to whom it concerns."""
        if not isinstance(event, JobEvent):
            return
        if event.job is not None:
            self.of(event.job).take(event)
        elif isinstance(event, NodeFate):
            self._nobodys.append(event)
            for account in self.by_job.values():
                account.take(event)


def account_of(events: Iterable[Event], job: str, since: float = -math.inf, until: float = math.inf) -> Folds:
    """Return the folds over ``events`` of any jobs in any order, all put in order at once."""
    distinct: dict[str, JobEvent] = {}
    for event in events:
        if isinstance(event, JobEvent) and event.job in {job, None}:
            distinct.setdefault(event.id, event)
    folds = Folds(job, Claims(since, until), NodeCosts(since, until))
    for number, event in enumerate(sorted(distinct.values(), key=order)):
        folds.take(event)
        if number % TURN == 0:
            folds.claims.settle()
    return folds
