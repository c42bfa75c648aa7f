"""Reading a partition from a known place, once, without a group: tails, snapshots and small tables."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.errors import Unreachable

TIMEOUT_S = 15.0
ELECTION_TURN_S = 0.2
ELECTION_TURNS_MAX = 50
_ELECTING = {KafkaError.LEADER_NOT_AVAILABLE, KafkaError.NOT_LEADER_FOR_PARTITION}


def open_reader(brokers: str, *, fetch_wait_ms: int = 20) -> Consumer:
    """A consumer without a group, as the functions below need it; one that stays open fetches less often."""
    return Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "forestall-reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": fetch_wait_ms,
            "fetch.queue.backoff.ms": 5,
            "enable.partition.eof": True,
            "logger": logging.getLogger("rdkafka"),
        }
    )


def follower(
    brokers: str, group: str, on_error: Callable[[KafkaError], None], *, reset: Literal["earliest", "latest"] = "latest"
) -> Consumer:
    """A consumer that reads on for as long as its process lives, and keeps its own positions.

    ``on_error`` hears that no broker answers; ``reset`` is where it goes on from an offset that is gone.
    """
    return Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": group,
            "enable.auto.commit": False,
            "auto.offset.reset": reset,
            "allow.auto.create.topics": False,
            "fetch.wait.max.ms": 200,
            "fetch.queue.backoff.ms": 20,
            "queued.max.messages.kbytes": 16_384,
            "reconnect.backoff.max.ms": 1_000,
            "error_cb": on_error,
            "log_level": 0,
        }
    )


@contextmanager
def reader(brokers: str) -> Iterator[Consumer]:
    """An open reader, closed at the end."""
    consumer = open_reader(brokers)
    try:
        yield consumer
    finally:
        consumer.close()


def bounds(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """First offset and the next one to be written; raises :class:`Unreachable`.

    A partition whose leader is being chosen, as after its creation or when a broker ends, is asked again.
    """
    turns = 0
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=TIMEOUT_S)
        except KafkaException as wrong:
            turns += 1
            if wrong.args[0].code() not in _ELECTING or turns == ELECTION_TURNS_MAX:
                raise Unreachable(f"{topic}/{partition} does not answer: {wrong.args[0].str()}") from wrong
            time.sleep(ELECTION_TURN_S)
        else:
            return low, high


def read_range(consumer: Consumer, topic: str, partition: int, start: int, end: int) -> list[Message]:
    """The records at offsets ``start ≤ offset < end`` (compaction may have taken some, the last ones too).

    The consumer's own position is not asked: after a second assignment of the same partition it may still be that of
    the first.
    """
    found: list[Message] = []
    if start >= end:
        return found
    consumer.assign([TopicPartition(topic, partition, start)])
    idle = 0.0
    while idle < TIMEOUT_S:
        message = consumer.poll(0.2)
        if message is None:
            idle += 0.2
            continue
        if message.error() is not None and message.error().code() == KafkaError._PARTITION_EOF:
            if message.offset() >= end:
                return found
            continue
        if message.error() is not None:
            raise Unreachable(f"{topic}/{partition} cannot be read: {message.error().str()}")
        idle = 0.0
        if message.offset() < end:
            found.append(message)
        if message.offset() >= end - 1:
            return found
    raise Unreachable(f"{topic}/{partition} gave nothing for {TIMEOUT_S:.0f} s at offset {start} to {end}")


def read_tail(consumer: Consumer, topic: str, partition: int, count: int) -> list[Message]:
    """The last ``count`` offsets of a partition."""
    low, high = bounds(consumer, topic, partition)
    return read_range(consumer, topic, partition, max(low, high - count), high)


def partition_count(consumer: Consumer, topic: str) -> int:
    """How many partitions a topic has; raises :class:`Unreachable` when it is not there."""
    try:
        described = consumer.list_topics(topic, timeout=TIMEOUT_S).topics[topic]
    except KafkaException as wrong:
        raise Unreachable(f"the brokers do not answer: {wrong.args[0].str()}") from wrong
    if described.error is not None or not described.partitions:
        raise Unreachable(f"topic {topic} is not there: run `forestall topics apply`")
    return len(described.partitions)
