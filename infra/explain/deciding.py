"""The decision log of a job folded anew, up to one event: what was decided there, and the past that it began from."""

from __future__ import annotations

from dataclasses import dataclass, field

from connectors.codecs.records import decode_event
from connectors.errors import InvalidRecord
from connectors.kafka.snapshots import read_newest
from connectors.kafka.topics import EVENT, SNAPSHOT
from infra.explain.epochs import Epochs, NotOnLog
from infra.explain.finding import appended
from infra.run_log import RunLog
from models.decision_state import DecisionState, from_bytes, to_bytes
from models.decisions import decide, initial_state
from models.explaining.alternatives import SETTLE_S
from models.policy_settings import PolicySettings
from models.records import Cause, Command, Event, Tick


@dataclass(slots=True)
class FoldedTo:
    """What a fold over the decision log came to.

    ``commands`` are those of the event asked for, ``running`` the nodes that ran the job's ranks just before it.
    ``past`` is the state from which alternatives go on, ``events`` what follows it, until they are heard no more.
    """

    settings: PolicySettings
    past: bytes = b""
    at: float = 0.0
    commands: tuple[Command, ...] = ()
    running: tuple[str, ...] = ()
    events: list[tuple[Cause, Event]] = field(default_factory=list)


def fold_to(log: RunLog, partition: int, offset: int, fork: int, job: str, epochs: Epochs) -> FoldedTo:
    """Fold a partition of the decision log up to ``offset``, and read on until alternatives are heard no more.

    Parameters
    ----------
    fork : from this offset on the events are kept, and the state just before it.
    job : whose nodes are told.

    Raises
    ------
    NotOnLog
        What the state rests on is gone.
    """
    state, start = _begin(log, partition, offset, epochs)
    fork = max(fork, start)
    decided = FoldedTo(state.settings)
    for message in log.records(EVENT, partition, start):
        at = int(message.offset() or 0)
        try:
            event = decode_event(message.value() or b"")
        except InvalidRecord:
            continue
        if at > offset and isinstance(event, Tick) and event.at > decided.at + SETTLE_S:
            break
        if at <= offset:
            state.settings = epochs.at(appended(message)).policy
        if at >= fork:
            decided.past = decided.past or to_bytes(state)
            decided.events.append((Cause(partition, at), event))
        if at <= offset:
            _take(state, decided, Cause(partition, at), event, job if at == offset else None)
    return decided


def _take(state: DecisionState, decided: FoldedTo, cause: Cause, event: Event, job: str | None) -> None:
    """Fold one event; of that which is asked for (``job`` given) keep what it led to."""
    if job is not None:
        known = state.jobs.get(job)
        places = {} if known is None else known.places
        decided.running = tuple(sorted(node for node, place in places.items() if place.state == "running"))
        decided.settings, decided.at = state.settings, event.at
    _, commands = decide(state, event, cause)
    if job is not None:
        decided.commands = commands


def _begin(log: RunLog, partition: int, offset: int, epochs: Epochs) -> tuple[DecisionState, int]:
    low, high = log.bounds(EVENT, partition)
    topic = f"{EVENT}/{partition}"
    if not low <= offset < high:
        raise NotOnLog(f"{topic} holds offsets {low} to {high - 1}; {offset} is not there (any more)")
    first = epochs.at(float("-inf")).policy
    if low == 0:
        return initial_state(first), 0
    snapshot = read_newest(log.consumer, SNAPSHOT, EVENT, partition)
    if snapshot is None or not low <= snapshot.next_offset <= offset:
        raise NotOnLog(
            f"{topic} begins at offset {low}, and what was decided before it is not kept: the state at {offset} cannot "
            "be computed any more (topics.control_retention_d keeps the decision log longer)"
        )
    try:
        return from_bytes(snapshot.state, first), snapshot.next_offset
    except ValueError as wrong:
        raise NotOnLog(f"{topic} begins at offset {low}, and its snapshot is of another build: {wrong}") from wrong
