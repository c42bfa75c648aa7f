"""What a cluster agent does with a command: a state machine, events in, instructions out (design, section 6).

::

    Delivered ─ received ─┬─ rejected   out of time, an older generation than the target's newest, over the node
                          │             owner's limits, or a rank for a node that is quarantined
                          ├─ expired    it came after its ``expires_at``
                          └─ accepted ── staged ── durable ── done
                                 └─────────┴──────────┴────── failed

Each arrow is one :class:`Record`: the agent writes it durably, then publishes its outcome, and only then carries out
what follows in the list. So whatever is redelivered, a command has at most one effect, and after a crash
:class:`Resumed` finds every half-done one. There is no clock here: each event holds the time at which it happened.

What is not authentic is no command: it is refused under a name made of its bytes, and never takes the place of the
command that it claims to be, moves a fence or ends anything (decision 026).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypedDict, Unpack

from models.agent_limits import AgentLimits
from models.records import TERMINAL_STAGES, Action, Command, Outcome, Stage, digest_id
from models.refusals import REFUSED, Refusals

#: Actions after which a node takes no new rank until its owner gives it back.
QUARANTINES: frozenset[Action] = frozenset({"QUARANTINE", "DRAIN"})
#: An accepted command that has not ended after this long has failed.
EFFECT_SECONDS_MAX = 120.0
#: How long after its expiry a command's id is remembered; a longer redelivery is refused as expired.
SEEN_SECONDS_MIN = 86_400.0
#: Commands that are remembered at most. Of what is expired the oldest go first; if nothing is, none is taken up.
SEEN_MAX = 10_000

_ORDER: dict[Stage, int] = {"received": 0, "accepted": 1, "staged": 2, "durable": 3, "done": 4, "failed": 4}


@dataclass(frozen=True, slots=True)
class Delivered:
    """A command for this agent came from the log; ``rank`` is the rank that it concerns here.

    ``refused`` says why it is not authentic: then nothing that stands in it is believed, and ``digest`` of its bytes is
    its name. None: it is signed by a key that is trusted.
    """

    command: Command
    at: float
    rank: int | None
    refused: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Staged:
    """The rank's state is copied and training goes on; ``seconds`` is how long training stood still."""

    command: str
    at: float
    step: int
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Durable:
    """The rank's checkpoint at ``step`` is safe at ``uri``; ``seconds`` since it was begun."""

    command: str
    at: float
    step: int
    seconds: float | None
    uri: str
    digest: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The whole effect is there."""

    command: str
    at: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The effect cannot be completed, and why."""

    command: str
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """It is ``at`` now: what waits too long fails, what expired long ago is forgotten."""

    at: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The agent runs again after a stop or a crash, its records restored."""

    at: float


ProtocolEvent: TypeAlias = Delivered | Staged | Durable | Finished | Failed | TimePassed | Resumed


@dataclass(frozen=True, slots=True)
class Record:
    """Write this durably, then publish ``outcome``.

    ``command`` comes with the first record of each command, ``accepted_at`` where several were made one.
    """

    outcome: Outcome
    command: Command | None = None
    accepted_at: float | None = None


@dataclass(frozen=True, slots=True)
class Readmission:
    """The node's owner has given it back: it may take a rank again."""

    at: float


Kept: TypeAlias = Record | Readmission


@dataclass(frozen=True, slots=True)
class Execute:
    """Carry the command out, and answer with Staged, Durable, Finished or Failed.

    ``begin``: it is new. ``finish``: after a restart; find what was half done and go on, or begin. ``find``: after a
    restart and past its expiry; report what was done, but do not begin.
    """

    command: Command
    mode: Literal["begin", "finish", "find"]


@dataclass(frozen=True, slots=True)
class Abandon:
    """Whatever of this command has not begun must not begin any more."""

    command: Command


Instruction: TypeAlias = Record | Execute | Abandon


class _Facts(TypedDict, total=False):
    """What an outcome may tell beside its stage."""

    step: int | None
    seconds: float | None
    bytes: int | None
    uri: str | None
    digest: str | None
    reason: str | None


@dataclass(slots=True)
class _Progress:
    """Where one command stands."""

    command: Command
    rank: int | None
    outcome: Outcome
    accepted_at: float | None = None

    @property
    def ended(self) -> bool:
        return self.outcome.stage in TERMINAL_STAGES


class CommandProtocol:
    """The commands that one node's cluster agent has seen, and where each stands.

    Parameters
    ----------
    node:
        The node of this cluster agent; it stands in every outcome.
    records:
        What an earlier run of it recorded, in order.
    limits:
        What its owner allows.
    """

    def __init__(self, node: str, records: Iterable[Kept] = (), limits: AgentLimits | None = None) -> None:
        self._node = node
        self._limits = limits or AgentLimits()
        self._seen: dict[str, _Progress] = {}
        self._refusals = Refusals(node)
        self._readmitted_at: float | None = None
        self.not_taken_up = 0
        for one in records:
            if isinstance(one, Readmission):
                self._readmitted_at = one.at
            else:
                self._enter(one)

    def handle(self, *events: ProtocolEvent) -> list[Instruction]:
        """Take in what happened, in order, and return what is to be done, in order."""
        return [instruction for event in events for instruction in self._handle(event)]

    def open_commands(self) -> list[Command]:
        """Return the commands that were accepted and have not ended, oldest first."""
        return [one.command for one in self._seen.values() if not one.ended]

    def stage(self, command: str) -> Stage | None:
        """Return the last stage that a command entered here, or None if it is not known."""
        known = self._seen.get(command)
        return known.outcome.stage if known else None

    @property
    def quarantined_by(self) -> Command | None:
        """Return the newest command by which this node takes no new rank, or None if it takes one."""
        holding = [one for one in self._seen.values() if self._holds(one)]
        return max(holding, key=lambda one: one.accepted_at or 0.0).command if holding else None

    @property
    def untold(self) -> int:
        """How many refusals of what is not authentic are only counted so far."""
        return self._refusals.untold

    def records(self) -> list[Kept]:
        """Return the least that :class:`CommandProtocol` needs to be built again: one record a command."""
        kept: list[Kept] = [Record(outcome) for outcome in self._refusals.outcomes()]
        kept += [Record(one.outcome, one.command, one.accepted_at) for one in self._seen.values()]
        return [*kept, Readmission(self._readmitted_at)] if self._readmitted_at is not None else kept

    def _handle(self, event: ProtocolEvent) -> Iterator[Instruction]:
        match event:
            case Delivered():
                yield from self._delivered(event)
            case Staged():
                facts: _Facts = {"step": event.step, "seconds": event.seconds, "bytes": event.bytes}
                yield from self._advance(event.command, "staged", event.at, **facts)
            case Durable():
                yield from self._durable(event)
            case Finished():
                yield from self._advance(event.command, "done", event.at, step=event.step)
            case Failed():
                yield from self._advance(event.command, "failed", event.at, reason=event.reason)
            case TimePassed():
                yield from self._time_passed(event.at)
            case Resumed():
                yield from self._resumed(event.at)

    def _delivered(self, event: Delivered) -> Iterator[Instruction]:
        if event.refused is not None:
            claimed = event.command
            told = self._refusals.refuse(event.digest, claimed.id, claimed.job, claimed.action, event.at, event.refused)
            yield from self._tell(told)
        elif event.command.id not in self._seen:
            if not self._has_room(event.at):
                self.not_taken_up += 1
                return
            received = self._outcome(event.command, event.rank, "received", event.at)
            yield self._enter(Record(received, event.command))
            yield from self._judge(event.command, event.rank, event.at)

    def _judge(self, command: Command, rank: int | None, at: float) -> Iterator[Instruction]:
        refusal = self._refusal(command, at)
        if refusal is not None:
            stage, reason = refusal
            yield self._enter(Record(self._outcome(command, rank, stage, at, reason=reason)))
            return
        yield self._enter(Record(self._outcome(command, rank, "accepted", at)))
        yield Execute(command, "begin")

    def _refusal(self, command: Command, at: float) -> tuple[Stage, str] | None:
        if not at <= command.expires_at:
            return "expired", f"it came {at - command.expires_at:.1f} s after its expiry"
        newest = self._newest(command)
        if command.generation < newest:
            return "rejected", f"generation {command.generation} is older than {newest}, already seen"
        by = self.quarantined_by
        if by is not None and command.action == "RESTORE":
            return "rejected", f"quarantined by {by.action} {by.id}; its owner ends that by `forestall agent --return`"
        accepted = [(one.command.action, one.accepted_at) for one in self._seen.values() if one.accepted_at is not None]
        why = self._limits.out_of_time(command, at) or self._limits.too_many(command.action, at, accepted)
        return ("rejected", why) if why is not None else None

    def _newest(self, command: Command) -> int:
        """Return the newest generation that its target has seen."""
        fences = [one for one in self._seen.values() if one.outcome.stage not in {"received", "rejected"}]
        target = _target(command)
        return max([one.command.generation for one in fences if _target(one.command) == target], default=0)

    def _holds(self, one: _Progress) -> bool:
        """Tell whether a command is a reason for this node to take no new rank."""
        since = self._readmitted_at
        if one.command.action not in QUARANTINES or one.accepted_at is None or one.outcome.stage == "failed":
            return False
        return since is None or one.accepted_at >= since

    def _has_room(self, at: float) -> bool:
        """Forget the oldest of what is over, if there are too many: once expired it cannot be carried out again."""
        if len(self._seen) < SEEN_MAX:
            return True
        over = [key for key, one in self._seen.items() if one.ended and at > one.command.expires_at]
        for key in [key for key in over if not self._holds(self._seen[key])][: SEEN_MAX // 10]:
            del self._seen[key]
        return len(self._seen) < SEEN_MAX

    def _durable(self, event: Durable) -> Iterator[Instruction]:
        facts: _Facts = {"step": event.step, "seconds": event.seconds, "uri": event.uri, "digest": event.digest}
        entered = list(self._advance(event.command, "durable", event.at, **facts))
        yield from entered
        if entered and self._seen[event.command].command.action == "CHECKPOINT":
            yield from self._advance(event.command, "done", event.at, step=event.step)

    def _advance(self, command: str, stage: Stage, at: float, **facts: Unpack[_Facts]) -> Iterator[Instruction]:
        """Enter a later stage; what is repeated, late or of an unknown command changes nothing."""
        known = self._seen.get(command)
        if known is None or known.ended or _ORDER[stage] <= _ORDER[known.outcome.stage]:
            return
        if facts.get("seconds") is None and known.accepted_at is not None:
            facts["seconds"] = at - known.accepted_at
        yield self._enter(Record(self._outcome(known.command, known.rank, stage, at, **facts)))

    def _time_passed(self, at: float) -> Iterator[Instruction]:
        for one in list(self._seen.values()):
            if not one.ended and at > (one.accepted_at or one.outcome.at) + EFFECT_SECONDS_MAX:
                reason = f"not done {EFFECT_SECONDS_MAX:.0f} s after it was accepted"
                yield from self._advance(one.command.id, "failed", at, reason=reason)
                yield Abandon(one.command)
            elif one.ended and at > one.command.expires_at + SEEN_SECONDS_MIN and not self._holds(one):
                del self._seen[one.command.id]
        yield from self._tell(self._refusals.catch_up(at))

    def _tell(self, refusal: Outcome | None) -> Iterator[Instruction]:
        if refusal is not None:
            yield self._enter(Record(refusal))

    def _resumed(self, at: float) -> Iterator[Instruction]:
        for one in [one for one in self._seen.values() if not one.ended]:
            if one.outcome.stage == "received":
                yield from self._judge(one.command, one.rank, at)
            elif one.outcome.stage == "durable" and one.command.action == "CHECKPOINT":
                yield from self._advance(one.command.id, "done", at, step=one.outcome.step)
            else:
                yield Execute(one.command, "finish" if at <= one.command.expires_at else "find")

    def _outcome(self, command: Command, rank: int | None, stage: Stage, at: float, **facts: Unpack[_Facts]) -> Outcome:
        return Outcome(
            id=digest_id(command.id, self._node, rank, stage),
            job=command.job,
            command=command.id,
            action=command.action,
            node=self._node,
            stage=stage,
            at=at,
            rank=rank,
            **facts,
        )

    def _enter(self, record: Record) -> Record:
        """Fold one record into the state; the only place where the state grows."""
        outcome = record.outcome
        if record.command is None and outcome.command.startswith(REFUSED):
            self._refusals.remember(outcome)
            return record
        if record.command is not None:
            self._seen[outcome.command] = _Progress(record.command, outcome.rank, outcome, record.accepted_at)
        known = self._seen.get(outcome.command)
        if known is None:
            return record
        known.outcome = outcome
        if outcome.stage in {"accepted", "staged", "durable"} and known.accepted_at is None:
            known.accepted_at = outcome.at
        return record


def _target(command: Command) -> str:
    """Return what a generation fences: one node of a job, or all of its ranks."""
    return f"{command.job}/{command.node or '*'}"
