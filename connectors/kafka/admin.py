"""Topics as they are against topics as they should be, and the brokers' answer to the simplest question."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from connectors.errors import Failed, Unreachable
from connectors.kafka.topic_specs import TopicSpec

State = Literal["ok", "created", "missing", "differs"]


@dataclass(frozen=True, slots=True)
class TopicState:
    """How one topic stands; ``differences`` maps a setting to (what it is, what it should be)."""

    name: str
    state: State
    differences: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@contextmanager
def admin_client(brokers: str, timeout_s: float = 8.0) -> Iterator[KafkaAdminClient]:
    """Yield an admin client that is connected.

    Parameters
    ----------
    brokers : ``HOST:PORT[,HOST:PORT…]``
    timeout_s : how long a first answer may take, in seconds

    Raises
    ------
    Unreachable
        No broker accepts a connection or answers in time; the message names them.
    """
    reachable = _first_listener(brokers.split(","), timeout_s / 2)
    try:
        client = KafkaAdminClient(
            bootstrap_servers=[reachable],
            bootstrap_timeout_ms=round(timeout_s * 500),
            request_timeout_ms=30_000,
            client_id="forestall-admin",
        )
    except (KafkaError, OSError) as fault:
        raise Unreachable(f"{reachable} accepts connections but does not answer as Kafka does: {fault}") from None
    try:
        yield client
    finally:
        client.close()


def _first_listener(addresses: Sequence[str], timeout_s: float) -> str:
    """Return the first address that accepts a connection; kafka-python leaks a socket for each that does not."""
    faults = []
    for address in addresses:
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout_s / len(addresses)).close()
        except (OSError, OverflowError, UnicodeError) as fault:
            faults.append(f"{address}: {fault}")
        else:
            return address
    cure = "is Kafka running there, and is the address right (--brokers, [broker] brokers)?"
    raise Unreachable(f"no Kafka broker is reachable at {'; '.join(faults)}; {cure}")


def broker_count(client: KafkaAdminClient) -> int:
    """Return how many brokers the cluster's metadata names."""
    return len(client.describe_cluster()["brokers"])


def apply_topics(client: KafkaAdminClient, specs: Sequence[TopicSpec]) -> list[TopicState]:
    """Create the topics that are missing, in one call, and compare the others; nothing that is there is changed."""
    states = check_topics(client, specs)
    missing = {state.name for state in states if state.state == "missing"}
    if not missing:
        return states
    wanted = {
        spec.name: {
            "num_partitions": spec.partitions,
            "replication_factor": spec.replication,
            "configs": dict(spec.configs),
        }
        for spec in specs
        if spec.name in missing
    }
    try:
        with suppress(TopicAlreadyExistsError):  # somebody else applies them at this moment, as wanted or not
            client.create_topics(wanted)
        client.wait_for_topics(list(wanted))
    except KafkaError as fault:
        raise Failed(f"the topics {', '.join(sorted(missing))} could not be created: {fault}") from fault
    return [TopicState(s.name, "created") if s.name in missing else s for s in states]


def check_topics(client: KafkaAdminClient, specs: Sequence[TopicSpec]) -> list[TopicState]:
    """Compare each topic with its spec, in the order of ``specs``."""
    there = set(client.list_topics())
    names = [spec.name for spec in specs if spec.name in there]
    if not names:
        return [TopicState(spec.name, "missing") for spec in specs]
    described = {topic["name"]: topic for topic in client.describe_topics(names)}
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    configs = client.describe_configs(resources, config_filter="all")["topic"]
    return [
        _compare(spec, described[spec.name], configs[spec.name])
        if spec.name in there
        else TopicState(spec.name, "missing")
        for spec in specs
    ]


def _compare(spec: TopicSpec, topic: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]]) -> TopicState:
    partitions = topic["partitions"]
    replicas = {len(partition["replica_nodes"]) for partition in partitions}
    pairs = {
        "partitions": (str(len(partitions)), str(spec.partitions)),
        "replication": ("/".join(map(str, sorted(replicas))), str(spec.replication)),
        **{key: (str(configs.get(key, {}).get("value")), value) for key, value in spec.configs.items()},
    }
    differences = {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}
    return TopicState(spec.name, "differs" if differences else "ok", differences)


def broker_version(client: KafkaAdminClient) -> str:
    """Return the version that the first broker's protocol shows, for example ``4.1``."""
    broker = client.describe_cluster()["brokers"][0]
    node = broker.get("broker_id", broker.get("node_id"))
    return ".".join(str(part) for part in client.get_broker_version_data(node).broker_version)
