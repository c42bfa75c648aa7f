"""Reads the topics for the sink, without a group: from where its outbox left off, and as far before as folds need.

What is told at ticks needs what stood before: the decision log is folded from its beginning, the assessments from where
the nodes of an earlier life were kept, or without that from a tail before the place where reading goes on. Of records
before that place the points are in the outbox, or beyond it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from confluent_kafka import KafkaError, TopicPartition

from connectors.errors import InvalidRecord
from connectors.influx.outbox import Positions
from connectors.kafka.log import bounds, follower, partition_count, reader
from connectors.kafka.topics import ASSESSMENT, EVENT
from infra.observer.reader import TAIL
from infra.observer.record import LogRecord
from infra.sink.kept_nodes import Kept, Node, write_nodes
from infra.sink.telling import READS, Telling

Begin = Literal["earliest", "latest"]
#: Records of one turn, and how long a turn waits for them; each turn with points is one write to the outbox.
TURN_RECORDS: Final = 2_000
TURN_S: Final = 0.25
#: How each node stands is kept this seldom; what was read since is read again after a restart.
NODES_S: Final = 20.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Places:
    """Where a sink began, where it goes on, where it reads from, with which nodes, and how many records are gone."""

    begin: Positions
    next: Positions
    read_from: Positions
    nodes: Mapping[int, Mapping[str, Node]] = field(default_factory=dict)
    lost: int = 0


def places(brokers: str, begin: Positions, after: Positions, kept: Kept, first: Begin, say: Say) -> Places:
    """Find where to read.

    Parameters
    ----------
    begin, after : what the outbox holds; both empty for a new one
    kept : how the nodes stood, at or before that place
    first : where a new outbox begins

    Raises
    ------
    Unreachable
        No broker answers, or a topic is not there.
    """
    began, goes_on, reads = dict(begin), dict(after), dict[tuple[str, int], int]()
    nodes, lost = dict[int, Mapping[str, Node]](), 0
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
                    say(gone(place, low - known))
                    lost += low - known
                    goes_on[place] = low
                reads[place] = _from(topic, low, goes_on[place])
                if topic == ASSESSMENT and partition in kept and kept[partition][0] <= (known or 0) <= high:
                    offset, nodes[partition] = kept[partition]
                    reads[place] = max(low, offset)
    return Places(began, goes_on, reads, nodes, lost)


def gone(place: tuple[str, int], records: int) -> str:
    """What a person is told of records that the topics did not keep for long enough."""
    return f"{place[0]}/{place[1]}: {records} records are gone from the log, they were kept too short"


def _from(topic: str, low: int, goes_on: int) -> int:
    if topic == EVENT:
        return low
    return max(low, goes_on - TAIL) if topic == ASSESSMENT else goes_on


@dataclass(frozen=True, slots=True)
class Turn:
    """The points of the records of one turn, where to read on from after them, and how many could not be read.

    ``gone`` are places from which records went, unread, with how many.
    ``away`` says why the topics cannot be read at all; None: they can.
    """

    lines: list[str]
    next: Positions
    records: int
    unreadable: list[str]
    away: str | None = None
    gone: tuple[tuple[tuple[str, int], int], ...] = ()


class Topics:
    """Reads on, turn by turn; ``folder`` is the outbox's, where the nodes are kept."""

    def __init__(
        self, brokers: str, found: Places, telling: Telling, folder: Path, monotonic: Callable[[], float]
    ) -> None:
        self._next, self._telling = dict(found.next), telling
        self._folded = {place[1]: offset for place, offset in found.read_from.items() if place[0] == ASSESSMENT}
        self._folder, self._monotonic = folder, monotonic
        self._kept_at: float | None = None
        self._away: str | None = None
        self._consumer = follower(brokers, "forestall-sink", self._on_error, reset="earliest")
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in found.read_from.items()])

    def turn(self) -> Turn:
        """Read what there is, at most ``TURN_RECORDS``, for at most ``TURN_S``."""
        lines, wrong, count = list[str](), list[str](), 0
        lost = list[tuple[tuple[str, int], int]]()
        for message in self._consumer.consume(TURN_RECORDS, TURN_S):
            if message.error() is not None:
                _raise_if_lasting(message.error())
                continue
            count += 1
            self._away = None
            record = LogRecord.of(message)
            place = (record.topic, record.partition)
            try:
                told = self._telling.take(record)
            except InvalidRecord as fault:
                told = []
                if record.offset >= self._next[place]:
                    wrong.append(f"{record.topic}/{record.partition}/{record.offset}: {fault}")
            if record.topic == ASSESSMENT:
                self._folded[record.partition] = record.offset + 1
            if record.offset >= self._next[place]:
                if record.offset > self._next[place]:
                    lost.append((place, record.offset - self._next[place]))
                self._next[place] = record.offset + 1
                lines += told
        return Turn(lines, dict(self._next), count, wrong, self._away, tuple(lost))

    def kept(self) -> None:
        """All that was told is safe in the outbox: keep how the nodes stand, now and then; raises ``OSError``."""
        now = self._monotonic()
        if self._kept_at is not None and now - self._kept_at < NODES_S:
            return
        nodes = self._telling.nodes
        write_nodes(self._folder, {one: (offset, nodes.get(one, {})) for one, offset in self._folded.items()})
        self._kept_at = now

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = f"no broker answers: {error.str()}"

    def close(self) -> None:
        """Let go of the brokers."""
        self._consumer.close()


def _raise_if_lasting(error: KafkaError) -> None:
    if error.fatal():
        raise RuntimeError(f"the topics cannot be read: {error.str()}")
