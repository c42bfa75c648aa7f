"""What a job's time is claimed for, told event by event: each cause claims spans, open ones until their end is told.

The events come in the order of their time. No claim reaches back further than ``REACH_S`` before the event that makes
it known, so what lies ``SETTLED_S`` before the newest event is settled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from models.pace import Pace
from models.records import TERMINAL_STAGES, Incident, JobEvent, Membership, NodeFate, Outcome, Progress
from models.spans import Bucket, Held, Sharing, Span, on_grain

#: A step this many times slower than the job's median step is degraded.
DEGRADED_FACTOR = 1.25
#: A job of which no rank tells anything for this long (s), or for three steps, has gone silent.
SILENT_S = 10.0
SILENT_STEPS = 3.0
#: No claim reaches back further than this (s); a checkpoint's words count for so long after the first of them.
REACH_S = 1800.0
SETTLED_S = 2 * REACH_S
#: A move that has not ended after so long (s) while its rank trains on holds nothing up.
HOLDS_S = 60.0

#: An acceptance that was never told is that of the next stage told.
_ACCEPTED = frozenset({"accepted", "staged", "durable", "done"})
#: Command, node and rank of one start.
Key = tuple[str, str, int | None]


@dataclass(frozen=True, slots=True)
class Word:
    """What a rank told last: when, which step, and the furthest that it had ever been."""

    at: float
    step: int
    reached: int


@dataclass(frozen=True, slots=True)
class Down:
    """A rank is being moved off ``node`` since ``begun``, and does not run from ``since`` on (None: it still does).

    ``noticed`` is False as long as nobody knows.
    """

    node: str
    rank: int | None
    begun: float
    since: float | None
    noticed: bool = True


@dataclass(frozen=True, slots=True)
class Blocked:
    """How long a checkpoint blocked the rank that it blocked longest, and when its first word came (s)."""

    first_at: float
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Restart:
    """A rank that is being started on ``node``; ``down`` is what it is to end, where that is known."""

    node: str
    since: float
    resize: bool
    owner: str
    down: Down | None


@dataclass(slots=True)
class Claims:
    """The fold over one job's events; open claims stand in dictionaries of frozen values, closed ones in ``shares``.

    Parameters
    ----------
    since, until:
        The part of the time that is shared out (s); events outside it are heard, for what they begin or end.
    """

    since: float = -math.inf
    until: float = math.inf
    shares: Sharing | None = None
    first_at: float | None = None
    last_at: float | None = None
    first_step_at: float | None = None
    places: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    suspected: set[str] = field(default_factory=set)
    words: dict[int, Word] = field(default_factory=dict)
    downs: dict[str, Down] = field(default_factory=dict)
    restarts: dict[Key, Restart] = field(default_factory=dict)
    begun: set[Key] = field(default_factory=set)
    blocked: dict[str, Blocked] = field(default_factory=dict)
    blockings: int = 0
    blocking_s: float = 0.0
    lefts: list[tuple[float, int]] = field(default_factory=list)
    told: tuple[float, float] | None = None
    lowest: tuple[int, float] | None = None
    restarted: tuple[float, str] | None = None
    waits: tuple[float, str] | None = None
    pace: Pace = field(default_factory=Pace)

    def take(self, event: JobEvent) -> None:
        """Take in the next event, none of an earlier time being to come."""
        self._begin(event)
        match event:
            case Progress():
                self._progress(event)
            case Incident():
                self._incident(event)
            case Membership():
                self.places[event.node] = (event.state, event.rank if event.state == "running" else None)
            case NodeFate(state="failed"):
                self._failed(event)
            case Outcome():
                self._outcome(event)
        self._wait(event.at)

    def _begin(self, event: JobEvent) -> None:
        begins = isinstance(event, Progress) or (isinstance(event, Membership) and event.state == "running")
        if self.first_at is None and begins:
            self.first_at = event.at
            self.shares = Sharing(on_grain(max(event.at, self.since)))
        if self.first_at is not None and not (isinstance(event, Incident) and event.history):
            self.last_at = event.at

    def _claim(self, bucket: Bucket, start: float, end: float, owner: str = "") -> None:
        if self.shares is not None and start < end:
            self.shares.spans.append(Span(bucket, start, end, owner))

    def _progress(self, word: Progress) -> None:
        if self.first_step_at is None:
            self.first_step_at = word.at
            self._claim("restart", self.first_at if self.first_at is not None else word.at, word.at)
        if self.told is not None and self._silent_at(word.at):
            self._claim("detection", sum(self.told), word.at)
        self.told = (word.at, word.step_s)
        self._running(word)
        self._done_again(word)
        self._slow(word)

    def _silent_at(self, at: float) -> bool:
        if self.told is None:
            return False
        return at - self.told[0] > min(max(SILENT_S, SILENT_STEPS * self.told[1]), REACH_S)

    def _running(self, word: Progress) -> None:
        """A word of progress ends what held its rank: a restart, a failure that others mended, a move never made."""
        for key, one in list(self.restarts.items()):
            if one.node == word.node and word.at > one.since + (HOLDS_S if one.resize else 0.0):
                self._end_restart(key, word.at)
        for name, down in list(self.downs.items()):
            back = down.since is not None and down.rank == word.rank and word.at > down.since
            stays = down.since is None and down.node == word.node and word.at > down.begun + HOLDS_S
            if back or stays:
                self._end_down(name, word.at)

    def _done_again(self, word: Progress) -> None:
        """What one rank did again: from where it resumed until the step that it had reached before.

        Those that were taken from their nodes (``lefts``) tell of steps that no progress told of.
        """
        before = self.words.get(word.rank)
        if before is None:
            self.words[word.rank] = Word(word.at, word.step, word.step)
            return
        reached = before.reached
        if word.step < before.step:
            reached = max([reached, *(step for at, step in self.lefts if before.at <= at <= word.at)])
        if min(before.step, word.step) < reached:
            resumed_at, owner = self.restarted or (before.at, "")
            begun = max(before.at, resumed_at, word.at - REACH_S)
            self._claim("recomputed", begun, word.at - max(0, word.step - reached) * word.step_s, owner)
        self.words[word.rank] = Word(word.at, word.step, max(reached, word.step))

    def _slow(self, word: Progress) -> None:
        """What the lowest rank's steps took beyond the job's median so far, where that is much; ranks go in step."""
        normal_s = self.pace.median_s
        if self.lowest is not None and self.lowest[0] == word.rank and normal_s is not None:
            passed = word.at - self.lowest[1]
            if word.step_s >= DEGRADED_FACTOR * normal_s:
                begun = word.at - passed * (1.0 - normal_s / word.step_s)
                self._claim("degraded", max(begun, word.at - REACH_S), word.at)
        if self.lowest is None or word.rank <= self.lowest[0]:
            self.lowest = (word.rank, word.at)
        self.pace.note(word.step_s)

    def _incident(self, incident: Incident) -> None:
        if incident.state == "closed":
            self.suspected.discard(incident.node)
        else:
            self.suspected.add(incident.node)
        self._notice(incident.at, incident.node)

    def _notice(self, at: float, node: str | None = None) -> None:
        """The failure of a node (None: of any) is known from now on."""
        for name, down in self.downs.items():
            if not down.noticed and node in {None, down.node}:
                self._claim("detection", down.begun, at, down.node)
                self.downs[name] = replace(down, begun=at, noticed=True)

    def _failed(self, fate: NodeFate) -> None:
        """A node failed that ran a rank; one that was being left anyway is down from now on."""
        state, rank = self.places.get(fate.node, ("", None))
        self.places[fate.node] = ("failed", None)
        if state != "running" or rank is None:
            return
        for name, down in self.downs.items():
            if down.node == fate.node:
                self.downs[name] = replace(down, since=fate.at if down.since is None else down.since)
                return
        self.downs[fate.id] = Down(fate.node, rank, fate.at, fate.at, noticed=fate.node in self.suspected)

    def _outcome(self, outcome: Outcome) -> None:
        match outcome.action:
            case "CHECKPOINT":
                self._blocked(outcome)
            case "MIGRATE":
                self._moved(outcome)
            case "RESTORE" | "RESIZE":
                self._restored(outcome)

    def _blocked(self, outcome: Outcome) -> None:
        if outcome.stage != "staged" or not outcome.seconds:
            return
        for command, one in list(self.blocked.items()):
            if outcome.at > one.first_at + REACH_S:
                self._claim("checkpoint", one.at - one.seconds, one.at)
                self.blockings, self.blocking_s = self.blockings + 1, self.blocking_s + one.seconds
                del self.blocked[command]
        seconds = min(outcome.seconds, REACH_S)
        known = self.blocked.get(outcome.command)
        if known is None:
            self.blocked[outcome.command] = Blocked(outcome.at, seconds, outcome.at)
        elif (seconds, outcome.at) > (known.seconds, known.at):
            self.blocked[outcome.command] = replace(known, seconds=seconds, at=outcome.at)

    def _moved(self, outcome: Outcome) -> None:
        key, down = (outcome.command, outcome.node, None), self.downs.get(outcome.command)
        if key not in self.begun and outcome.stage in _ACCEPTED:
            self.begun.add(key)
            rank = self.places.get(outcome.node, ("", None))[1]
            down = self.downs[outcome.command] = Down(outcome.node, rank, outcome.at, None)
        if outcome.stage == "done":
            self.lefts = [one for one in self.lefts if one[0] >= outcome.at - REACH_S]
            self.lefts.append((outcome.at, outcome.step or 0))
            if down is not None and down.since is None:
                self.downs[outcome.command] = replace(down, since=outcome.at)
        elif outcome.stage in TERMINAL_STAGES and down is not None and down.since is None:
            self._end_down(outcome.command, outcome.at)

    def _restored(self, outcome: Outcome) -> None:
        if outcome.action == "RESTORE":
            self._notice(outcome.at)
        key = (outcome.command, outcome.node, outcome.rank)
        if key not in self.begun and outcome.stage in _ACCEPTED:
            self.begun.add(key)
            self._restart(key, outcome)
        if key in self.restarts and outcome.stage in TERMINAL_STAGES:
            down = self._end_restart(key, outcome.at)
            if outcome.stage != "done" and down is not None:
                self.downs[f"again-{outcome.id}"] = replace(down, begun=outcome.at, since=outcome.at)

    def _restart(self, key: Key, outcome: Outcome) -> None:
        """A RESTORE ends the standstill that began first; a RESIZE ends all, for the job goes on without the ranks."""
        resize = outcome.action == "RESIZE"
        down_now = sorted((one.since, name) for name, one in self.downs.items() if one.since is not None)
        ended = [self._end_down(name, outcome.at) for _, name in (down_now if resize else down_now[:1])]
        owner = next((one.node for one in ended), "" if resize else outcome.node)
        if resize and not ended:
            owner = next((one.owner for (command, *_), one in self.restarts.items() if command == key[0]), "")
        down = ended[0] if ended and not resize else None
        self.restarts[key] = Restart(outcome.node, outcome.at, resize, owner, down)
        self.restarted = (outcome.at, owner)

    def _end_restart(self, key: Key, at: float) -> Down | None:
        one = self.restarts.pop(key)
        self._claim("restart", one.since, at, one.owner)
        return one.down

    def _end_down(self, name: str, at: float) -> Down:
        down = self.downs.pop(name)
        self._claim("migration" if down.noticed else "detection", down.begun, at, down.node)
        return down

    def _wait(self, at: float) -> None:
        """Begin or end to wait: some rank is known to be down and no spare is free."""
        owner = self._waiting_for()
        if self.waits is not None and (owner is None or owner != self.waits[1]):
            self._claim("waiting", self.waits[0], at, self.waits[1])
            self.waits = None
        if self.waits is None and owner is not None:
            self.waits = (at, owner)

    def _waiting_for(self) -> str | None:
        if not self.downs or any(state == "spare" for state, _ in self.places.values()):
            return None
        return next((one.node for one in self.downs.values() if one.since is not None and one.noticed), None)

    def open_spans(self, until: float) -> Iterator[Span]:
        """What is claimed and has no end yet."""
        if self.first_at is not None and self.first_step_at is None:
            yield Span("restart", self.first_at, until)
        if self.told is not None and self._silent_at(until):
            yield Span("detection", sum(self.told), until)
        for down in self.downs.values():
            yield Span("migration" if down.noticed else "detection", down.begun, until, down.node)
        for one in self.restarts.values():
            yield Span("restart", one.since, until, one.owner)
        for held in self.blocked.values():
            yield Span("checkpoint", held.at - held.seconds, held.at)
        if self.waits is not None:
            yield Span("waiting", self.waits[0], until, self.waits[1])

    def settle(self) -> None:
        """Count for good what no later event can claim any more."""
        if self.shares is not None and self.last_at is not None:
            self.shares.settle(on_grain(min(self.last_at - SETTLED_S, self.until)), self.open_spans(self.last_at))

    def shared(self) -> tuple[dict[Held, float], float]:
        """Return the seconds by bucket and owner from the first event to the last, and their sum."""
        if self.shares is None or self.last_at is None:
            return {}, 0.0
        end = on_grain(min(self.last_at, self.until))
        return self.shares.shared(end, self.open_spans(self.last_at)), max(0.0, end - self.shares.start)

    @property
    def cost_s(self) -> float | None:
        """The mean blocking time of a checkpoint (s); None before one was written."""
        seconds = [one.seconds for one in self.blocked.values()]
        number = self.blockings + len(seconds)
        return (self.blocking_s + sum(seconds)) / number if number else None
