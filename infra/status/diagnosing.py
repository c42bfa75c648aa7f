"""The diagnostics of all that was read; what the predictor made of its nodes is only asked for where P is stuck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from infra.observer.job import JobView
from infra.observer.view import View
from infra.status.stories import began_at, checkpoints, probabilities, recoveries, told_until
from models.diagnostics import Diagnosis, Told, checkpoint_overhead, probability_stuck, recovery_slow
from models.job import Job, Place
from models.mlp import Predictor
from models.policy_settings import PolicySettings
from models.prices import migration_s, mtbf_s

#: The model in use and the features of some nodes, as far as they can be had; and who looks them up.
Replayed = tuple[Predictor | None, NDArray[np.floating[Any]] | None]
Replay = Callable[[], Replayed]


def diagnose(view: View, settings: PolicySettings, known: Mapping[str, Job], replay: Replay) -> list[Diagnosis]:
    """Judge everything: the predictor once, and each job that runs.

    ``known`` are the decide fold's jobs, for what they have measured; without one the operator's priors count.
    """
    return [predictor(probabilities(view.fleet), replay), *jobs(view, settings, known)]


def predictor(told: list[Told], replay: Replay) -> Diagnosis:
    """Judge P, and look into the model where it is stuck."""
    found = probability_stuck(told)
    return probability_stuck(told, *replay()) if found.holds else found


def jobs(view: View, settings: PolicySettings, known: Mapping[str, Job]) -> list[Diagnosis]:
    """Judge each job that runs."""
    return [
        found
        for name in sorted(view.jobs)
        for found in _of_job(view.jobs[name], settings, known.get(name) or _unmeasured(view.jobs[name]))
    ]


def _of_job(view: JobView, settings: PolicySettings, job: Job) -> list[Diagnosis]:
    began = began_at(view)
    if began is None:
        return []
    now = told_until(view)
    return [
        recovery_slow(view.job, recoveries(view), now=now, usual_s=migration_s(job, settings), theta=settings.theta),
        checkpoint_overhead(
            view.job,
            checkpoints(view),
            begun_at=began,
            now=now,
            step_s=max((one.step_s for one in view.ranks.values()), default=0.0),
            mtbf_s=mtbf_s(job, settings),
        ),
    ]


def _unmeasured(view: JobView) -> Job:
    """A job of which no state was read: nothing of it has been measured."""
    job = Job(name=view.job)
    for member in view.members.values():
        job.places[member.node] = Place(member.state, member.at, member.rank, member.world)
    return job


def as_told(found: Diagnosis) -> dict[str, Any]:
    """As ``--json`` has it."""
    return {**asdict(found), "numbers": dict(found.numbers), "holds": found.holds, "runbook": found.runbook}
