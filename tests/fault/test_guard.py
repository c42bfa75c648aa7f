"""The guard: the broker ends when whoever started it is gone, by whatever way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.broker.processes import end_process, spawn_guarded

PATIENT = [sys.executable, "-c", "import time; time.sleep(600)"]
DEADLINE_S = 20.0


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_parent_killed_outright_takes_the_command_with_it(tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path; from infra.broker.processes import spawn_guarded\n"
        f"_, pid = spawn_guarded({PATIENT!r}, Path({str(tmp_path / 'log')!r}))\n"
        "print(pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.send_signal(signal.SIGKILL)
    until(lambda: gone(pid), "the command ends after its parent")


def test_the_guard_ends_when_the_command_does_and_says_how(tmp_path: Path) -> None:
    process, _ = spawn_guarded([sys.executable, "-c", "raise SystemExit(7)"], tmp_path / "log")
    assert process.wait(DEADLINE_S) == 7
    end_process(process)


def test_asked_to_end_the_guard_ends_the_command(tmp_path: Path) -> None:
    process, pid = spawn_guarded(PATIENT, tmp_path / "log")
    end_process(process)
    assert gone(pid)
    assert process.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("stop", [signal.SIGINT])
def test_ctrl_c_does_not_reach_the_command(tmp_path: Path, stop: signal.Signals) -> None:
    process, pid = spawn_guarded(PATIENT, tmp_path / "log")
    try:
        assert os.getpgid(process.pid) != os.getpgid(0)
        process.send_signal(stop)
        process.send_signal(stop)
        assert not gone(pid)
        assert process.poll() is None
    finally:
        end_process(process)


def test_what_the_command_says_is_in_the_log(tmp_path: Path) -> None:
    process, _ = spawn_guarded(
        [sys.executable, "-c", "import sys; print('out'); print('err', file=sys.stderr)"], tmp_path / "log"
    )
    process.wait(DEADLINE_S)
    end_process(process)
    assert sorted((tmp_path / "log").read_text().split()) == ["err", "out"]


def test_a_command_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    log = tmp_path / "log"
    process, pid = spawn_guarded([sys.executable, "-c", deaf], log, patience_s=0.1)
    until(lambda: "deaf" in log.read_text(), "the command ignores the signal")
    end_process(process)
    assert gone(pid)
    assert process.returncode == 128 + signal.SIGKILL
