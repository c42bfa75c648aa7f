"""``forestall agent``: wrong use is named, with the right exit code, before anything is started."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

import pytest
from signing_keys import keyring_setting

from infra.agent.command_reader import Positions
from infra.agent.node_state import hold
from infra.cli.main import main

SPEC = '[jobs.demo]\ncommand = ["/bin/true"]\nworld = 2\n'


def call(folder: Path, *more: str) -> int:
    (folder / "jobs.toml").write_text(SPEC)
    words = ["agent", "--node", "n0", "--job-spec", str(folder / "jobs.toml"), "--directory", str(folder / "n0")]
    return main([*words, "--brokers", "127.0.0.1:1", "--set", keyring_setting(), *more])


@pytest.mark.parametrize(
    ("more", "word"),
    [
        (["--rank", "2"], "--rank 2: demo has the ranks 0 to 1"),
        (["--rank", "-1"], "--rank -1"),
        (["--spare", "--job", "other"], "no job 'other'"),
    ],
)
def test_a_wrong_argument_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], word: str
) -> None:
    assert call(tmp_path, *more) == 2
    assert word in capsys.readouterr().err
    assert not (tmp_path / "n0").exists()


def test_without_a_keyring_it_does_not_start_and_names_what_makes_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path, "--spare", "--set", f"signing.keyring={tmp_path / 'none.json'}") == 2
    assert "forestall keys new" in capsys.readouterr().err


def test_a_node_that_nothing_holds_can_be_given_back_and_needs_neither_broker_nor_keyring(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(tmp_path, "--return", "--set", f"signing.keyring={tmp_path / 'none.json'}", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"node": "n0", "quarantined_by": None, "rank": "none"}
    (line,) = (tmp_path / "n0" / "commands.jsonl").read_text().splitlines()
    assert "readmitted" in line


def test_a_role_is_needed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as told:
        call(tmp_path)
    assert told.value.code == 2


def test_a_second_agent_on_the_same_directory_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = hold(tmp_path / "n0", "n0")
    assert call(tmp_path, "--spare") == 2
    assert "another cluster agent of n0" in capsys.readouterr().err
    fcntl.flock(held, fcntl.LOCK_UN)
    os.close(held)


def test_a_damaged_memory_is_told_before_any_rank_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "n0").mkdir()
    (tmp_path / "n0" / "commands.jsonl").write_text("garbage\n")
    assert call(tmp_path, "--rank", "0") == 1
    assert "damaged at line 1" in capsys.readouterr().err
    assert not (tmp_path / "n0" / "rank.json").exists()


def test_positions_are_kept_and_what_nobody_can_read_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    positions = Positions(path)
    positions.passed(0, 41)
    positions.passed(1, 7)
    assert Positions(path).snapshot() == {0: 42, 1: 8}
    path.write_text("[]")
    assert Positions(path).snapshot() == {}
    path.write_text("{")
    assert Positions(path).snapshot() == {}
