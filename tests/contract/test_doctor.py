"""``forestall doctor`` on the real broker: each fault is found and has its cure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from topics_on import delete_topics, fresh_topics

from connectors.artefacts import artefact_content, load_artefact, shipped_artefact
from connectors.kafka.admin import admin_client
from connectors.kafka.artefacts import publish_artefact, publish_choice
from connectors.kafka.topics import SNAPSHOT
from infra import clock, diagnosis
from infra.broker.embedded import Broker
from infra.broker.server import choose_port
from infra.cli.main import main
from models.records import InventoryModel

pytestmark = pytest.mark.broker


def examined(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, dict[str, object]]]:
    code = main(["doctor", *words, "--json"])
    result = json.loads(capsys.readouterr().out)
    assert result["ok"] is (code == 0)
    return code, {check["name"]: check for check in result["checks"]}


def test_everything_is_well(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    fresh_topics(broker)
    code, checks = examined(["--brokers", broker.bootstrap], capsys)
    assert list(checks) == ["broker", "topics", "clock", "model", "artefact", "keys", "influx", "disk"]
    assert [name for name, check in checks.items() if not check["ok"]] == []
    assert code == 0
    with admin_client(broker.bootstrap) as client:
        assert not [name for name in client.list_topics() if "probe" in name]


def test_an_activated_model_that_cannot_be_used_is_a_fault(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    fresh_topics(broker)
    lost = InventoryModel(role="active", digest="d" * 64, at=clock.now())
    publish_choice(broker.bootstrap, lost)
    code, checks = examined(["--brokers", broker.bootstrap], capsys)
    assert code == 1
    assert "it is not on telemetry.schema.v1" in str(checks["model"]["detail"])
    assert "forestall model activate" in str(checks["model"]["cure"])
    shipped = load_artefact()
    publish_artefact(broker.bootstrap, shipped.digest, artefact_content(shipped_artefact()))
    publish_choice(broker.bootstrap, replace(lost, digest=shipped.digest, at=lost.at + 1))
    code, checks = examined(["--brokers", broker.bootstrap], capsys)
    assert code == 0
    assert checks["model"]["detail"] == f"{shipped.digest[:16]}… was activated, and can be used"


def test_each_fault_is_told_with_its_cure(
    broker: Broker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fresh_topics(broker)
    with admin_client(broker.bootstrap) as client:
        delete_topics(client, {SNAPSHOT})
    monkeypatch.setattr(diagnosis, "DISK_FREE_BYTES_MIN", 1 << 62)
    ours = clock.now
    monkeypatch.setattr(clock, "now", lambda: ours() + 3600)
    artefact = tmp_path / "none.safetensors"
    common = ["--brokers", broker.bootstrap, "--set", f"predictor.artefact={artefact}"]
    common += ["--set", f"signing.key={tmp_path / 'keys'}", "--set", "policy.level=migrate"]
    code, checks = examined(common, capsys)
    assert code == 1
    words = {
        "topics": ("state.snapshot.v1", "topics apply"),
        "artefact": (str(artefact), "forestall train"),
        "clock": ("the broker's clock is -", "NTP"),
        "keys": (f"there is no keyring {tmp_path / 'keys' / 'keyring.json'}", "docs/how-to/keys.md"),
        "disk": ("GiB free", "[broker] directory"),
    }
    for name, (detail, cure) in words.items():
        assert not checks[name]["ok"]
        assert detail in str(checks[name]["detail"])
        assert cure in str(checks[name]["cure"])
    assert main(["doctor", *common]) == 1
    assert capsys.readouterr().out.count("cure:") == len(words)


def test_topics_of_another_layout_are_told(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    fresh_topics(broker, partitions=2)
    _, checks = examined(["--brokers", broker.bootstrap, "--set", "topics.partitions=3"], capsys)
    assert not checks["topics"]["ok"]
    assert "telemetry.node.v1" in str(checks["topics"]["detail"])


def test_a_broker_that_is_away_does_not_stop_the_other_checks(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"127.0.0.1:{choose_port(0)}"
    code, checks = examined(["--brokers", address], capsys)
    assert code == 1
    assert address in str(checks["broker"]["detail"])
    assert "--brokers" in str(checks["broker"]["cure"])
    assert set(checks) == {"broker", "artefact", "keys", "influx", "disk"}


def test_with_nothing_running_the_embedded_broker_is_tried_and_leaves_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, checks = examined(["--set", f"broker.directory={tmp_path}"], capsys)
    assert checks["broker"]["ok"]
    assert checks["topics"]["ok"]
    assert "tried out" in str(checks["broker"]["detail"])
    assert list(tmp_path.iterdir()) == []
