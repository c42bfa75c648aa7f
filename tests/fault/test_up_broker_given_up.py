"""``forestall up`` when its broker can no longer be kept up: the run ends, says why, and tells what it came to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.broker
READY_S = 150.0
END_S = 120.0


def until(what: str, condition: Callable[[], bool], log: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not in {seconds:.0f} s; {log.read_text()[-3000:]}"
        time.sleep(0.05)


def of(folder: Path) -> list[psutil.Process]:
    """Every process that has the run's folder in its words."""
    found = psutil.process_iter(["cmdline", "status"])
    ours = [p for p in found if any(str(folder) in word for word in p.info["cmdline"] or [])]
    return [p for p in ours if p.info["status"] != psutil.STATUS_ZOMBIE]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        "-m",
        "infra.cli.main",
        "up",
        "--source",
        "host",
        "--no-job",
        "--json",
        "--run",
        "doomed",
    ]
    command += ["--run", "doomed", "--set", f"broker.directory={tmp_path}"]
    with (tmp_path / "terminal.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    yield process
    process.kill()
    process.wait(END_S)
    for left in of(tmp_path):
        left.kill()
    if process.stdout is not None:
        process.stdout.close()


def test_a_broker_that_cannot_be_kept_up_ends_a_run_that_has_no_other_end(
    run: subprocess.Popen[str], tmp_path: Path
) -> None:
    log = tmp_path / "terminal.log"
    until("live", lambda: "  live  " in log.read_text(), log, READY_S)
    (settings_file,) = tmp_path.glob("**/doomed/server.properties")
    settings_file.write_text("process.roles=nonsense\n")
    (kafka,) = [p for p in of(tmp_path) if "kafka.Kafka" in p.info["cmdline"] and "guard.py" not in str(p.info)]
    kafka.kill()
    out, _ = run.communicate(timeout=READY_S + END_S)
    told, summary = log.read_text(), json.loads(out)
    assert run.returncode == 1, told[-3000:]
    assert summary["failed"].startswith("the broker does not stay up")
    assert "broker.log" in summary["failed"]
    assert summary["not_sent"]["spooled"] >= 1, f"what this machine measured meanwhile is kept: {summary}"
    assert f"forestall: {summary['failed']}" in told
    assert "is given up" in told
    assert "process.roles" in told, "why Kafka does not start stands in what a person reads"
    assert "Traceback" not in told
    assert of(tmp_path) == []
