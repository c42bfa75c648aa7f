"""The schemas of packed frames, by id, as ``telemetry.schema.v1`` holds them.

A schema is named by the digest of its content, so it never changes and may be looked up at any time. Producers write
it, and wait until it is safe, before their first frame: an id that is not there after a look at the topic's end is
one that nobody has written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from confluent_kafka import Consumer

from connectors.codecs.frames import decode_schema
from connectors.errors import InvalidRecord
from connectors.kafka import topics
from connectors.kafka.log import bounds, partition_count, read_range
from models.telemetry import Schema

PATIENCE_S: Final = 1.0


class SchemaTable(Mapping[str, Schema]):
    """Schemas by id; one that is not known makes it read the topic on, at most once in ``PATIENCE_S``.

    Parameters
    ----------
    consumer : a reader of its own (see ``connectors/kafka/log.py``).
    monotonic : seconds that never go back.
    """

    def __init__(self, consumer: Consumer, monotonic: Callable[[], float]) -> None:
        self._consumer = consumer
        self._monotonic = monotonic
        self._known: dict[str, Schema] = {}
        self._next: dict[int, int] = {}
        self._looked = float("-inf")

    def __getitem__(self, schema_id: str) -> Schema:
        if schema_id not in self._known and self._monotonic() - self._looked >= PATIENCE_S:
            self._read_on()
            self._looked = self._monotonic()
        return self._known[schema_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def _read_on(self) -> None:
        for partition in range(partition_count(self._consumer, topics.SCHEMA)):
            low, high = bounds(self._consumer, topics.SCHEMA, partition)
            start = max(low, self._next.get(partition, low))
            for message in read_range(self._consumer, topics.SCHEMA, partition, start, high):
                self._take(message.key() or b"", message.value() or b"")
            self._next[partition] = high

    def _take(self, key: bytes, value: bytes) -> None:
        try:
            self._known[key.decode()] = decode_schema(value)
        except (InvalidRecord, UnicodeDecodeError):
            return  # no frame can name what cannot be read: it is dead-lettered as of an unknown schema
