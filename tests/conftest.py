"""What tests share: one embedded Kafka for the session, and topics on it.

Kafka is imported only by the fixtures that need it, so that tests of the pure parts start at once.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from influx_process import Process

    from connectors.kafka.topic_specs import TopicSpec
    from connectors.signing import KeyFolder
    from infra.broker.embedded import Broker
    from infra.settings import Settings

hypothesis.settings.register_profile("ci", derandomize=True)  # a commit is judged by the same examples each time
if os.environ.get("CI"):
    hypothesis.settings.load_profile("ci")

for _name in [name for name in os.environ if name.startswith("FORESTALL_") and "__" in name]:
    del os.environ[_name]  # a tester's own settings must not change what is tested


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """A command that a test runs in this process sets logs up for a process; the next test has none of that."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """One embedded Kafka on a free port, its data in a temporary folder, for the whole session."""
    from infra.broker.embedded import embedded_broker
    from infra.broker.server import choose_port
    from infra.settings import load

    folder = tmp_path_factory.mktemp("kafka")
    own = load(None, [f"broker.directory={folder}", f"broker.port={choose_port(0)}"])
    with embedded_broker(own, run="tests") as started:
        yield started


@pytest.fixture(scope="session")
def settings(broker: Broker) -> Settings:
    """Plain settings that name the session's broker."""
    from infra.settings import load

    return load(None, [], broker.bootstrap)


@pytest.fixture
def topics(broker: Broker, settings: Settings) -> tuple[TopicSpec, ...]:
    """All topics, created where they are missing; what earlier tests wrote is still on them."""
    from connectors.kafka.admin import admin_client, apply_topics
    from infra.cli.topics import specs_of

    specs = specs_of(settings)
    with admin_client(broker.bootstrap) as client:
        apply_topics(client, specs)
    return specs


@pytest.fixture(scope="session")
def keys() -> KeyFolder:
    """The session's key folder: what workers of tests sign with and agents of tests trust."""
    from signing_keys import shared_keys

    return shared_keys()


@pytest.fixture(scope="session")
def fresh_topics() -> Callable[..., tuple[TopicSpec, ...]]:
    """Call it for empty topics: ``fresh_topics(broker, partitions=2)`` deletes and creates all of them."""
    from topics_on import fresh_topics as make_fresh

    return make_fresh


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One real InfluxDB on a free port for the whole session, set up; tests make organisations of their own on it."""
    from influx_process import influx_server

    from connectors.errors import Unreachable
    from infra.influx.server import find_influxd

    try:
        program = find_influxd()
    except Unreachable as fault:
        pytest.skip(str(fault))
    with influx_server(tmp_path_factory.mktemp("influx"), influxd=program) as started:
        yield started
