"""One look at the topics: newest snapshots, who runs what, and the tails of the logs, in bounded time.

The state of the decide fold is its newest snapshot, carried on to the end of the decision log by the fold itself: what
is told is what a worker knows, or would know, at that point.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from connectors.codecs.records import decode_event
from connectors.errors import InvalidRecord
from connectors.kafka.log import (
    ELECTION_TURN_S,
    ELECTION_TURNS_MAX,
    TIMEOUT_S,
    bounds,
    partition_count,
    read_range,
    reader,
)
from connectors.kafka.snapshots import Snapshot, read_newest
from connectors.kafka.topics import ASSESSMENT, COMMAND, DEAD_LETTER, EVENT, INVENTORY, SNAPSHOT, TELEMETRY
from infra import clock
from infra.observer.record import LogRecord
from infra.observer.view import View
from infra.status.refusals import Refusals
from models.decision_state import DecisionState, from_bytes
from models.decisions import decide, initial_state
from models.policy_settings import PolicySettings
from models.records import Cause

#: How much of each partition is read at most, from its end.
TAILS: Final[Mapping[str, int]] = {EVENT: 20_000, COMMAND: 2_000, ASSESSMENT: 20_000}
#: A snapshot that is older than so many records is not carried on.
CARRIED_MAX: Final = 200_000
_ELECTING: Final = {
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
}


@dataclass(frozen=True, slots=True)
class Position:
    """How far a worker is on a partition: the log's end, what it has committed, and what its newest snapshot covers."""

    topic: str
    partition: int
    end: int
    committed: int | None
    snapshot: int | None

    @property
    def lag(self) -> int | None:
        """Records that wait to be taken; None when no worker has ever been here."""
        known = [offset for offset in (self.committed, self.snapshot) if offset is not None]
        return max(0, self.end - max(known)) if known else None


@dataclass(slots=True)
class Reading:
    """What was read: the view of the tails, the decide fold's states by partition, and how far the worker is.

    ``reached`` says for each state the next offset that it has not taken in, ``carried`` whether that is the log's end,
    ``unread`` why a partition has none, and ``uncommitted`` why the group's own word on its positions is missing.
    ``dead_letters`` are those still retained.
    """

    view: View = field(default_factory=View)
    refusals: Refusals = field(default_factory=Refusals)
    states: dict[int, DecisionState] = field(default_factory=dict)
    reached: dict[int, int] = field(default_factory=dict)
    carried: dict[int, bool] = field(default_factory=dict)
    unread: dict[int, str] = field(default_factory=dict)
    positions: list[Position] = field(default_factory=list)
    uncommitted: str | None = None
    dead_letters: int = 0

    def decided_by(self) -> PolicySettings | None:
        """The settings of the workers, from a snapshot of theirs; None when there is none."""
        saved = {one.partition for one in self.positions if one.topic == EVENT and one.snapshot is not None}
        return next((state.settings for number, state in self.states.items() if number in saved), None)


def read_status(brokers: str, group: str, settings: PolicySettings) -> Reading:
    """Read the topics at ``brokers``; ``settings`` are those of a worker that has left no snapshot.

    Raises
    ------
    Unreachable
        No broker answers, or a topic is not there.
    """
    reading = Reading()
    with reader(brokers) as consumer:
        committed = _committed(brokers, group, consumer, reading)
        for number in range(partition_count(consumer, TELEMETRY)):
            snapshot = read_newest(consumer, SNAPSHOT, TELEMETRY, number)
            reading.positions.append(_position(consumer, TELEMETRY, number, committed, snapshot))
        _inventory(consumer, reading)
        for number in range(partition_count(consumer, DEAD_LETTER)):
            low, high = bounds(consumer, DEAD_LETTER, number)
            reading.dead_letters += high - low
        for topic in (COMMAND, ASSESSMENT):
            for number in range(partition_count(consumer, topic)):
                _tail(consumer, topic, number, reading)
        for number in range(partition_count(consumer, EVENT)):
            _decided(consumer, number, committed, reading, settings)
    return reading


def _committed(brokers: str, group: str, consumer: Consumer, reading: Reading) -> dict[tuple[str, int], int]:
    """What the workers' group has committed, without joining it; where that is not told, snapshots still are."""
    asked = [
        TopicPartition(topic, number)
        for topic in (TELEMETRY, EVENT)
        for number in range(partition_count(consumer, topic))
    ]
    member = Consumer({"bootstrap.servers": brokers, "group.id": group, "enable.auto.commit": False, "log_level": 0})
    try:
        found = _asked(member, asked)
    except KafkaException as wrong:
        reading.uncommitted = f"what group {group!r} has committed is not told: {wrong.args[0].str()}"
        return {}
    finally:
        member.close()
    return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}


def _asked(member: Consumer, asked: list[TopicPartition]) -> list[TopicPartition]:
    """The group's offsets; a broker that has just begun first has to choose who keeps them."""
    for _ in range(ELECTION_TURNS_MAX):
        try:
            found: list[TopicPartition] = member.committed(asked, timeout=TIMEOUT_S)
        except KafkaException as wrong:
            if wrong.args[0].code() not in _ELECTING:
                raise
            clock.sleep(ELECTION_TURN_S)
        else:
            return found
    raise KafkaException(KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE))


def _position(
    consumer: Consumer, topic: str, number: int, committed: Mapping[tuple[str, int], int], snapshot: Snapshot | None
) -> Position:
    end = bounds(consumer, topic, number)[1]
    covered = None if snapshot is None else snapshot.next_offset
    return Position(topic, number, end, committed.get((topic, number)), covered)


def _inventory(consumer: Consumer, reading: Reading) -> None:
    for number in range(partition_count(consumer, INVENTORY)):
        for message in read_range(consumer, INVENTORY, number, *bounds(consumer, INVENTORY, number)):
            reading.view.fold(LogRecord.of(message))


def _tail(consumer: Consumer, topic: str, number: int, reading: Reading, least: int | None = None) -> list[LogRecord]:
    """Fold the end of a partition into the view, and return it; from ``least`` on at the latest."""
    low, high = bounds(consumer, topic, number)
    start = max(low, high - TAILS[topic])
    records = []
    for message in read_range(consumer, topic, number, start if least is None else min(start, least), high):
        record = LogRecord.of(message)
        records.append(record)
        if record.offset >= start:
            reading.refusals.note(reading.view.fold(record))
    return records


def _decided(
    consumer: Consumer,
    number: int,
    committed: Mapping[tuple[str, int], int],
    reading: Reading,
    settings: PolicySettings,
) -> None:
    snapshot = read_newest(consumer, SNAPSHOT, EVENT, number)
    position = _position(consumer, EVENT, number, committed, snapshot)
    reading.positions.append(position)
    low, high = bounds(consumer, EVENT, number)
    reached = low if snapshot is None else snapshot.next_offset
    carried = low <= reached and high - reached <= CARRIED_MAX
    records = _tail(consumer, EVENT, number, reading, reached if carried else None)
    try:
        state = initial_state(settings) if snapshot is None else from_bytes(snapshot.state, _settings(snapshot))
    except ValueError as wrong:
        reading.unread[number] = f"its snapshot is not of this build: {wrong}"
        return
    if carried:
        for cause, raw in _from(records, reached, number):
            _carry(state, cause, raw)
            reached = cause.offset + 1
    reading.states[number], reading.reached[number], reading.carried[number] = state, reached, carried


def _from(records: list[LogRecord], reached: int, number: int) -> Iterator[tuple[Cause, bytes]]:
    return ((Cause(number, one.offset), one.value) for one in records if one.offset >= reached)


def _carry(state: DecisionState, cause: Cause, raw: bytes) -> None:
    """Take in a record that no snapshot covers; the commands that follow are the worker's to give."""
    try:
        decide(state, decode_event(raw), cause)
    except InvalidRecord:
        return


def _settings(snapshot: Snapshot) -> PolicySettings:
    """The settings of the worker that wrote a snapshot, as far as this build knows them."""
    told = json.loads(snapshot.state).get("settings", {})
    known = {one.name for one in fields(PolicySettings)}
    return PolicySettings(**{name: value for name, value in told.items() if name in known})
