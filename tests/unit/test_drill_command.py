"""``forestall drill``: what it refuses, and what it says must hold."""

from __future__ import annotations

from typing import Any

import pytest

from infra.cli.main import main
from infra.drill.report import elastic_faults, elastic_lines, faults_of, lines_of


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--kills", "0"], "--kills 0"),
        (["--kills", "201"], "--kills 201"),
        (["--ranks", "1"], "--ranks 1"),
        (["--elastic", "--kills", "2"], "--kills"),
        (["--brokers", "kafka-1:9092"], "--brokers"),
        (["--set", "predictor.artefact=/no/such.safetensors"], "/no/such.safetensors"),
    ],
)
def test_wrong_use_is_named_before_anything_starts(
    words: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", *words]) == 2
    said = capsys.readouterr()
    assert named in said.err
    assert said.out == ""


def test_without_torch_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main(["drill", "--job", "torch"]) == 2
    assert "--job numpy" in capsys.readouterr().err


def arm(**given: Any) -> dict[str, Any]:
    return {"lost_steps": 100, "downtime_s": 1.5, "wall_s": 60.0, "checkpoints": 4, "restarts": 3} | given


def report(**given: Any) -> dict[str, Any]:
    plain = {
        "kills": 3,
        "sudden": 1,
        "late": 3,
        "young": arm(),
        "forestall": arm(lost_steps=40),
        "commands": 12,
        "acknowledged": 12,
        "double_effects": 0,
        "lost_checkpoints": 0,
        "weights_equal": True,
        "weights": {"young": "a", "forestall": "a", "never_killed": "a"},
    }
    return plain | given


def test_a_drill_in_which_all_holds_has_no_fault() -> None:
    assert faults_of(report()) == []
    told = "\n".join(lines_of(report()))
    assert "equal, bit for bit" in told
    assert "100" in told
    assert "40" in told


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"acknowledged": 11}, "11 of 12 commands"),
        ({"commands": 0, "acknowledged": 0}, "0 of 0 commands"),
        ({"double_effects": 1}, "1 effects beyond"),
        ({"lost_checkpoints": 2}, "2 checkpoints"),
        ({"weights_equal": False}, "weights differ"),
        ({"forestall": arm(lost_steps=100)}, "forestall lost 100 steps"),
    ],
)
def test_each_thing_that_must_hold_is_named_when_it_does_not(given: dict[str, Any], named: str) -> None:
    (fault,) = faults_of(report(**given))
    assert named in fault


def elastic(**given: Any) -> dict[str, Any]:
    turns = [{"step": 321, "before": 3.0, "after": 2.9}]
    loss = {"first": 4.0, "last": 2.0, "turns": turns, "difference_max": 0.1, "goes_on": True}
    counts = {key: report()[key] for key in ("commands", "acknowledged", "double_effects", "lost_checkpoints")}
    return {"worlds": [4, 3, 4], "loss": loss, **arm(), **counts} | given


def test_a_job_that_did_not_shrink_or_whose_loss_broke_is_named() -> None:
    assert elastic_faults(elastic(), 4) == []
    assert "4 → 3 → 4" in "\n".join(elastic_lines(elastic()))
    (fault,) = elastic_faults(elastic(worlds=[4]), 4)
    assert "[4]" in fault
    (fault,) = elastic_faults(elastic(loss={"goes_on": False}), 4)
    assert "loss" in fault
