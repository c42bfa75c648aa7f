"""Reads what was put on a topic since a mark, whoever else writes to the same broker before."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

READ_S_MAX = 30.0


@dataclass(frozen=True, slots=True)
class Read:
    """One record as it lies on the log."""

    partition: int
    key: bytes
    value: bytes


class TopicReader:
    """All partitions of ``topic`` from the moment that the reader is made, or from their start."""

    def __init__(self, brokers: str, topic: str, *, from_start: bool = False) -> None:
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "tests", "enable.auto.commit": False})
        partitions = self._consumer.list_topics(topic, timeout=10).topics[topic].partitions
        self._topic = topic
        self._next = {partition: 0 if from_start else self._end(partition) for partition in partitions}

    def new(self) -> list[Read]:
        """What was put on it since the mark, or since the last call; each partition in order."""
        ends = {partition: self._end(partition) for partition in self._next}
        places = [
            TopicPartition(self._topic, partition, offset or OFFSET_BEGINNING)
            for partition, offset in self._next.items()
        ]
        self._consumer.assign(places)
        found: list[Read] = []
        deadline = time.monotonic() + READ_S_MAX
        while any(self._next[partition] < end for partition, end in ends.items()):
            assert time.monotonic() < deadline, f"{self._topic} could not be read to {ends} in time"
            for message in self._consumer.consume(500, 0.2):
                assert message.error() is None, message.error()
                partition, offset = message.partition(), message.offset()
                if self._next[partition] <= offset < ends[partition]:
                    found.append(Read(partition, message.key(), message.value()))
                    self._next[partition] = offset + 1
        return sorted(found, key=lambda read: read.partition)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _end(self, partition: int) -> int:
        """The end of a partition; one that was just made has no leader for a moment."""
        deadline = time.monotonic() + READ_S_MAX
        while True:
            try:
                _, high = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=10)
            except KafkaException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return int(high)
