"""How far a run is: what is still missing before it can go live, and what it has come to since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from infra.observer.view import FATES, View
from infra.up.plan import JOB, Plan
from infra.up.summary import Baseline
from infra.up.tallies import Tallies


@dataclass(frozen=True, slots=True)
class Lack:
    """What was found: which steps are done, and the first that is not, in words; None when all are."""

    done: Mapping[str, bool]
    missing: str | None


def lack(view: View, tallies: Tallies, plan: Plan, before: Baseline) -> Lack:
    """Look at everything that a run waits for before it goes live."""
    sent, assessed = tallies.history_sent(), _read(view, before)
    steps = {
        "worker": (bool(view.counts) or assessed > 0, "the worker has not begun to read"),
        "history_sent": (sent is not None, "the past is still being sent"),
        "history_assessed": (
            sent is not None and assessed >= sent,
            f"{assessed:,} of {sent or 0:,} frames of the past are assessed",
        ),
    }
    if plan.with_job:
        steps["job"] = _job(view, plan)
    missing = next((what for done, what in steps.values() if not done), None)
    return Lack({name: done for name, (done, _) in steps.items()}, missing)


def _read(view: View, before: Baseline) -> int:
    """Frames read so far, however they were counted."""
    return sum(view.total(name) - before.of(name) for name in FATES)


def _job(view: View, plan: Plan) -> tuple[bool, str]:
    """Whether every rank trains and every spare waits."""
    job = view.jobs.get(JOB)
    training = {} if job is None else {rank for rank, told in job.ranks.items() if told.step > 0}
    here = set() if job is None else set(job.members)
    ready = len(training) >= len(plan.ranks) and here >= {*plan.ranks, *plan.spares}
    return (
        ready,
        f"{len(training)} of {len(plan.ranks)} ranks train, {len(here)} cluster agents have told of themselves",
    )


def status(view: View, job: str) -> str:
    """One line for a person: frames, latency, the job."""
    pair = view.latency_ms()["assessment"]
    text = f"{view.total('assessed'):,} frames assessed"
    if pair["p50"] is not None:
        text += f", p50 {pair['p50']:.0f} ms, p99 {pair['p99']:.0f} ms"
    known = view.jobs.get(job)
    if known is not None and known.losses:
        text += f"; job {job} at step {known.step_max:,}, loss {known.losses[-1][2]:.4f}"
    return text
