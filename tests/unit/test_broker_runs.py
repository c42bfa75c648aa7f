"""Runs: names, which are kept, and the note of a process that may be gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.errors import WrongUse
from infra.broker import runs
from infra.broker.runs import Serving
from infra.settings import load

NOVEMBER = 1_763_942_400.0


def make_run(root: Path, name: str, served_at: float) -> None:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "server.properties").write_text("")
    os.utime(folder / "server.properties", (served_at, served_at))


def note_for(run: str, pid: int, created: float) -> Serving:
    return Serving(run=run, bootstrap="127.0.0.1:9092", version="4.1.0", pid=pid, created=created, owner=None)


def test_a_new_run_is_named_by_its_time_and_is_always_new(tmp_path: Path) -> None:
    first = runs.new_name(tmp_path, NOVEMBER)
    assert first == "20251124T000000Z"
    make_run(tmp_path, first, NOVEMBER)
    assert runs.new_name(tmp_path, NOVEMBER) == "20251124T000000Z-2"


@pytest.mark.parametrize("name", ["../elsewhere", "", ".hidden", "a/b", "x" * 101, "with space"])
def test_a_name_that_is_no_plain_folder_is_refused(name: str) -> None:
    with pytest.raises(WrongUse, match="run's name"):
        runs.require_name(name)


def test_the_run_served_last_is_first(tmp_path: Path) -> None:
    for name, at in (("a", 10), ("b", 30), ("c", 20)):
        make_run(tmp_path, name, at)
    (tmp_path / "no-run").mkdir()
    assert runs.known_runs(tmp_path) == ["b", "c", "a"]
    assert runs.known_runs(tmp_path / "nowhere") == []


def test_the_oldest_go_and_one_being_served_stays(tmp_path: Path) -> None:
    for number in range(5):
        make_run(tmp_path, f"r{number}", 100 + number)
    created = runs.process_created(os.getpid())
    assert created is not None
    runs.write_note(tmp_path, note_for("r0", os.getpid(), created))
    assert runs.prune(tmp_path, keep=2) == ["r2", "r1"]
    assert runs.known_runs(tmp_path) == ["r4", "r3", "r0"]


def test_a_process_that_lives_is_found(tmp_path: Path) -> None:
    make_run(tmp_path, "r", 1)
    created = runs.process_created(os.getpid())
    assert created is not None
    note = note_for("r", os.getpid(), created)
    runs.write_note(tmp_path, note)
    assert runs.serving(tmp_path, "r") == note
    assert runs.all_serving(tmp_path) == [note]


def test_the_note_of_a_process_that_is_gone_is_removed(tmp_path: Path) -> None:
    make_run(tmp_path, "r", 1)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    runs.write_note(tmp_path, note_for("r", gone.pid, 1.0))
    assert runs.serving(tmp_path, "r") is None
    assert not (tmp_path / "r" / "broker.json").exists()


def test_another_process_with_the_same_id_is_not_taken_for_the_broker(tmp_path: Path) -> None:
    make_run(tmp_path, "r", 1)
    runs.write_note(tmp_path, note_for("r", os.getpid(), created=1.0))
    assert runs.serving(tmp_path, "r") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": "r"}'])
def test_a_note_that_cannot_be_read_counts_as_none(tmp_path: Path, text: str) -> None:
    make_run(tmp_path, "r", 1)
    (tmp_path / "r" / "broker.json").write_text(text)
    assert runs.serving(tmp_path, "r") is None
    assert not (tmp_path / "r" / "broker.json").exists()


def test_runs_lie_where_the_settings_say(tmp_path: Path) -> None:
    assert runs.runs_directory(load(None, [f"broker.directory={tmp_path}"])) == tmp_path / "runs"
    assert runs.runs_directory(load(None)).parts[-2:] == ("forestall", "runs")
