"""The gate: whether a node may be moved now, and what holds it where it may not."""

from __future__ import annotations

from models.brakes.breaker import trip_text, would_trip
from models.brakes.storm import storm_text
from models.job import Job
from models.turn import Turn


def paused(turn: Turn, job: Job) -> str | None:
    """Return the pause that holds for a job in words, None when there is none."""
    word = turn.state.brakes.pause_of(job.name)
    return None if word is None else f"paused by {word.by}: {word.why}"


def held(turn: Turn, job: Job, node: str) -> str | None:
    """Return what keeps a node that ought to be left from being left, in words; None when nothing does.

    To ask is to want it: the breaker trips where this node would be one too many.
    """
    state, settings = turn.state, turn.state.settings
    if (pause := paused(turn, job)) is not None:
        return pause
    if (word := state.brakes.opted_out(node)) is not None:
        return f"{node} is opted out by {word.by}: {word.why}"
    if job.storm.since is not None:
        return storm_text(settings)
    if turn.clock - job.seen.get(node, turn.clock) < settings.warm_up_s:
        return f"{node} has been known for less than {settings.warm_up_s:.0f} s"
    if would_trip(state, node, turn.clock) and state.brakes.tripped is not None:
        return trip_text(state.brakes.tripped, settings.breaker_window_s)
    return None
