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


def note_outcome(job: Job, outcome: Outcome) -> None:
    """Add one acknowledgement to its command in flight; one of another node, or of an unknown command, adds nothing."""
    flight = job.in_flight.get(outcome.command)
    if flight is None:
        return
    place = _place(job, flight, outcome)
    if place is None:
        return
    if outcome.stage not in _ORDER:
        where = f"rank {place}" if place != WHOLE_NODE else outcome.node
        flight.failure = f"{where} {outcome.stage}: {outcome.reason or 'no reason given'}"[:_FAILURE_CHARS_MAX]
        return
    if _ORDER[outcome.stage] >= _ORDER.get(flight.stages.get(place, "received"), 0):
        flight.stages[place] = outcome.stage
    _note_facts(flight, place, outcome)


def _place(job: Job, flight: InFlight, outcome: Outcome) -> int | None:
    if flight.node is not None:
        return WHOLE_NODE if outcome.node == flight.node else None
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
