"""The decide fold of an arm, followed from outside: the same events, so the same integral of Young's rate."""

from __future__ import annotations

from dataclasses import dataclass

from models.decisions import DecisionState, decide, initial_state
from models.policy_settings import PolicySettings
from models.prices import checkpoint_rate, checkpoint_situation
from models.records import Cause, Event


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a job stands: newest step told, whether all its ranks run and none is being brought back, and the rate.

    ``passed`` is the share of the checkpoint interval that has passed, ``interval_s`` the interval; ``saved`` whether a
    checkpoint is durable at every rank, ``world`` the number of ranks.
    """

    step: int
    world: int
    whole: bool
    saved: bool
    passed: float
    interval_s: float


class Shadow:
    """Folds one job's partition of the decision log; events must come in the order of the log."""

    def __init__(self, job: str, settings: PolicySettings) -> None:
        self._job, self._settings = job, settings
        self._states: dict[int, DecisionState] = {}

    def take(self, event: Event, partition: int, offset: int) -> None:
        """Take one record in."""
        state = self._states.get(partition)
        if state is None:
            state = self._states[partition] = initial_state(self._settings)
        self._states[partition], _ = decide(state, event, Cause(partition, offset))

    def standing(self, at: float) -> Standing:
        """Return where the job stands at a time (Unix seconds)."""
        job = next((state.jobs[self._job] for state in self._states.values() if self._job in state.jobs), None)
        if job is None:
            return Standing(0, 0, False, False, 0.0, float("inf"))
        rate = checkpoint_rate(checkpoint_situation(job, self._settings, at), self._settings)
        since = 0.0 if job.accrual.at is None else max(0.0, at - job.accrual.at)
        told_at = job.told_at
        awake = told_at is not None and at - told_at <= self._settings.stalled_after_s
        return Standing(
            step=job.step or 0,
            world=len(job.ranks),
            whole=job.whole and not job.down and awake,
            saved=job.saved is not None,
            passed=job.accrual.integral + rate * since,
            interval_s=1.0 / rate if rate > 0.0 else float("inf"),
        )
