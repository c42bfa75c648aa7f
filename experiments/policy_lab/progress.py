"""Time that passes, and what a job has of it: seconds into buckets, checkpoints begun and made durable."""

from __future__ import annotations

from experiments.compiled import compiled
from experiments.policy_lab.state import (
    DETECT,
    KEEP,
    MOVE,
    NEVER,
    NEW,
    RESTART,
    RUN,
    SAVE,
    WAIT,
    Run,
    World,
)


@compiled
def pass_time(world: World, state, run: Run, until: float, rate: float) -> None:
    """Let time pass until ``until``, each second of it into one bucket."""
    passed = until - state.at
    state.at = until
    if state.mode == RUN:
        _work(world, state, run, passed)
        state.integral += rate * passed
        state.kept_for += passed
    elif state.mode == SAVE or state.mode == KEEP:
        state.checkpoint += passed
    elif state.mode == DETECT:
        state.detection += passed
    elif state.mode == WAIT:
        state.waiting += passed
    elif state.mode == RESTART:
        state.restarting += passed
    elif state.mode == MOVE:
        state.migration += passed


@compiled
def _work(world: World, state, run: Run, passed: float) -> None:
    gained = passed if state.active == world.nodes else passed * state.active / world.nodes
    again = min(gained, max(0.0, state.reached - state.work))
    state.recomputed += again
    state.productive += gained - again
    state.degraded += passed - gained
    state.work += gained
    state.reached = max(state.reached, state.work)


@compiled
def enter(state, mode: int, seconds: float) -> None:
    """Spend the next seconds otherwise."""
    state.mode = mode
    state.mode_ends = state.at + seconds


@compiled
def run_on(state) -> None:
    """Go back to work; what was put off is decided now."""
    state.mode = RUN
    state.mode_ends = NEVER
    state.review = max(state.review, NEW)


@compiled
def begin_save(world: World, state, run: Run) -> None:
    """Begin a checkpoint; it counts once it is durable."""
    state.shot = state.work
    state.integral = 0.0
    state.began = state.at
    state.checkpoints += 1.0
    enter(state, SAVE, world.cost_s)


@compiled
def begin_keep(world: World, state, run: Run) -> None:
    """Begin a checkpoint to storage, of a job that otherwise saves to its peers' memory."""
    state.kept_shot = state.work
    state.kept_for = 0.0
    state.checkpoints += 1.0
    enter(state, KEEP, world.keep_cost_s)


@compiled
def make_durable(state) -> None:
    """Take in that checkpoints became durable."""
    if state.durable_at <= state.at:
        state.saved = state.shot
        state.durable_at = NEVER
        state.review = max(state.review, NEW)
    if state.kept_at <= state.at:
        state.kept = state.kept_shot
        state.kept_at = NEVER


@compiled
def unsaved_s(state) -> float:
    """Return the work since the newest checkpoint, the one that is being written included."""
    return state.work - (state.shot if state.durable_at < NEVER else state.saved)


@compiled
def lose_work(state, to_storage: bool) -> None:
    """Go back to the newest durable checkpoint; writing stops."""
    if to_storage:
        state.saved = state.kept
        state.kept_for = 0.0
    state.work = state.saved
    state.durable_at = NEVER
    state.kept_at = NEVER
    state.integral = 0.0
