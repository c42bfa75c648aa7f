"""Writes to Kafka from the hot path: idempotent, in order, with word when all of a batch is safe."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

Confirmed = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to write; ``partition`` None leaves it to the key."""

    topic: str
    key: bytes
    value: bytes
    partition: int | None = None
    headers: tuple[tuple[str, bytes], ...] = ()


class Publisher:
    """An idempotent producer.

    A record that cannot be written is never skipped: ``failed`` is told, once, and the worker must end, since what
    follows would be out of order.

    Parameters
    ----------
    brokers : bootstrap servers.
    failed : told why a record could not be written.
    """

    def __init__(self, brokers: str, failed: Callable[[str], None]) -> None:
        self._failed = failed
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "enable.idempotence": True,
                "linger.ms": 1,
                "partitioner": "murmur2_random",
                "message.timeout.ms": 0,
                "queue.buffering.max.messages": 500_000,
                "queue.buffering.max.kbytes": 1_048_576,
                "message.max.bytes": 8 * 1024 * 1024,
                "error_cb": self._on_error,
                "logger": logging.getLogger("rdkafka"),
            }
        )

    def publish_in_order(
        self, topic: str, partition: int, rows: Sequence[tuple[bytes, bytes]], done: Confirmed
    ) -> None:
        """Write (key, value) rows to one partition; ``done`` is called when the last, and so each, is safe."""
        messages: list[dict[str, Any]] = [{"key": key, "value": value} for key, value in rows]
        messages[-1]["callback"] = self._reporting(done)
        while messages:
            queued = self._queue(topic, partition, messages)
            messages = messages[queued:]
            self._producer.poll(0.05 if messages else 0)

    def _queue(self, topic: str, partition: int, messages: list[dict[str, Any]]) -> int:
        try:
            return int(
                self._producer.produce_batch(topic, messages, partition=partition, on_delivery=self._on_delivery)
            )
        except BufferError:
            return 0

    def publish(self, outgoing: Outgoing, done: Confirmed | None = None) -> None:
        """Write one record; ``done`` is called when it is safe."""
        extra = {} if outgoing.partition is None else {"partition": outgoing.partition}
        while True:
            try:
                self._producer.produce(
                    outgoing.topic,
                    key=outgoing.key,
                    value=outgoing.value,
                    headers=list(outgoing.headers),
                    on_delivery=self._reporting(done),
                    **extra,
                )
                break
            except BufferError:
                self._producer.poll(0.05)
        self._producer.poll(0)

    def poll(self) -> None:
        """Hand out the confirmations that have come."""
        self._producer.poll(0)

    def close(self, timeout_s: float) -> int:
        """Write what is queued; returns how many records were not confirmed in time."""
        return int(self._producer.flush(timeout_s))

    def _reporting(self, done: Confirmed | None) -> Callable[[KafkaError | None, Message], None]:
        def report(error: KafkaError | None, message: Message) -> None:
            self._on_delivery(error, message)
            if error is None and done is not None:
                done()

        return report

    def _on_delivery(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed(f"a record for {message.topic()} could not be written: {error.str()}")

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._failed(f"the producer cannot go on: {error.str()}")
