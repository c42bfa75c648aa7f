"""What people say: pauses, opt-outs, and that the breaker may close. The last word on the log holds."""

from __future__ import annotations

from models.brakes.breaker import reset
from models.brakes.state import EVERY_JOB, Word
from models.job import Job
from models.records import BreakerReset, OptOut, Pause
from models.turn import Turn

_CHARS_MAX = 120


def observe_pause(turn: Turn, event: Pause) -> list[Job]:
    """A job is paused, or goes on; what it did not do meanwhile its next checkpoint tells."""
    key = EVERY_JOB if event.job is None else event.job
    brakes = turn.state.brakes
    jobs = [job for job in turn.state.jobs.values() if key in (EVERY_JOB, job.name)]
    known = {job.name: brakes.pause_of(job.name) for job in jobs}
    brakes.pauses[key] = Word(event.at, event.paused, turn.clock, event.by[:_CHARS_MAX], event.why[:_CHARS_MAX])
    for job in jobs:
        word = known[job.name]
        if word is not None and brakes.pause_of(job.name) is None:
            job.failures = (
                *job.failures[-2:],
                f"a pause of {max(0.0, turn.clock - word.since):.0f} s by {word.by}: {word.why}",
            )
    return jobs


def observe_opt_out(turn: Turn, event: OptOut) -> list[Job]:
    """A node is kept out of what forestall does, or no more."""
    turn.state.brakes.opt_outs[event.node] = Word(
        event.at, event.out, turn.clock, event.by[:_CHARS_MAX], event.why[:_CHARS_MAX]
    )
    return [job for job in turn.state.jobs.values() if event.node in job.places]


def observe_reset(turn: Turn, _: BreakerReset) -> list[Job]:
    """The breaker closes; whoever it held goes on."""
    reset(turn.state)
    return list(turn.state.jobs.values())
