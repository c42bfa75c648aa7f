"""Ordering checkpoints: when one is due by the rate, and what follows when one ends."""

from __future__ import annotations

from collections.abc import Mapping

from models.brakes.gate import paused
from models.flights import End, failure_text
from models.job import InFlight, Job, Saved, measured
from models.prices import checkpoint_numbers, checkpoint_rate, checkpoint_situation
from models.turn import Turn


def told(rule: str, failures: tuple[str, ...]) -> str:
    """Return the rule of a reason with what went wrong before.

    >>> told("alarm", ("CHECKPOINT 3 failed: rank 2 failed: disk full",))
    'alarm; after CHECKPOINT 3 failed: rank 2 failed: disk full'
    """
    return "; after ".join((rule, *failures))


def order_checkpoint(
    turn: Turn,
    job: Job,
    rule: str,
    *,
    incident: str | None = None,
    evidence: tuple[str, ...] = (),
    why: Mapping[str, float] | None = None,
) -> str:
    """Issue a CHECKPOINT to every rank and return its id; the integral of the rate begins anew.

    ``why`` are the numbers that an alarm was found worth it by, where it had to be.
    """
    settings = turn.state.settings
    numbers = checkpoint_numbers(job, settings, turn.at)
    if incident is not None:
        suspected = job.incidents[incident]
        claim = "P" if why is None else "claim"
        alarm = {claim: suspected.probability, "deviation": suspected.deviation, "theta": settings.theta}
        numbers = {**(why or {}), **numbers, **(why or {}), **alarm, "horizon_s": suspected.horizon_s}
    else:
        numbers = {**numbers, "integral": job.accrual.integral}
    job.last_checkpoint_at, job.last_checkpoint_generation = turn.at, job.generation + 1
    job.accrual = job.accrual.reset()
    return turn.issue(job, "CHECKPOINT", rule, numbers, evidence=evidence, incident=incident, ranks=job.ranks)


def gap_passed(turn: Turn, job: Job) -> bool:
    """Whether the least time between two checkpoints has passed."""
    last = job.last_checkpoint_at
    return last is None or turn.at - last >= turn.state.settings.min_gap_s


def schedule(turn: Turn, job: Job) -> None:
    """At a tick: advance ∫λ dt, and order a checkpoint when it is due and the bounds allow it."""
    settings = turn.state.settings
    rate = checkpoint_rate(checkpoint_situation(job, settings, turn.at), settings)
    if not _active(turn, job):
        job.accrual = job.accrual.until(turn.at, 0.0)
        return
    job.accrual = job.accrual.until(turn.at, rate)
    if not job.accrual.due or job.unsaved_steps == 0 or not job.whole:
        return
    if job.checkpoint_in_flight is not None or not gap_passed(turn, job) or paused(turn, job) is not None:
        return
    order_checkpoint(turn, job, told(f"{settings.checkpoint}: integral of the rate reached 1", job.failures))


def _active(turn: Turn, job: Job) -> bool:
    """Whether the job makes progress: its ranks tell of it, and none is being moved."""
    moving = any(rescue.phase in {"migrating", "lost", "restoring"} for rescue in job.rescues.values())
    told_at = job.told_at
    return (
        not moving
        and job.resizing is None
        and told_at is not None
        and turn.at - told_at <= turn.state.settings.stalled_after_s
    )


def checkpoint_ended(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    """Take in that a CHECKPOINT is durable at every rank, or that it is not.

    A job with a rank down goes back to the checkpoint that it has: a newer one is no use to it any more. A scheduled
    checkpoint that failed is tried once more as soon as the bounds allow; then not before it is due again.
    """
    if end == "durable":
        _saved(turn, job, flight)
    elif not flight.late and not _awaited(job, flight):
        first = job.retries == 0
        job.retries = 1 if first else 0
        job.failures = (failure_text(flight, end) + ("" if first else ", given up until the next was due"),)
        job.accrual = job.accrual.reset(1.0 if first else job.accrual.integral)


def _awaited(job: Job, flight: InFlight) -> bool:
    return job.growing == flight.id or any(rescue.command == flight.id for rescue in job.rescues.values())


def _saved(turn: Turn, job: Job, flight: InFlight) -> None:
    if flight.blocking_s:
        job.cost_s = measured(job.cost_s, max(flight.blocking_s.values()))
    if flight.durable_s:
        job.durable_s = measured(job.durable_s, max(flight.durable_s.values()))
    job.retries, job.failures = 0, ()
    newer = job.saved is None or flight.generation > job.saved.generation
    if newer and not job.down and job.resizing is None:
        job.saved = Saved(step=next(iter(flight.steps.values())), at=turn.at, generation=flight.generation)
