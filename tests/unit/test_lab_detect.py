"""``forestall lab detect`` end to end: figures, determinism, and wrong use."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_detection_folder import cell, change, write_machine

from experiments.detection import read_folder
from experiments.detection.ours import watch
from infra.cli.main import main

EXTRACT = Path(__file__).parents[1] / "data" / "smd"


def detect(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["lab", "detect", *arguments, "--json"]) == 0
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    return told


def test_two_real_machines(capsys: pytest.CaptureFixture[str]) -> None:
    told = detect(capsys, "--data", str(EXTRACT), "--seed", "3")
    assert told["machines"] == ["machine-1-4", "machine-3-2"]
    assert (told["interval_s"], told["seed"]) == (60.0, 3)
    names = [method["name"] for method in told["methods"]]
    assert names[0] == "forestall"
    assert len(names) == 8
    for method in told["methods"]:
        assert set(method) == {"name", "auc_pr", "event_recall", "event_precision", "false_episodes_per_day"}
        assert all(0 <= method[key] <= 1 for key in ("auc_pr", "event_recall", "event_precision"))
    assert {"step_hours", "ramp_hours", "covered", "incidents"} <= set(told["lasting"])
    assert told["quiet_false_per_day"] >= 0
    assert set(told["measured_s"]) == {"detecting"}


def test_the_same_seed_gives_the_same_bytes_and_machines_of_any_shape_will_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_machine(tmp_path, "a", rows=300, metrics=3)
    write_machine(tmp_path, "b", rows=420, metrics=1)
    change(tmp_path / "b.test.csv.gz", 200, cell(1, ""))
    found = [detect(capsys, "--data", str(tmp_path)) for _ in range(2)]
    for told in found:
        del told["measured_s"]
    assert json.dumps(found[0]) == json.dumps(found[1])


def test_a_table_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_machine(tmp_path)
    assert main(["lab", "detect", "--data", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for word in ("forestall", "isolation forest", "rank fusion", "a lasting fault", "a quiet fleet", "machine-day"):
        assert word in out


@pytest.mark.parametrize("missing", ["a.events.csv", "a.test.csv.gz"])
def test_a_missing_label_file_is_wrong_use(tmp_path: Path, missing: str, capsys: pytest.CaptureFixture[str]) -> None:
    write_machine(tmp_path)
    (tmp_path / missing).unlink()
    assert main(["lab", "detect", "--data", str(tmp_path)]) == 2
    told = capsys.readouterr()
    assert missing in told.err
    assert not told.out


def test_no_folder_named_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lab", "detect"])
    assert ended.value.code == 2
    assert "--data" in capsys.readouterr().err


def test_a_machine_beside_another_is_watched_as_it_would_be_alone() -> None:
    one = read_folder(EXTRACT).machines[0]
    twin = replace(one, name="twin", test=replace(one.test, values=one.test.values[::-1].copy()))
    together = watch([one, twin], 60.0, lambda rows: None)
    (alone,) = watch([one], 60.0, lambda rows: None)
    assert together[0].test.score.tobytes() == alone.test.score.tobytes()
    assert together[0].faulty["ramp"].incident.tobytes() == alone.faulty["ramp"].incident.tobytes()
    assert together[1].test.score.tobytes() != alone.test.score.tobytes()
