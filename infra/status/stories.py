"""What the diagnostics judge by, taken from what the topics told: checkpoints, recoveries and probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from infra.observer.fleet import FleetView
from infra.observer.job import CommandView, JobView
from models.diagnostics import Checkpoint, Move, Recovery, Told
from models.records import Event, Incident, Membership, NodeFate, Progress

#: Of so many assessments P is judged; a fleet of 10,000 nodes is so with ten of each.
PROBABILITIES_MAX = 100_000
_MOVES = ("MIGRATE", "RESTORE")
_BAD_ENDS = ("failed", "expired", "rejected")
_ENDS = ("done", *_BAD_ENDS)


def probabilities(fleet: FleetView) -> list[Told]:
    """The newest live assessments that had a probability, of every node as many."""
    of_one = max(1, PROBABILITIES_MAX // max(1, len(fleet.nodes)))
    return [
        Told(node, ts, probability)
        for node, view in fleet.nodes.items()
        for ts, probability, _, _ in islice(reversed(view.points), of_one)
        if probability is not None
    ]


def checkpoints(job: JobView) -> list[Checkpoint]:
    """Each CHECKPOINT that stopped a rank: the longest stop, and that rank's bytes where they were told."""
    found = []
    for view in job.commands.values():
        staged = [one for one in view.ended("staged") if one.seconds is not None]
        if view.command.action != "CHECKPOINT" or not staged:
            continue
        sizes = [one.bytes for one in (*view.ended("durable"), *view.ended("done"), *staged) if one.bytes is not None]
        longest = max(one.seconds or 0.0 for one in staged)
        found.append(Checkpoint(view.command.issued_at, longest, max(sizes, default=None)))
    return found


def began_at(job: JobView) -> float | None:
    """When the job first told of its progress, of what is kept; None before it has."""
    return min((one.at for one in job.events if isinstance(one, Progress)), default=None)


def told_until(job: JobView) -> float:
    """The newest source time that the job, or a command of it, told of."""
    commands = (view.command.issued_at for view in job.commands.values())
    return max((*(one.at for one in job.events), *commands), default=0.0)


def recoveries(job: JobView) -> list[Recovery]:
    """Each rank that was moved, or that lost its node, with what had been told of the node before."""
    events = sorted(job.events, key=lambda event: event.at)
    moves = sorted(
        (view for view in job.commands.values() if view.command.action in _MOVES), key=lambda v: v.command.generation
    )
    resized = [
        one.at for view in job.commands.values() if view.command.action == "RESIZE" for one in view.ended("done")
    ]
    return [
        replace(found, ended_at=_ended(found, rank, views, events, resized))
        for found, rank, views in (*_moved(events, moves), *_lost(events, moves))
    ]


_Begun = tuple[Recovery, int | None, Sequence[CommandView]]


def _moved(events: Sequence[Event], moves: Sequence[CommandView]) -> Iterator[_Begun]:
    by_incident: dict[str, list[CommandView]] = {}
    for view in moves:
        if view.command.incident is not None:
            by_incident.setdefault(view.command.incident, []).append(view)
    for incident, views in by_incident.items():
        told = [one for one in events if isinstance(one, Incident) and one.incident == incident]
        if told:
            began = views[0].command.issued_at
            failed = [one.at for one in _failures(events) if one.node == told[0].node and told[0].at <= one.at < began]
            yield _begun(told, min((*failed, began)), views), next(iter(views[0].command.ranks), None), views


def _lost(events: Sequence[Event], moves: Sequence[CommandView]) -> Iterator[_Begun]:
    """A node that failed before anything was ordered: its rank is restored by a command of no incident."""
    restores = [view for view in moves if view.command.action == "RESTORE" and view.command.incident is None]
    for fate in _failures(events):
        ranks = [
            one.rank
            for one in events
            if isinstance(one, Membership) and one.node == fate.node and one.state == "running" and one.at <= fate.at
        ]
        told = [one for one in events if isinstance(one, Incident) and one.node == fate.node and one.at <= fate.at]
        if not ranks or not told or told[-1].state == "closed":
            continue
        if any(view.command.incident == told[-1].incident for view in moves):
            continue
        later = [one for one in restores if one.command.ranks == (ranks[-1],) and one.command.issued_at >= fate.at]
        alarm = [one for one in told if one.incident == told[-1].incident]
        yield _begun(alarm, fate.at, later), ranks[-1], later


def _failures(events: Sequence[Event]) -> list[NodeFate]:
    return [one for one in events if isinstance(one, NodeFate) and one.state == "failed"]


def _begun(told: Sequence[Incident], began: float, views: Sequence[CommandView]) -> Recovery:
    return Recovery(
        job=told[0].job or "",
        node=told[0].node,
        probability=max((one.probability for one in told if one.at <= began), default=0.0),
        begun_at=began,
        moves=tuple(_move(view) for view in views),
    )


def _ended(
    found: Recovery,
    rank: int | None,
    views: Sequence[CommandView],
    events: Sequence[Event],
    resized: Sequence[float],
) -> float | None:
    """When the rank ran again, or the job without it; at once where its node was not left after all."""
    again = [one.at for view in views if view.command.action == "RESTORE" for one in view.ended("done")]
    elsewhere = [
        one.at
        for one in events
        if isinstance(one, Membership) and one.state == "running" and one.rank == rank and one.node != found.node
    ]
    called_off = []
    if views and views[-1].command.action == "MIGRATE" and not any(view.ended("done") for view in views):
        called_off = [one.at for stage in _BAD_ENDS for one in views[-1].ended(stage)]
    ends = [at for at in (*again, *elsewhere, *resized, *called_off) if at >= found.begun_at]
    return min(ends, default=None)


def _move(view: CommandView) -> Move:
    def first(stage: str) -> float | None:
        return min((one.at for one in view.ended(stage)), default=None)

    ends = [at for at in (first(stage) for stage in _ENDS) if at is not None]
    return Move(
        issued_at=view.command.issued_at,
        received_at=first("received"),
        accepted_at=first("accepted"),
        ended_at=min(ends, default=None),
    )
