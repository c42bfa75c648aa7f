"""forestall backtest over a log on the real broker: what a worker signed and agents answered, and nothing published."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backtested import OWN, carry_out
from confluent_kafka import Producer
from decision_log import DecisionLog
from topics_on import fresh_topics

from connectors.codecs.records import encode_command, encode_event, encode_record
from connectors.kafka import topics
from connectors.kafka.log import bounds, reader
from connectors.kafka.put import put
from infra.broker.embedded import Broker
from infra.cli.main import main
from infra.kept_settings import settings_key
from models.incident import IncidentSettings
from models.records import InventorySettings

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Undo what ``main`` does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def story(broker: Broker) -> DecisionLog:
    """A job's decision log, its commands and what they were decided with, on empty topics."""
    fresh_topics(broker, 1)
    log = DecisionLog(OWN).start(ranks=4, spares=("s0", "s1"))
    carry_out(log, log.train(60))
    carry_out(log, log.incident("n1", probability=0.6))
    carry_out(log, log.train(20))
    carry_out(log, log.fate("n1"))
    carry_out(log, log.train(40))
    producer = Producer({"bootstrap.servers": broker.bootstrap})
    for event in log.events:
        producer.produce(topics.EVENT, value=encode_event(event), partition=0)
    for command in (*log.commands, log.commands[-1]):  # a worker that had hung wrote one again
        producer.produce(topics.COMMAND, value=encode_command(command), partition=0)
    assert producer.flush(60) == 0
    policy = {name: getattr(OWN, name) for name in OWN.__dataclass_fields__}
    incident = {"theta": IncidentSettings().theta}
    told = InventorySettings(at=log.at, policy=policy, incident=incident, model="")
    put(broker.bootstrap, topics.INVENTORY, settings_key(told), encode_record(told))
    return log


def backtest(capsys: pytest.CaptureFixture[str], broker: Broker, *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["backtest", "--json", "--brokers", broker.bootstrap, *words]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def ends(broker: Broker) -> list[int]:
    with reader(broker.bootstrap) as consumer:
        return [bounds(consumer, topic, 0)[1] for topic in (topics.EVENT, topics.COMMAND, topics.ASSESSMENT)]


def test_a_log_is_tried_under_policies_and_nothing_is_published(
    story: DecisionLog, broker: Broker, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = ends(broker)
    same = backtest(capsys, broker)
    assert (same["differences"], same["assumptions"]) == ([], [])
    assert same["commands"] == same["equal"] == len(story.commands)
    assert same["realtime_factor"] > 0
    paper = backtest(capsys, broker, "--set", "policy.checkpoint=paper")
    assert paper["differences"]
    assert paper["policy"]["changed"] == {"checkpoint": ["hazard", "paper"]}
    assert {"at", "job", "was", "would", "seconds"} <= paper["differences"][0].keys()
    assert [one["node"] for one in paper["failures"]] == ["n1"]
    file = tmp_path / "watch.toml"
    file.write_text('[policy]\nlevel = "observe"\n', encoding="utf-8")
    middle = str(story.commands[1].issued_at)
    part = backtest(capsys, broker, "--policy", str(file), "--from", middle)
    assert part["commands"] == len(part["differences"]) == len(story.commands) - 1
    assert {one["would"] for one in part["differences"]} == {"nothing"}
    assert ends(broker) == before


def test_a_candidate_that_is_wrong_is_refused_with_every_fault(
    story: DecisionLog, broker: Broker, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[policy]\nalpha = -1\nbeta = -1\n", encoding="utf-8")
    assert main(["backtest", "--brokers", broker.bootstrap, "--policy", str(file)]) == 2
    said = capsys.readouterr().err
    assert "alpha" in said
    assert "beta" in said
