"""The decide fold: one partition of the decision log in, commands out.

Pure in what counts: the commands depend on the events and the settings alone, never on a clock, on how the events were
batched, or on where the fold was stopped and restored. Time is that of events and ticks; only ticks end what is silent.

The way of an event: known already or too old → ignored; else its facts are taken in (``models.observing``); then each
job that it touches is looked at: alarms that began or ended (``models.alarms``), commands that ended
(``models.flights``), ranks to bring to safety (``models.rescue``), a job that goes on smaller or grows back
(``models.resizing``), what that left behind (``models.strays``), and at ticks the regular checkpoints
(``models.saving``). What may not be done, whatever is wished, is in ``models.brakes``.
"""

from __future__ import annotations

from collections.abc import Callable

from models.alarms import watch_alarms
from models.brakes.breaker import pass_window
from models.brakes.storm import calmed
from models.brakes.words import observe_opt_out, observe_pause, observe_reset
from models.decision_state import DecisionState, from_bytes, to_bytes
from models.flights import End, end_of, forgotten
from models.job import InFlight, Job
from models.observing import (
    observe_fate,
    observe_incident,
    observe_membership,
    observe_outcome,
    observe_progress,
    pass_horizons,
)
from models.policy_settings import LEVELS, Level, PolicySettings
from models.records import (
    Action,
    BreakerReset,
    Cause,
    Command,
    Event,
    Incident,
    Membership,
    NodeFate,
    OptOut,
    Outcome,
    Pause,
    Progress,
    Tick,
)
from models.rescue import (
    advance_rescues,
    begin_rescues,
    checkpoint_settled,
    migrate_ended,
    quarantine_ended,
    restore_ended,
)
from models.resizing import go_on_smaller, grow_back, growth_saved, resize_ended
from models.saving import checkpoint_ended, schedule
from models.strays import end_strays
from models.turn import Turn

__all__ = [
    "LEVELS",
    "DecisionState",
    "Level",
    "PolicySettings",
    "decide",
    "from_bytes",
    "initial_state",
    "to_bytes",
]


def initial_state(settings: PolicySettings) -> DecisionState:
    """Return the state of a fold that has read nothing yet."""
    return DecisionState(settings=settings)


def decide(state: DecisionState, event: Event, cause: Cause) -> tuple[DecisionState, tuple[Command, ...]]:
    """Take in one record of the decision log.

    Parameters
    ----------
    state:
        What the fold knows; it is changed in place. To keep it as it is, encode it first (:func:`to_bytes`).
    event, cause:
        The record and where it stands on the log; commands are counted from ``cause.index`` on.

    Returns
    -------
    The same state, and the commands to give, in order.
    """
    turn = Turn(state=state, at=event.at, cause=cause, tick=isinstance(event, Tick))
    if not _enters(state, event):
        return state, ()
    touched = _observe(turn, event)
    if not touched:
        return state, ()
    for job in touched:
        watch_alarms(turn, job)
    if turn.may_act and not (isinstance(event, Incident) and event.history):
        for job in touched:
            _act(turn, job)
    for job in touched:
        job.remember_size()
    return state, tuple(turn.commands)


def _enters(state: DecisionState, event: Event) -> bool:
    """Whether an event is news: not older than what is retained, not seen before, and no tick out of date.

    Progress is told too often for its ids to be kept; a rank's newer word replaces the older (``models.observing``).
    What people say holds until they say otherwise, however long ago that was.
    """
    if isinstance(event, Tick):
        return _tick_enters(state, event)
    old = state.now is not None and event.at < state.now - state.settings.retention_s
    if old and not isinstance(event, Pause | OptOut | BreakerReset):
        return False
    if isinstance(event, Progress):
        return True
    if event.id in state.seen:
        return False
    state.seen[event.id] = event.at if state.now is None else state.now
    return True


def _tick_enters(state: DecisionState, tick: Tick) -> bool:
    """A past that is loaded brings its own time; until it ends, and not before its own last tick, no other is heard."""
    if state.loading and tick.history is None:
        return False
    begins = bool(tick.history) and not state.loading
    ends = state.loading and not tick.history
    if state.now is not None and not begins and (tick.at < state.now or (tick.at == state.now and not ends)):
        return False
    state.now, state.loading = tick.at, bool(tick.history)
    _forget(state, tick.at - 2 * state.settings.retention_s)
    pass_window(state, tick.at)
    for job in state.jobs.values():
        job.storm = calmed(job.storm, tick.at, state.settings)
    return True


def _forget(state: DecisionState, before: float) -> None:
    """Forget ids first met before a time; an event that old is ignored by its age, so none enters twice."""
    while state.seen:
        oldest = next(iter(state.seen))
        if state.seen[oldest] >= before:
            return
        del state.seen[oldest]


def _observe(turn: Turn, event: Event) -> list[Job]:
    match event:
        case Progress():  # the most by far
            return observe_progress(turn, event)
        case Tick():
            return [turn.state.jobs[name] for name in sorted(turn.state.jobs)]
        case Incident():
            return observe_incident(turn, event)
        case Outcome():
            return observe_outcome(turn, event)
        case Membership():
            return observe_membership(turn, event)
        case NodeFate():
            return observe_fate(turn, event)
        case Pause():
            return observe_pause(turn, event)
        case OptOut():
            return observe_opt_out(turn, event)
        case BreakerReset():
            return observe_reset(turn, event)


def _act(turn: Turn, job: Job) -> None:
    if turn.tick:
        pass_horizons(turn, job)
    for flight in list(job.in_flight.values()):
        _settle(turn, job, flight)
    begin_rescues(turn, job)
    advance_rescues(turn, job)
    go_on_smaller(turn, job)
    grow_back(turn, job)
    end_strays(turn, job)
    if turn.tick:
        schedule(turn, job)


def _settle(turn: Turn, job: Job, flight: InFlight) -> None:
    """Take in the end of a command; a late one stays known for as long as something may still come of it."""
    end = end_of(flight, turn.at if turn.tick else None, turn.state.settings.checkpoint_deadline_s)
    if end == "open":
        return
    if end == "late" and flight.late:
        if forgotten(flight, turn.at):
            del job.in_flight[flight.id]
        return
    if end == "late":
        flight.late = True
    else:
        del job.in_flight[flight.id]
    _ENDED[flight.action](turn, job, flight, end)


def _checkpoint(turn: Turn, job: Job, flight: InFlight, end: End) -> None:
    checkpoint_ended(turn, job, flight, end)
    checkpoint_settled(turn, job, flight, end)
    growth_saved(turn, job, flight, end)


_ENDED: dict[Action, Callable[[Turn, Job, InFlight, End], None]] = {
    "CHECKPOINT": _checkpoint,
    "MIGRATE": migrate_ended,
    "RESTORE": restore_ended,
    "QUARANTINE": quarantine_ended,
    "RESIZE": resize_ended,
}
