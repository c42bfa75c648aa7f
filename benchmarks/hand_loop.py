"""The loop that a good engineer would write by hand: confluent-kafka, the same decoder and models, and no framework.

It keeps no state over a restart and guards nothing; it is the yardstick for what the worker's guarantees cost.
``python -m benchmarks.hand_loop BROKERS full|plumbing`` reads one partition from its start until it is ended.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.artefacts import load_artefact
from connectors.codecs.frames import FrameDecoder
from connectors.codecs.records import encode_record
from connectors.kafka import topics
from connectors.kafka.log import read_tail, reader
from connectors.kafka.schemas import SchemaTable
from infra import clock
from infra.wiring import foresight_of
from models.assessment import Assessor
from models.incident import IncidentSettings
from models.records import Incident
from models.telemetry import Unreadable

Work = Callable[[list[Any]], list[tuple[str, bytes, bytes]]]


def full_job(brokers: str) -> Work:
    """Decode, assess, encode: what the worker's fold does."""
    with reader(brokers) as consumer:
        table = SchemaTable(consumer, clock.monotonic)
        schemas = {schema_id: table[schema_id] for schema_id in _ids(consumer)}
    decoder = FrameDecoder(schemas)
    assessor = Assessor(topics.TELEMETRY, 0, foresight_of(load_artefact()), IncidentSettings())

    def work(messages: list[Any]) -> list[tuple[str, bytes, bytes]]:
        concluded = assessor.apply([(m.offset(), decoder.decode(m.value())) for m in messages])
        keys = {m.offset(): m.key() for m in messages}
        return [
            (topics.EVENT if isinstance(c, Incident) else topics.ASSESSMENT, keys[offset], encode_record(c))
            for offset, c in concluded
            if not isinstance(c, Unreadable)
        ]

    return work


def plumbing(brokers: str) -> Work:
    """Unpack, take the largest value, publish it: no models at all."""

    def work(messages: list[Any]) -> list[tuple[str, bytes, bytes]]:
        return [(topics.ASSESSMENT, m.key(), _largest(m.value())) for m in messages]

    return work


def _largest(raw: bytes) -> bytes:
    if raw[0] == ord("{"):
        return raw
    row = msgspec.msgpack.decode(raw)[5]
    return b"%f" % np.frombuffer(row, "<f4").max()


def _ids(consumer: Consumer) -> list[str]:
    return [message.key().decode() for message in read_tail(consumer, topics.SCHEMA, 0, 10)]


def main(brokers: str, what: str) -> None:
    """Read, work, publish, until ended."""
    work = {"full": full_job, "plumbing": plumbing}[what](brokers)
    consumer = Consumer(
        {
            "bootstrap.servers": brokers,
            "group.id": "hand-loop",
            "enable.auto.commit": False,
            "fetch.queue.backoff.ms": 5,
            "queued.min.messages": 100_000,
        }
    )
    consumer.assign([TopicPartition(topics.TELEMETRY, 0, 0)])
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,
            "linger.ms": 1,
            "queue.buffering.max.messages": 500_000,
        }
    )
    while True:
        first = consumer.poll(0.1)  # consume() with a time-out would wait it out for a full batch
        if first is None:
            continue
        messages = [first, *consumer.consume(4095, 0)]
        by_topic: dict[str, list[dict[str, Any]]] = {}
        for topic, key, value in work(messages):
            by_topic.setdefault(topic, []).append({"key": key, "value": value})
        for topic, rows in by_topic.items():
            producer.produce_batch(topic, rows, partition=0)
        producer.poll(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
