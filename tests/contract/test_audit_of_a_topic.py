"""``forestall audit`` on the topic itself: of a broker that runs, and of a run that has ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaProducer
from signing_keys import shared_keys, shared_sealer
from topics_on import fresh_topics

from connectors.codecs.records import encode_command, encode_event
from connectors.kafka.admin import admin_client, apply_topics
from connectors.kafka.topics import COMMAND, EVENT
from connectors.signing import FileSealer
from connectors.signing.seal import link_of
from infra.broker.embedded import Broker, embedded_broker
from infra.broker.server import choose_port
from infra.cli.main import main
from infra.cli.topics import specs_of
from infra.keys import ready_keys
from infra.settings import load
from models.records import Cause, Command, Outcome, Reason

pytestmark = pytest.mark.broker

NOW = 1_763_942_400.0
LENGTH = 5


def command(number: int, partition: int = 0) -> Command:
    return Command(
        id=f"c{number}",
        action="CHECKPOINT",
        job="llama",
        generation=number,
        issued_at=NOW,
        expires_at=NOW + 60,
        reason=Reason(rule="test"),
        cause=Cause(partition, number),
    )


def outcome(told: str) -> bytes:
    facts: dict[str, Any] = {"job": "llama", "action": "CHECKPOINT", "node": "n1", "stage": "done", "at": NOW}
    return encode_event(Outcome(id=f"o-{told}", command=told, **facts))


def write(brokers: str, topic: str, values: list[bytes]) -> None:
    producer = KafkaProducer(bootstrap_servers=brokers)
    for value in values:
        producer.send(topic, key=b"llama", value=value, partition=0).get(10)
    producer.close()


def chain(sealer: FileSealer) -> list[bytes]:
    raws: list[bytes] = []
    for number in range(LENGTH):
        raws.append(sealer.seal(raws[-1] if raws else None, encode_command(command(number))))
    return raws


def verified(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    code = main(["audit", "verify", *words, "--json"])
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert result["ok"] is (code == 0)
    return result


@pytest.fixture
def on(broker: Broker) -> list[str]:
    """The words that name the broker and the keyring; the topics are empty."""
    fresh_topics(broker)
    return ["--brokers", broker.bootstrap, "--keyring", str(shared_keys().keyring)]


def test_a_topic_is_whole_and_says_so(broker: Broker, on: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert verified(on, capsys)["commands"] == 0
    raws = chain(shared_sealer())
    write(broker.bootstrap, COMMAND, [*raws, *raws[2:4]])
    write(broker.bootstrap, EVENT, [outcome("c4"), outcome("refused-0123"), b"?"])
    result = verified(on, capsys)
    assert (result["ok"], result["commands"], result["repeated"]) == (True, LENGTH, 2)
    assert result["partitions"][0]["tip"] == link_of(raws[-1])


def test_each_fault_of_a_topic_has_its_offset(
    broker: Broker, on: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    raws = chain(shared_sealer())
    write(broker.bootstrap, COMMAND, [*raws[:2], encode_command(command(9)), *raws[3:]])
    write(broker.bootstrap, EVENT, [outcome("c2"), outcome("c2")])
    result = verified(on, capsys)
    assert [(fault["record"], fault["reason"], fault["command"]) for fault in result["faults"]] == [
        (2, "unsigned", "c9"),
        (3, "broken-chain", "c3"),
        (None, "unknown-answer", "c2"),
    ]


def test_an_export_of_a_topic_is_verified_like_the_topic(
    broker: Broker, on: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raws, path = chain(shared_sealer()), tmp_path / "log.jsonl"
    write(broker.bootstrap, COMMAND, raws)
    assert main(["audit", "export", str(path), "--brokers", broker.bootstrap, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["commands"], told["partitions"][0]["tip"]) == (LENGTH, link_of(raws[-1]))
    assert path.read_bytes().splitlines()[:LENGTH] == raws
    assert verified([str(path), "--keyring", str(shared_keys().keyring)], capsys)["commands"] == LENGTH


def test_the_last_run_is_audited_when_its_broker_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    place = ["--set", f"broker.directory={tmp_path}", "--set", f"broker.port={choose_port(0)}"]
    settings = load(None, [place[1], place[3]])
    with embedded_broker(settings, run="a-run") as own:
        with admin_client(own.bootstrap) as client:
            apply_topics(client, specs_of(settings))
        write(own.bootstrap, COMMAND, chain(FileSealer(ready_keys(settings, "a-run", NOW), print)))
    result = verified(place, capsys)
    assert (result["ok"], result["commands"], result["signatures"]) == (True, LENGTH, "checked")
    assert result["source"] == "control.command.v1 of run a-run"
    path = tmp_path / "log.jsonl"
    assert main(["audit", "export", str(path), *place]) == 0
    capsys.readouterr()
    assert verified([str(path), *place], capsys)["signatures"] == "checked", "the export names its run, so its keys"
    assert main(["audit", "verify", *place, "--run", "another"]) == 2
    assert "there is no run 'another'" in capsys.readouterr().err
