"""Two ways to the broker, both idempotent and in order within a partition, both placing a key on the same partition.

kafka-python carries live telemetry: nothing but Python, 17,000–20,000 records a second at 47–57 µs of CPU each. A past
is loaded through librdkafka (confluent-kafka): 98,000–103,000 a second at 2–4 µs each, measured on two cores in the
same run with records of 190 bytes. Loading 308,000 frames so costs one second of CPU in place of fifteen, which on a
small machine are the worker's. (`murmur2_random` is the partitioner that kafka-python and the Java client use.)

Neither ever gives a record up by itself: how long to wait is decided in one place, the producer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from functools import partial
from typing import Any, Final

import confluent_kafka
from kafka import KafkaProducer
from kafka.errors import AuthorizationError, KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from connectors.errors import Unreachable
from connectors.ports import AGAIN, SENT, Outbound

OVERSIZE: Final = "oversize"
NOT_AUTHORISED: Final = "not-authorised"
#: Kafka's own default bound on a batch (max.message.bytes) less the most that the batch and record headers take.
RECORD_BYTES_MAX: Final = 1_048_588 - 512
_NEVER_MS: Final = 2**31 - 1  # 24 days: a client's own time-out would turn waiting into an unknown outcome
_CLOSE_S: Final = 2.0


class LiveLink:
    """kafka-python as a :class:`connectors.ports.Link`; raises :class:`Unreachable` when no broker answers."""

    def __init__(self, brokers: str) -> None:
        self._settled: deque[tuple[int, str]] = deque()
        self._news = threading.Event()
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=brokers.split(","),
                client_id="forestall-telemetry",
                bootstrap_timeout_ms=8_000,
                max_block_ms=5_000,
                delivery_timeout_ms=_NEVER_MS,
                reconnect_backoff_max_ms=1_000,
                batch_size=1 << 17,
                max_request_size=RECORD_BYTES_MAX + 512,
                allow_auto_create_topics=False,
                metrics_enabled=False,
            )
        except (KafkaError, OSError) as fault:
            raise Unreachable(f"no Kafka broker answers at {brokers}: {fault}") from None

    def send(self, token: int, record: Outbound) -> None:
        """Hand a record to the client's own queue."""
        try:
            future = self._producer.send(record.topic, record.value, record.key, partition=record.partition)
        except (KafkaError, ValueError) as fault:
            self._note(token, _meaning(fault))
            return
        future.add_callback(partial(self._delivered, token))
        future.add_errback(partial(self._failed, token))

    def settled(self, wait_s: float) -> list[tuple[int, str]]:
        """What came of records; the client's own thread finds out."""
        if not self._settled and wait_s > 0:
            self._news.wait(wait_s)
        self._news.clear()
        return [self._settled.popleft() for _ in range(len(self._settled))]

    def close(self, wait_s: float) -> None:
        """Let what is queued go out for ``wait_s``, then abort it.

        The client's own ``close`` raises while records are queued and leaves its thread trying, so that is told first.
        """
        sender = self._producer._sender
        sender.initiate_close()
        sender.join(wait_s)
        if sender.is_alive():
            sender.force_close()
            sender.join(_CLOSE_S)
        self._producer.close(timeout=_CLOSE_S)

    def _note(self, token: int, what: str) -> None:
        self._settled.append((token, what))
        self._news.set()

    def _delivered(self, token: int, _: object) -> None:
        self._note(token, SENT)

    def _failed(self, token: int, fault: Exception) -> None:
        self._note(token, _meaning(fault))


def _meaning(fault: Exception) -> str:
    if isinstance(fault, (MessageSizeTooLargeError, RecordListTooLargeError)):
        return OVERSIZE
    return NOT_AUTHORISED if isinstance(fault, AuthorizationError) else AGAIN


class BulkLink:
    """librdkafka as a :class:`connectors.ports.Link`, for loading a past."""

    def __init__(self, brokers: str) -> None:
        self._settled: list[tuple[int, str]] = []
        self._producer = confluent_kafka.Producer(
            {
                "bootstrap.servers": brokers,
                "client.id": "forestall-history",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 5,
                "batch.size": 1 << 18,
                "message.timeout.ms": _NEVER_MS,
                "message.max.bytes": RECORD_BYTES_MAX + 512,
                "allow.auto.create.topics": False,
                "log_level": 0,
            }
        )

    def send(self, token: int, record: Outbound) -> None:
        """Hand a record to librdkafka's queue, waiting only where that is full."""
        where = {} if record.partition is None else {"partition": record.partition}
        note = partial(self._note, token)
        while True:
            try:
                self._producer.produce(record.topic, record.value, record.key, on_delivery=note, **where)
            except BufferError:
                self._producer.poll(0.05)
            except confluent_kafka.KafkaException as fault:
                self._note(token, fault.args[0], None)
                return
            else:
                return

    def settled(self, wait_s: float) -> list[tuple[int, str]]:
        """What came of records; they are told while this polls."""
        self._producer.poll(0 if self._settled else wait_s)
        found, self._settled = self._settled, []
        return found

    def close(self, wait_s: float) -> None:
        """Wait for what is queued, then throw it away."""
        until = time.monotonic() + wait_s
        while len(self._producer) and time.monotonic() < until:
            self._producer.poll(0.05)
        if len(self._producer):
            self._producer.purge()
            self._producer.flush(_CLOSE_S)

    def _note(self, token: int, fault: Any, _: object) -> None:
        self._settled.append((token, SENT if fault is None else _bulk_meaning(fault)))


def _bulk_meaning(fault: Any) -> str:
    code = fault.code()
    if code in (confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE, confluent_kafka.KafkaError.RECORD_LIST_TOO_LARGE):
        return OVERSIZE
    return NOT_AUTHORISED if code == confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED else AGAIN
