"""Empty topics for a test that needs a clean log: topic names are fixed, so they are deleted and made again."""

from __future__ import annotations

import time

from kafka import KafkaAdminClient

from connectors.kafka.admin import admin_client, apply_topics
from connectors.kafka.topic_specs import TopicSpec
from connectors.kafka.topics import ALL
from infra.broker.embedded import Broker
from infra.cli.topics import specs_of
from infra.settings import load

GONE_S_MAX = 20.0


def delete_topics(client: KafkaAdminClient, names: set[str]) -> None:
    """Delete those of the topics that are there, and wait until the broker names none of them any more."""
    deadline = time.monotonic() + GONE_S_MAX
    while there := names & set(client.list_topics()):
        assert time.monotonic() < deadline, f"{there} were not deleted in time"
        client.delete_topics(sorted(there), raise_errors=False)
        time.sleep(0.02)


def fresh_topics(broker: Broker, partitions: int = 2) -> tuple[TopicSpec, ...]:
    """Delete all of forestall's topics, wait until they are gone, and create them empty."""
    specs = specs_of(load(None, [f"topics.partitions={partitions}"], broker.bootstrap))
    with admin_client(broker.bootstrap) as client:
        delete_topics(client, set(ALL))
        states = apply_topics(client, specs)
    assert {state.state for state in states} == {"created"}
    return specs
