"""Model artefacts on the log, where every worker can look them up: their bytes by digest on ``telemetry.schema.v1``.

An artefact is named by the digest of its content, as a schema is, so it never changes and may be looked up at any time.
Whoever has workers use one puts it there first, and waits until it is safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.codecs.records import encode_inventory
from connectors.errors import Failed, Unreachable, WrongUse
from connectors.kafka import topics
from connectors.kafka.log import bounds, partition_count, read_range, reader
from models.records import InventoryModel

#: What one record may hold by Kafka's own default, less what its head takes.
ARTEFACT_BYTES_MAX: Final = 1_000_000
WAIT_S: Final = 15.0


def artefact_key(digest: str) -> bytes:
    """The key of an artefact; schemas beside it have the bare digest."""
    return f"model/{digest}".encode()


def publish_artefact(brokers: str, digest: str, content: bytes) -> None:
    """Put an artefact's bytes on the log and wait until they are safe; raises ``WrongUse`` when they are too many."""
    if len(content) > ARTEFACT_BYTES_MAX:
        raise WrongUse(
            f"the artefact has {len(content):,} bytes; one record holds {ARTEFACT_BYTES_MAX:,}: train a smaller network"
        )
    _publish(brokers, topics.SCHEMA, artefact_key(digest), content)


def publish_choice(brokers: str, choice: InventoryModel) -> None:
    """Put on the inventory which model is used in a role, and wait until it is safe."""
    _publish(brokers, topics.INVENTORY, f"model/{choice.role}".encode(), encode_inventory(choice))


def artefact_records(brokers: str, digest: str) -> list[bytes]:
    """What stands on the log under an artefact's key, the newest first; empty when nobody has put it there."""
    return [message.value() or b"" for message in _all(brokers, topics.SCHEMA, artefact_key(digest))][::-1]


def choice_records(brokers: str, role: str) -> list[bytes]:
    """The choices of a role that the inventory still holds, the newest first."""
    return [message.value() or b"" for message in _all(brokers, topics.INVENTORY, f"model/{role}".encode())][::-1]


def _all(brokers: str, topic: str, key: bytes) -> Iterable[Message]:
    with reader(brokers) as consumer:
        return [
            message
            for partition in range(partition_count(consumer, topic))
            for message in read_range(consumer, topic, partition, *bounds(consumer, topic, partition))
            if message.key() == key
        ]


def _publish(brokers: str, topic: str, key: bytes, value: bytes) -> None:
    faults: list[KafkaError] = []
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

    try:
        producer.produce(topic, key=key, value=value, on_delivery=delivered)
    except KafkaException as wrong:
        raise Failed(f"{topic}: {wrong.args[0].str()}") from wrong
    if producer.flush(WAIT_S + 1.0):
        raise Unreachable(f"{topic}: the brokers did not acknowledge within {WAIT_S:.0f} s")
    if faults:
        raise Failed(f"{topic}: {faults[0].str()}")
