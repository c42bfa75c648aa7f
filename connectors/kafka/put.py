"""One record on a topic, and not before it is safe there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.errors import Failed, Unreachable

WAIT_S: Final = 15.0


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
        producer.produce(topic, key=key, value=value, headers=list(headers), on_delivery=delivered)
    except KafkaException as wrong:
        raise Failed(f"{topic}: {wrong.args[0].str()}") from wrong
    if producer.flush(WAIT_S + 1.0) or not (faults or places):
        raise Unreachable(f"{topic}: the brokers did not acknowledge within {WAIT_S:.0f} s")
    if faults:
        raise Failed(f"{topic}: {faults[0].str()}")
    return places[0]
