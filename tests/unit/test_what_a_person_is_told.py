"""The sentences of commands and of a run: each fault with its cure, each order with who, what and why."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import Failed
from connectors.kafka.admin import TopicState
from infra import diagnosis
from infra.cli import doctor
from infra.cli.topics import lines_of
from infra.diagnosis import Finding, examine
from infra.settings import Settings, load
from infra.up.narrator import sentence
from models.records import InventoryModel, Membership, Reason
from tests.observed_story import BAD, BEGAN, JOB, SPARE, command, outcome

# -- the narrator


def said(record: Any) -> tuple[str, str] | None:
    return sentence(record, lambda _: None)


def test_a_model_that_is_chosen_is_told() -> None:
    assert said(InventoryModel(role="active", digest="d" * 64, at=BEGAN)) == (
        "model",
        f"active: {'d' * 16}… is chosen",
    )
    assert said(InventoryModel(role="shadow", digest=None, at=BEGAN)) == ("model", "shadow: none")


def test_orders_say_who_is_to_do_what_and_why() -> None:
    why = Reason(rule="alarm (young)", numbers={"P": 0.93, "theta": 0.5, "C": 0.2, "T": 1234.5678, "fifth": 5.0})
    checkpoint = replace(command("CHECKPOINT", BEGAN, 1, "i"), reason=why)
    restore = replace(command("RESTORE", BEGAN, 4, "i", SPARE, (2,), None, 360), reason=Reason(rule="restore"))
    quarantine = replace(checkpoint, action="QUARANTINE", node=BAD, reason=Reason(rule="no migration"))
    assert said(checkpoint) == (
        "decided",
        f"CHECKPOINT every rank of {JOB} — alarm (young) (P 0.93, theta 0.5, C 0.2, T 1235)",
    )
    assert said(restore) == ("decided", f"RESTORE rank 2 on {SPARE} from step 360 — restore")
    assert said(quarantine) == ("decided", f"QUARANTINE on {BAD} — no migration")


def test_a_migration_without_a_spare_names_none() -> None:
    migrate = replace(command("MIGRATE", BEGAN, 3, "i", BAD, (2, 3)), spare=None, reason=Reason(rule="leave"))
    assert said(migrate) == ("decided", f"MIGRATE rank 2, 3 away from {BAD} — leave")


def test_a_rank_that_goes_on_and_a_node_that_runs_nothing_more_are_told() -> None:
    restore = command("RESTORE", BEGAN, 4, "i", SPARE, (2,), None, 360)
    done = outcome(restore, SPARE, "done", BEGAN, 2, step=360, seconds=1.25)
    assert said(done) == ("rank 2", f"goes on, on {SPARE}, from step 360 after 1.25 s")
    vacated = Membership(id="m", job=JOB, node=BAD, at=BEGAN, state="vacated")
    assert said(vacated) == (BAD, f"runs nothing of {JOB} any more")
    assert said(replace(vacated, state="spare")) is None


@pytest.mark.parametrize("stage", ["failed", "expired", "rejected"])
def test_what_came_to_nothing_says_so_even_without_a_reason(stage: Any) -> None:
    order = command("CHECKPOINT", BEGAN, 1, "i")
    assert said(outcome(order, "n01", stage, BEGAN, 0)) == ("rank 0", f"CHECKPOINT {stage}: no reason given")


def test_a_durable_rank_without_its_size_is_told_without_one() -> None:
    order = command("CHECKPOINT", BEGAN, 1, "i")
    assert said(outcome(order, "n01", "durable", BEGAN, 0, step=7)) == ("rank 0", "on n01: step 7 is durable")


# -- the topics


def test_topics_that_are_well_need_no_cure() -> None:
    assert list(lines_of([TopicState("a", "ok", {}), TopicState("b", "created", {})])) == ["ok      a", "created b"]


def test_what_is_missing_and_what_differs_have_each_their_cure_once() -> None:
    states = [
        TopicState("a", "missing", {}),
        TopicState("b", "missing", {}),
        TopicState("c", "differs", {"partitions": ("2", "3"), "retention.ms": ("1", "2")}),
    ]
    assert list(lines_of(states)) == [
        "missing a",
        "missing b",
        "differs c",
        "        partitions is 2, should be 3",
        "        retention.ms is 1, should be 2",
        "forestall topics apply creates what is missing",
        "what differs is yours to change (kafka-configs, kafka-topics), or say so in the [topics] settings",
    ]


# -- the doctor


@contextmanager
def _no_broker(settings: Settings, **_: Any) -> Iterator[None]:
    raise Failed("Kafka ended while it started; the end of broker.log")
    yield


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Those of a machine on which the embedded broker does not start."""
    monkeypatch.setattr(diagnosis, "embedded_broker", _no_broker)
    return load(None, [f"broker.directory={tmp_path}/not/made/yet"])


def found(settings: Settings) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(settings)}


def test_a_broker_that_does_not_start_is_a_finding_and_the_rest_is_still_looked_at(settings: Settings) -> None:
    findings = found(settings)
    assert list(findings) == ["broker", "artefact", "keys", "influx", "disk"]
    assert not findings["broker"].ok
    assert "Kafka ended while it started" in findings["broker"].detail
    assert "forestall broker start" in findings["broker"].cure


def test_a_folder_that_is_not_there_yet_is_measured_where_it_would_be(settings: Settings, tmp_path: Path) -> None:
    disk = found(settings)["disk"]
    assert disk.ok
    assert str(tmp_path / "not/made/yet") in disk.detail
    assert not (tmp_path / "not").exists(), "looking makes nothing"


@pytest.mark.parametrize("content", [None, b"", b"no tensors at all", bytes(200)])
def test_an_artefact_that_cannot_be_read_names_the_file_and_both_ways_out(
    settings: Settings, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "mine.safetensors"
    if content is not None:
        path.write_bytes(content)
    predictor = settings.predictor.model_copy(update={"artefact": path})
    artefact = found(settings.model_copy(update={"predictor": predictor}))["artefact"]
    assert not artefact.ok
    assert str(path) in artefact.detail
    assert "forestall train" in artefact.cure
    assert "[predictor] artefact" in artefact.cure


def test_the_shipped_artefact_is_well(settings: Settings) -> None:
    artefact = found(settings)["artefact"]
    assert artefact.ok
    assert "forestall ships" in artefact.detail


def test_a_person_reads_each_cure_below_its_fault(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(Namespace(json=False), settings) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAULT broker   Kafka ended")
    assert lines[1].startswith("      cure:    follow what the message says")
    assert [line[:14] for line in lines[2:]] == ["ok    artefact", "ok    keys    ", "ok    influx  ", "ok    disk    "]


def test_a_program_gets_the_same_as_one_object(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.run(Namespace(json=True), settings) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False
    assert [(check["name"], check["ok"]) for check in told["checks"]] == [
        ("broker", False),
        ("artefact", True),
        ("keys", True),
        ("influx", True),
        ("disk", True),
    ]
