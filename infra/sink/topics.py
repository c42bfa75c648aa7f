"""Reads the topics for the sink, without a group: from where its outbox left off, and as far before as folds need.

What is told at ticks needs what stood before: the decision log is folded from its beginning, the assessments from a
tail before the place where reading goes on. Of records before that place the points are in the outbox, or beyond it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from connectors.errors import InvalidRecord
from connectors.influx.outbox import Positions
from connectors.kafka.log import bounds, partition_count, reader
from connectors.kafka.topics import ASSESSMENT, EVENT
from infra.observer.reader import TAIL
from infra.observer.record import LogRecord
from infra.sink.telling import READS, Telling

Begin = Literal["earliest", "latest"]
#: Records of one turn, and how long a turn waits for them; each turn with points is one write to the outbox.
TURN_RECORDS: Final = 2_000
TURN_S: Final = 0.25
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a sink began, where it goes on, and where it reads from."""

    begin: Positions
    next: Positions
    read_from: Positions


def places(brokers: str, begin: Positions, after: Positions, first: Begin, say: Say) -> Places:
    """Find where to read.

    Parameters
    ----------
    begin, after : what the outbox holds; both empty for a new one
    first : where a new outbox begins

    Raises
    ------
    Unreachable
        No broker answers, or a topic is not there.
    """
    began, goes_on, reads = dict(begin), dict(after), dict[tuple[str, int], int]()
    with reader(brokers) as consumer:
        for topic in READS:
            for partition in range(partition_count(consumer, topic)):
                place = (topic, partition)
                low, high = bounds(consumer, topic, partition)
                known = goes_on.get(place)
                if known is None or known > high:
                    if known is not None:
                        say(f"{topic}/{partition} ends at {high}, before {known}: it is another log, and read anew")
                    goes_on[place] = began[place] = low if first == "earliest" or known is not None else high
                elif known < low:
                    say(f"{topic}/{partition}: {low - known} records are gone from the log, they were kept too short")
                    goes_on[place] = low
                reads[place] = _from(topic, low, goes_on[place])
    return Places(began, goes_on, reads)


def _from(topic: str, low: int, goes_on: int) -> int:
    if topic == EVENT:
        return low
    return max(low, goes_on - TAIL) if topic == ASSESSMENT else goes_on


@dataclass(frozen=True, slots=True)
class Turn:
    """The points of the records of one turn, where to read on from after them, and how many could not be read.

    ``away`` says why the topics cannot be read at all; None: they can.
    """

    lines: list[str]
    next: Positions
    records: int
    unreadable: list[str]
    away: str | None = None


class Topics:
    """Reads on, turn by turn."""

    def __init__(self, brokers: str, found: Places, telling: Telling) -> None:
        self._next, self._telling = dict(found.next), telling
        self._away: str | None = None
        self._consumer = Consumer(
            {
                "bootstrap.servers": brokers,
                "group.id": "forestall-sink",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "allow.auto.create.topics": False,
                "fetch.wait.max.ms": 200,
                "fetch.queue.backoff.ms": 20,
                "queued.max.messages.kbytes": 16_384,
                "reconnect.backoff.max.ms": 1_000,
                "error_cb": self._on_error,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in found.read_from.items()])

    def turn(self) -> Turn:
        """Read what there is, at most ``TURN_RECORDS``, for at most ``TURN_S``."""
        lines, wrong, count = list[str](), list[str](), 0
        for message in self._consumer.consume(TURN_RECORDS, TURN_S):
            if message.error() is not None:
                _raise_if_lasting(message.error())
                continue
            count += 1
            self._away = None
            record = log_record(message)
            place = (record.topic, record.partition)
            try:
                told = self._telling.take(record)
            except InvalidRecord as fault:
                told = []
                if record.offset >= self._next[place]:
                    wrong.append(f"{record.topic}/{record.partition}/{record.offset}: {fault}")
            if record.offset >= self._next[place]:
                self._next[place] = record.offset + 1
                lines += told
        return Turn(lines, dict(self._next), count, wrong, self._away)

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = f"no broker answers: {error.str()}"

    def close(self) -> None:
        """Let go of the brokers."""
        self._consumer.close()


def _raise_if_lasting(error: KafkaError) -> None:
    if error.fatal():
        raise RuntimeError(f"the topics cannot be read: {error.str()}")


def log_record(message: Message) -> LogRecord:
    """A record as the folds take it."""
    return LogRecord(
        topic=str(message.topic()),
        partition=int(message.partition() or 0),
        offset=int(message.offset() or 0),
        key=message.key(),
        value=bytes(message.value() or b""),
        appended=message.timestamp()[1] / 1000.0,
    )
