"""Model artefacts on the log, where every worker can look them up: their bytes by digest on ``telemetry.schema.v1``.

An artefact is named by the digest of its content, as a schema is, so it never changes and may be looked up at any time.
Whoever has workers use one puts it there first, and waits until it is safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from confluent_kafka import Message

from connectors.codecs.records import encode_inventory
from connectors.errors import WrongUse
from connectors.kafka import topics
from connectors.kafka.log import bounds, partition_count, read_range, reader
from connectors.kafka.put import put
from models.records import InventoryModel

#: What one record may hold by Kafka's own default, less what its head takes.
ARTEFACT_BYTES_MAX: Final = 1_000_000


def artefact_key(digest: str) -> bytes:
    """The key of an artefact; schemas beside it have the bare digest."""
    return f"model/{digest}".encode()


def publish_artefact(brokers: str, digest: str, content: bytes) -> None:
    """Put an artefact's bytes on the log and wait until they are safe; raises ``WrongUse`` when they are too many."""
    if len(content) > ARTEFACT_BYTES_MAX:
        raise WrongUse(
            f"the artefact has {len(content):,} bytes; one record holds {ARTEFACT_BYTES_MAX:,}: train a smaller network"
        )
    put(brokers, topics.SCHEMA, artefact_key(digest), content)


def publish_choice(brokers: str, choice: InventoryModel) -> None:
    """Put on the inventory which model is used in a role, and wait until it is safe."""
    put(brokers, topics.INVENTORY, f"model/{choice.role}".encode(), encode_inventory(choice))


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
