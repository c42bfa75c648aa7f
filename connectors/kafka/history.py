"""What the log holds of the past, to train on: frames of ``telemetry.node.v1``, labels of ``control.event.v1``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from confluent_kafka import Consumer

from connectors.codecs.frames import FrameDecoder
from connectors.codecs.records import decode_event
from connectors.errors import Failed, InvalidRecord
from connectors.fault_log import Span, Spans
from connectors.history_recording import Gathering, HistoryRecording
from connectors.kafka import topics
from connectors.kafka.log import bounds, partition_count, read_range, reader
from models.records import NodeFate
from models.telemetry import Row, Schema

#: Offsets that are read at a time.
READ: Final = 20_000

#: Is told how many records were read, and of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LoggedHistory:
    """A recording, the places that it stood at (topic/partition and offsets), and how many fates were told."""

    recording: HistoryRecording
    places: tuple[str, ...]
    fates: int


def read_history(
    brokers: str, schemas: Mapping[str, Schema], progress: Progress = lambda done, of: None
) -> LoggedHistory:
    """Everything that the two topics hold now.

    Parameters
    ----------
    schemas : those of packed frames, by id.

    Raises
    ------
    Failed
        There are no frames, or nothing says that a node has failed.
    """
    with reader(brokers) as consumer:
        ends = {
            (topic, partition): bounds(consumer, topic, partition)
            for topic in (topics.TELEMETRY, topics.EVENT)
            for partition in range(partition_count(consumer, topic))
        }
        whole = sum(high - low for low, high in ends.values())
        done = 0
        gathered, fates = Gathering(), list[NodeFate]()
        decoder = FrameDecoder(schemas)
        for (topic, partition), (low, high) in ends.items():
            for start in range(low, high, READ):
                end = min(start + READ, high)
                values = _values(consumer, topic, partition, start, end)
                if topic == topics.TELEMETRY:
                    _gather(gathered, decoder, values)
                else:
                    fates += _fates(values)
                done += end - start
                progress(done, whole)
    down = down_spans(fates)
    if not down:
        raise Failed(
            f"{topics.EVENT} holds no fate of a node: without failures there is nothing to learn. Cluster agents tell "
            "of ranks that die; your scheduler, or you, can tell of nodes"
        )
    places = tuple(f"{topic}/{partition} {low}–{high - 1}" for (topic, partition), (low, high) in ends.items())
    return LoggedHistory(gathered.recording(down), places, len(fates))


def _values(consumer: Consumer, topic: str, partition: int, start: int, end: int) -> list[bytes]:
    return [message.value() or b"" for message in read_range(consumer, topic, partition, start, end)]


def _gather(gathered: Gathering, decoder: FrameDecoder, values: list[bytes]) -> None:
    for record in decoder.decode_batch(values):
        if isinstance(record, Row):
            gathered.add(record.node, record.ts, record.schema, record.values)


def _fates(values: Iterable[bytes]) -> list[NodeFate]:
    found = []
    for value in values:
        try:
            event = decode_event(value)
        except InvalidRecord:
            continue
        if isinstance(event, NodeFate):
            found.append(event)
    return found


def down_spans(fates: Iterable[NodeFate]) -> Spans:
    """When each node was down: from a failure to the next recovery, or for good where none was told.

    >>> told = [("failed", 5.0), ("failed", 6.0), ("recovered", 9.0), ("failed", 12.0)]
    >>> down_spans(NodeFate(id=str(at), job=None, node="n1", at=at, state=state) for state, at in told)
    {'n1': ((5.0, 9.0), (12.0, inf))}
    """
    spans: dict[str, list[Span]] = {}
    since: dict[str, float] = {}
    for fate in sorted(fates, key=lambda fate: (fate.at, fate.state == "failed")):
        if fate.state == "failed":
            since.setdefault(fate.node, fate.at)
        elif fate.node in since:
            spans.setdefault(fate.node, []).append((since.pop(fate.node), fate.at))
    for node, at in since.items():
        spans.setdefault(node, []).append((at, inf))
    return {node: tuple(found) for node, found in sorted(spans.items())}
