"""What a scheduler tells of its nodes: that one failed, though nothing ran there, and that one is repaired."""

from __future__ import annotations

from kafka import KafkaProducer

from connectors.codecs.records import encode_event
from connectors.kafka.topics import EVENT
from models.records import NodeFate

ANSWER_S = 10.0


def tell(brokers: str, fate: NodeFate) -> None:
    """Put a fate on the decision log; returns when it is there."""
    producer = KafkaProducer(bootstrap_servers=brokers.split(","), metrics_enabled=False)
    try:
        producer.send(EVENT, key=(fate.job or fate.node).encode(), value=encode_event(fate)).get(timeout=ANSWER_S)
    finally:
        producer.close(timeout=ANSWER_S)
