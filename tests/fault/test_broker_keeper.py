"""The keeper's own decisions, with a short-lived command in the broker's place."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from connectors.errors import Failed
from infra.broker import keeper as keeping
from infra.broker.keeper import Keeper

DEADLINE_S = 20.0
DIES = [sys.executable, "-c", "raise SystemExit(3)"]
LIVES = [sys.executable, "-c", "import time; time.sleep(600)"]


class Told:
    """Collects what is said and which processes began, and waits for a word."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.pids: list[int] = []
        self._changed = threading.Condition()

    def say(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def wait_for(self, word: str) -> None:
        with self._changed:
            found = self._changed.wait_for(lambda: any(word in line for line in self.lines), DEADLINE_S)
        assert found, f"{word!r} was not said: {self.lines}"


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """Any process counts as a broker that answers, and pauses are short."""
    monkeypatch.setattr(keeping, "wait_until_ready", lambda *_: None)
    monkeypatch.setattr(keeping, "PAUSE_S_MIN", 0.01)
    monkeypatch.setattr(keeping, "PAUSE_S_MAX", 0.01)
    return Told()


def keeper(command: list[str], told: Told, folder: Path) -> Keeper:
    return Keeper(command, "127.0.0.1:1", folder / "broker.log", told.pids.append, told.say)


def test_one_that_cannot_stay_up_is_given_up(told: Told, tmp_path: Path) -> None:
    kept = keeper(DIES, told, tmp_path)
    kept.start()
    told.wait_for("given up")
    kept.stop()
    assert sum("ended (exit 3)" in line for line in told.lines) == keeping.QUICK_DEATHS_MAX
    assert len(set(told.pids)) == keeping.QUICK_DEATHS_MAX + 1
    assert str(tmp_path / "broker.log") in told.lines[-1]


def test_a_death_after_a_steady_life_does_not_count_towards_giving_up(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "STEADY_S", 0.0)
    kept = keeper(DIES, told, tmp_path)
    kept.start()
    deadline = time.monotonic() + DEADLINE_S
    while len(told.pids) <= 2 * keeping.QUICK_DEATHS_MAX:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    kept.stop()
    assert not any("given up" in line for line in told.lines)


def test_stopping_ends_the_process_and_is_not_taken_for_a_death(told: Told, tmp_path: Path) -> None:
    kept = keeper(LIVES, told, tmp_path)
    kept.start()
    kept.stop()
    assert told.lines == []
    (pid,) = told.pids
    assert not psutil.pid_exists(pid)


def test_stopping_does_not_wait_out_a_pause(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PAUSE_S_MIN", 3600.0)
    kept = keeper(DIES, told, tmp_path)
    kept.start()
    told.wait_for("started again in")
    kept.stop()
    assert len(told.pids) == 1


def test_a_start_that_fails_leaves_nothing_behind(told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise Failed("it does not answer")

    monkeypatch.setattr(keeping, "wait_until_ready", refuse)
    kept = keeper(LIVES, told, tmp_path)
    with pytest.raises(Failed, match="does not answer"):
        kept.start()
    (pid,) = told.pids
    assert not psutil.pid_exists(pid)
