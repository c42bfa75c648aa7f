"""Topics on the real broker: created in one go, compared setting by setting, never changed."""

from __future__ import annotations

import json

import pytest
from kafka import KafkaProducer
from topics_on import delete_topics, fresh_topics

from connectors.errors import Unreachable
from connectors.kafka.admin import admin_client, apply_topics, broker_version, check_topics
from connectors.kafka.topics import ALL, ASSESSMENT, COMMAND, DEAD_LETTER, SNAPSHOT, TELEMETRY
from infra.broker.embedded import Broker
from infra.broker.server import choose_port
from infra.cli.main import main
from infra.cli.topics import specs_of
from infra.settings import load

pytestmark = pytest.mark.broker


def test_apply_creates_what_is_missing_and_leaves_the_rest(broker: Broker) -> None:
    specs = fresh_topics(broker)
    with admin_client(broker.bootstrap) as client:
        delete_topics(client, {DEAD_LETTER})
        states = {state.name: state.state for state in apply_topics(client, specs)}
        assert states == {name: "created" if name == DEAD_LETTER else "ok" for name in ALL}
        assert {state.state for state in check_topics(client, specs)} == {"ok"}


def test_a_topic_with_other_settings_is_reported_and_not_changed(broker: Broker) -> None:
    fresh_topics(broker, partitions=2)
    wanted = specs_of(load(None, ["topics.partitions=3", "topics.telemetry_retention_h=1"], broker.bootstrap))
    with admin_client(broker.bootstrap) as client:
        for act in (apply_topics, check_topics):
            states = {state.name: state for state in act(client, wanted)}
            assert states[TELEMETRY].state == "differs"
            assert states[TELEMETRY].differences == {
                "partitions": ("2", "3"),
                "retention.ms": (str(24 * 3_600_000), str(3_600_000)),
            }
            assert states[DEAD_LETTER].state == "ok"


def test_each_topic_has_the_layout_of_the_design(broker: Broker) -> None:
    specs = {spec.name: spec for spec in fresh_topics(broker, partitions=4)}
    compacted = {name for name, spec in specs.items() if spec.configs["cleanup.policy"] == "compact"}
    assert compacted == {"telemetry.schema.v1", "cluster.inventory.v1", "state.snapshot.v1"}
    assert specs[TELEMETRY].partitions == specs[ASSESSMENT].partitions == 4
    assert specs[COMMAND].configs["message.timestamp.type"] == "LogAppendTime"
    assert int(specs[COMMAND].configs["retention.ms"]) > int(specs[TELEMETRY].configs["retention.ms"])


def test_a_snapshot_slice_above_the_usual_limit_is_taken(broker: Broker) -> None:
    fresh_topics(broker)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, max_request_size=8 << 20, compression_type=None)
    try:
        sent = producer.send(SNAPSHOT, key=b"slice", value=bytes(6 << 20)).get(timeout=20)
    finally:
        producer.close()
    assert sent.offset == 0


def test_the_command_line_tells_the_same_to_a_person_and_to_a_program(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh_topics(broker)
    common = ["--brokers", broker.bootstrap]
    assert main(["topics", "check", *common]) == 0
    assert capsys.readouterr().out.count("ok") == len(ALL)
    assert main(["topics", "apply", *common, "--set", "topics.partitions=5", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is False
    told = {topic["name"]: topic for topic in result["topics"]}
    assert told[TELEMETRY]["differences"] == {"partitions": {"is": "2", "should_be": "5"}}


def test_brokers_that_do_not_answer_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{choose_port(0)}"
    with pytest.raises(Unreachable, match=address), admin_client(address):
        pass
    assert main(["topics", "check", "--brokers", address]) == 3
    assert address in capsys.readouterr().err


def test_one_broker_of_several_is_enough(broker: Broker) -> None:
    with admin_client(f"127.0.0.1:{choose_port(0)},{broker.bootstrap}") as client:
        assert broker_version(client).startswith("4.")


@pytest.mark.parametrize("address", [f"{'x' * 70}.example:9092", "127.0.0.1:99999", "no-such-host.invalid:9092"])
def test_an_address_that_cannot_be_is_unreachable_and_no_traceback(address: str) -> None:
    with pytest.raises(Unreachable, match=address), admin_client(address, timeout_s=4.0):
        pass
