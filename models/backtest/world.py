"""What comes of a candidate's commands: what came of the log's, or what such commands took this job before.

An order that the log gave at the very same record has had its outcomes: they are handed to the candidate's command. Any
other of its commands is answered here, by the job's own measured times. Outcomes of commands that it did not give mean
nothing to it. All else is as the log tells it (decision 032).
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from models.command_protocol import EFFECT_SECONDS_MAX
from models.job import Job
from models.policy_settings import PolicySettings
from models.prices import checkpoint_cost_s, durable_s
from models.records import Command, Event, Outcome, Progress, Stage, Tick

#: So many commands of the log are remembered, for outcomes that are still to come.
REMEMBERED_MAX = 50_000


class Took(NamedTuple):
    """What commands take a job: blocking and writing a checkpoint, ending a rank, starting one (s)."""

    cost_s: float
    durable_s: float
    migrate_s: float
    restore_s: float


def took(job: Job | None, settings: PolicySettings, command: Command) -> Took:
    """What such a command took the job, else the prior; a migration's prior lies wholly in its restart."""
    known = job or Job(name=command.job)
    prior_s = settings.restart_s if command.incident is None else settings.migration_s
    restore_s = prior_s if known.restore_s is None else known.restore_s
    return Took(
        cost_s=checkpoint_cost_s(known, settings),
        durable_s=durable_s(known, settings),
        migrate_s=known.migrate_s or 0.0,
        restore_s=min(restore_s, EFFECT_SECONDS_MAX),
    )


class Answer(NamedTuple):
    """One stage that a command is to enter at ``due``; ``number`` keeps equal times in order."""

    due: float
    number: int
    command: Command
    stage: Stage
    rank: int | None
    seconds: float


@dataclass(slots=True)
class World:
    """The log as one candidate sees it.

    ``shift`` says for each job how many steps further it is for the candidate: one whose newest checkpoint was newer
    when the job went back has lost less. ``answered`` counts its commands that got their answers here, ``left_out`` the
    outcomes of the log that were of no command of its own, ``kept`` what was taken as told after the two had parted.
    """

    shift: dict[str, int] = field(default_factory=dict)
    answered: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    _twins: dict[str, tuple[Command, Command | None]] = field(default_factory=dict)
    _awaited: list[Answer] = field(default_factory=list)
    _numbers: int = 0

    def hand_over(self, was: Command, would: Command | None) -> None:
        """What comes of the log's command is what comes of the candidate's, given at the same record; None: of none."""
        if would is None or was != would:
            self._twins[was.id] = was, would
            while len(self._twins) > REMEMBERED_MAX:
                del self._twins[next(iter(self._twins))]

    def answer(self, command: Command, times: Took) -> None:
        """Have the candidate's command answered as time passes."""
        self.answered[command.action] += 1
        at = command.issued_at
        for rank in command.ranks if command.node is None else (None,):
            for stage, seconds in _stages(command, times):
                at_stage = at + (times.cost_s + seconds if stage == "durable" else seconds)
                self._numbers += 1
                heapq.heappush(self._awaited, Answer(at_stage, self._numbers, command, stage, rank, seconds))

    def due(self, tick: Tick) -> Iterator[Answer]:
        """The answers that have come by a tick, by time."""
        while self._awaited and self._awaited[0].due <= tick.at:
            yield heapq.heappop(self._awaited)

    def seen(self, event: Event) -> Event | None:
        """An event of the log as the candidate sees it; None when it does not."""
        if isinstance(event, Outcome):
            return self._outcome(event)
        shift = self.shift.get(event.job, 0) if isinstance(event, Progress) else 0
        if shift and isinstance(event, Progress):
            return replace(event, step=max(0, event.step + shift))
        return event

    def _outcome(self, event: Outcome) -> Outcome | None:
        shift = self.shift.get(event.job, 0)
        was, would = self._twins.get(event.command, (None, None))
        if was is None and not shift:
            return event
        if was is not None and would is None:
            self.left_out += 1
            return None
        step = None if event.step is None else max(0, event.step + shift)
        if was is None or would is None:
            return replace(event, step=step)
        elsewhere = would.node is not None and event.node == was.node
        node = would.node if elsewhere and would.node is not None else event.node
        return replace(event, command=would.id, node=node, step=step)


def _stages(command: Command, times: Took) -> tuple[tuple[Stage, float], ...]:
    if command.action == "CHECKPOINT":
        return ("accepted", 0.0), ("staged", times.cost_s), ("durable", times.durable_s)
    seconds = {"MIGRATE": times.migrate_s, "RESTORE": times.restore_s, "RESIZE": times.migrate_s + times.restore_s}
    return ("accepted", 0.0), ("done", min(seconds.get(command.action, 0.0), EFFECT_SECONDS_MAX))


def outcome_of(answer: Answer, job: Job | None, settings: PolicySettings) -> Outcome | None:
    """The outcome that an answer is, by how the candidate's job stands when it comes; None: the rank says nothing.

    A rank that does not run where it should fails; one that has told of no progress for long does not answer.
    """
    command, rank = answer.command, answer.rank
    if job is None:
        return None
    node = command.node if rank is None else _node_of(job, rank, command)
    told = Outcome(
        id=f"{command.id}/{answer.rank}/{answer.stage}/answered",
        job=command.job,
        command=command.id,
        action=command.action,
        node=node or "",
        stage=answer.stage,
        at=answer.due,
        rank=rank,
        step=_step(job, command),
        seconds=None if answer.stage == "accepted" else answer.seconds,
    )
    if not _stands(job, command, node):
        return replace(told, stage="failed", reason="no rank runs here", step=None, seconds=None)
    if command.action == "CHECKPOINT" and (job.told_at is None or answer.due - job.told_at > settings.stalled_after_s):
        return None
    return told


def _step(job: Job, command: Command) -> int | None:
    """The step that a command is about: a checkpoint is of the one at which the first rank staged it."""
    flight = job.in_flight.get(command.id)
    staged = next(iter(flight.steps.values()), None) if flight is not None else None
    return command.step if command.action != "CHECKPOINT" else job.step if staged is None else staged


def _node_of(job: Job, rank: int, command: Command) -> str | None:
    flight = job.in_flight.get(command.id)
    if flight is not None and flight.nodes:
        return flight.nodes[flight.ranks.index(rank)]
    return next((node for node, place in job.places.items() if place.state == "running" and place.rank == rank), None)


def _stands(job: Job, command: Command, node: str | None) -> bool:
    """Whether the node is as the command needs it: a rank runs there, or one can be started."""
    place = job.places.get(node or "")
    if command.action == "RESTORE":
        return place is None or place.state != "failed"
    return place is not None and place.state == "running"
