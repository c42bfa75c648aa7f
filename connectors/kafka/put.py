"""A record on a topic, or a few, and not before they are safe there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.errors import Failed, Unreachable

WAIT_S: Final = 15.0
#: Key, value and headers.
Record = tuple[bytes, bytes, Sequence[tuple[str, bytes]]]


def put(
    brokers: str, topic: str, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
) -> tuple[int, int]:
    """Put a record there, wait until it is safe, and return its partition and offset.

    Raises
    ------
    Unreachable
        The brokers did not acknowledge within 15 s.
    Failed
        They refused it.
    """
    return put_all(brokers, topic, [(key, value, headers)])[0]


def put_all(brokers: str, topic: str, records: Sequence[Record]) -> list[tuple[int, int]]:
    """Put records there with one producer; their places in no fixed order. Raises as :func:`put` does."""
    faults: list[KafkaError] = []
    places: list[tuple[int, int]] = []
    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,
            "partitioner": "murmur2_random",
            "message.timeout.ms": round(WAIT_S * 1000),
            "log_level": 0,
        }
    )

    def delivered(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            faults.append(error)
        else:
            places.append((int(message.partition() or 0), int(message.offset() or 0)))

    try:
        for key, value, headers in records:
            producer.produce(topic, key=key, value=value, headers=list(headers), on_delivery=delivered)
    except KafkaException as wrong:
        raise Failed(f"{topic}: {wrong.args[0].str()}") from wrong
    if producer.flush(WAIT_S + 1.0) or len(faults) + len(places) < len(records):
        raise Unreachable(f"{topic}: the brokers did not acknowledge within {WAIT_S:.0f} s")
    if faults:
        raise Failed(f"{topic}: {faults[0].str()}")
    return places
