"""Commands in flight: what each outcome adds, and when a command has ended."""

from __future__ import annotations

from typing import Literal

from models.command_protocol import EFFECT_SECONDS_MAX
from models.job import InFlight, Job
from models.records import Outcome, Stage

End = Literal["open", "durable", "done", "failed", "late"]
#: The only entry of the stages of a command that one node carries out.
WHOLE_NODE = -1
_ORDER: dict[Stage, int] = {"received": 0, "accepted": 1, "staged": 2, "durable": 3, "done": 4}
_FAILURE_CHARS_MAX = 200
#: Stages in which a rank that is to be renumbered does not come along.
_FALLEN: frozenset[Stage] = frozenset({"failed", "expired", "rejected"})


def note_outcome(job: Job, outcome: Outcome) -> None:
    """Add one acknowledgement to its command in flight; one of another node, or of an unknown command, adds nothing."""
    flight = job.in_flight.get(outcome.command)
    if flight is None:
        return
    place = _place(job, flight, outcome)
    if place is None:
        return
    if flight.stages.get(place) in _FALLEN:
        return
    if outcome.stage not in _ORDER:
        where = f"rank {place}" if place != WHOLE_NODE else outcome.node
        flight.failure = f"{where} {outcome.stage}: {outcome.reason or 'no reason given'}"[:_FAILURE_CHARS_MAX]
        if flight.nodes:
            flight.stages[place] = outcome.stage
        return
    if _ORDER[outcome.stage] >= _ORDER.get(flight.stages.get(place, "received"), 0):
        flight.stages[place] = outcome.stage
    _note_facts(flight, place, outcome)


def node_fell(job: Job, node: str) -> None:
    """A node that was to come along in a RESIZE does not: it failed, or somebody vacated it."""
    for flight in job.in_flight.values():
        if node in flight.nodes:
            flight.stages[flight.ranks[flight.nodes.index(node)]] = "failed"
            flight.failure = f"node {node} fell out"


def _place(job: Job, flight: InFlight, outcome: Outcome) -> int | None:
    if flight.nodes:
        return flight.ranks[flight.nodes.index(outcome.node)] if outcome.node in flight.nodes else None
    if flight.node is not None:
        return WHOLE_NODE if outcome.node == flight.node else None
    if outcome.node in job.strays:
        return None
    rank = outcome.rank if outcome.rank is not None else job.rank_on(outcome.node)
    return rank if rank in flight.ranks else None


def _note_facts(flight: InFlight, place: int, outcome: Outcome) -> None:
    if outcome.step is not None and outcome.stage in {"staged", "durable", "done"}:
        told = flight.steps.setdefault(place, outcome.step)
        if told != outcome.step and flight.action == "CHECKPOINT":
            flight.failure = f"rank {place} told of step {told} and of step {outcome.step}"
    if outcome.seconds is None:
        return
    if outcome.stage == "staged":
        flight.blocking_s[place] = outcome.seconds
    elif outcome.stage == "durable":
        flight.durable_s[place] = outcome.seconds
    elif outcome.stage == "done":
        flight.done_s = outcome.seconds


def end_of(flight: InFlight, tick_at: float | None, deadline_s: float) -> End:
    """Return how a command has ended, or that it is open.

    Parameters
    ----------
    tick_at:
        The time of the tick that is being decided on (s), None for any other record: only ticks end what is silent.
    deadline_s:
        A CHECKPOINT must be durable at every rank this long (s) after it was issued. Any other command must be
        accepted before it expires, and ends within the bound of the command protocol after that.
    """
    if flight.action == "RESIZE":
        return _resize_end(flight, tick_at)
    if flight.failure is not None:
        return "failed"
    if flight.action == "CHECKPOINT":
        return _checkpoint_end(flight, tick_at, deadline_s)
    stage = flight.stages.get(WHOLE_NODE)
    if stage == "done":
        return "done"
    accepted = stage is not None and stage != "received"
    deadline = flight.expires_at + (EFFECT_SECONDS_MAX if accepted else 0.0)
    return "late" if tick_at is not None and tick_at > deadline else "open"


def _checkpoint_end(flight: InFlight, tick_at: float | None, deadline_s: float) -> End:
    if not missing_ranks(flight):
        steps = set(flight.steps.values())
        return "durable" if len(steps) == 1 else "failed"
    return "late" if tick_at is not None and tick_at >= flight.issued_at + deadline_s else "open"


def _resize_end(flight: InFlight, tick_at: float | None) -> End:
    """One rank that falls out ends it, but not before each of the others is on its way: they wait for one another."""
    stages = [flight.stages.get(rank) for rank in flight.ranks]
    begun = all(stage is not None and stage != "received" for stage in stages)
    if all(stage == "done" for stage in stages):
        return "done"
    if begun and any(stage in _FALLEN for stage in stages):
        return "failed"
    deadline = flight.expires_at + (EFFECT_SECONDS_MAX if begun else 0.0)
    return "late" if tick_at is not None and tick_at > deadline else "open"


def fallen_ranks(flight: InFlight, end: End) -> tuple[int, ...]:
    """Return the ranks that do not come along in a RESIZE: they said so, or by its end have not begun."""
    silent: frozenset[Stage | None] = frozenset({None, "received"}) if end == "late" else frozenset()
    stages = {rank: flight.stages.get(rank) for rank in flight.ranks}
    return tuple(rank for rank, stage in stages.items() if stage in _FALLEN or stage in silent)


def missing_ranks(flight: InFlight) -> tuple[int, ...]:
    """Return the ranks at which a CHECKPOINT is not durable."""
    return tuple(rank for rank in flight.ranks if flight.stages.get(rank) not in {"durable", "done"})


def forgotten(flight: InFlight, tick_at: float) -> bool:
    """Whether nothing can come of a late command any more."""
    return flight.late and tick_at > flight.expires_at + 2 * EFFECT_SECONDS_MAX


def failure_text(flight: InFlight, end: End) -> str:
    """Return in words what became of a command that failed or is late."""
    name = f"{flight.action} {flight.generation}"
    if flight.failure is not None:
        return f"{name} failed: {flight.failure}"
    if flight.action != "CHECKPOINT":
        return f"{name} had no end in time"
    if end == "failed":
        return f"{name} failed: the ranks saved different steps"
    ranks = ", ".join(str(rank) for rank in missing_ranks(flight))
    return f"{name} was not durable in time at rank {ranks}"
