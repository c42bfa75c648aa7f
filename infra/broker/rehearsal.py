"""What the broker does in its first seconds, done once while its classes are recorded for the archive."""

from __future__ import annotations

from kafka import KafkaConsumer, KafkaProducer

from connectors.kafka.admin import admin_client, apply_topics
from connectors.kafka.topic_specs import topic_specs
from connectors.kafka.topics import TELEMETRY

RECORDS = 2_000


def rehearse(bootstrap: str) -> None:
    """Create the topics, write some records and read them as a member of a group."""
    specs = topic_specs(partitions=2, replication=1, telemetry_retention_h=24, control_retention_d=14)
    with admin_client(bootstrap) as client:
        apply_topics(client, specs)
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=5)
    for number in range(RECORDS):
        producer.send(TELEMETRY, key=b"%d" % (number % 16), value=b"x" * 200)
    producer.flush()
    producer.close()
    consumer = KafkaConsumer(
        TELEMETRY,
        bootstrap_servers=bootstrap,
        group_id="rehearsal",
        auto_offset_reset="earliest",
        consumer_timeout_ms=5000,
    )
    for number, _ in enumerate(consumer, start=1):
        if number == RECORDS:
            break
    consumer.commit()
    consumer.close()
