"""``forestall up`` as a person starts it, and what is left when it ends one way or the other: nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes_below import processes_below

from connectors.artefacts import shipped_artefact

pytestmark = pytest.mark.broker
READY_S = 150.0
END_S = 90.0


class Up:
    """A run of its own: its broker, its folders, its page's port; everything it starts has its folder in its words."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.log = folder / "terminal.log"
        command = [sys.executable, "-m", "infra.cli.main", "up", *words, "--json"]
        command += ["--set", f"broker.directory={folder}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def until(self, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"not in {seconds:.0f} s; {self.log.read_text()[-3000:]}"
            time.sleep(0.05)

    def summary(self) -> dict[str, Any]:
        out, _ = self.process.communicate(timeout=READY_S + END_S)
        found = json.loads(out)
        assert isinstance(found, dict)
        return found

    def processes(self) -> list[psutil.Process]:
        """Whatever this run has started and is still there, the run itself apart."""
        return processes_below(self.folder, self.process.pid)

    def is_alone(self) -> bool:
        return not self.processes()


@contextmanager
def up(folder: Path, *words: str) -> Iterator[Up]:
    run = Up(folder, *words)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait(END_S)
        for process in run.processes():
            process.kill()
        if run.process.stdout is not None:
            run.process.stdout.close()


def test_a_fleet_and_its_job_from_start_to_summary(tmp_path: Path) -> None:
    with up(tmp_path, "--source", "fleet", "--nodes", "8", "--for", "20s") as run:
        found = run.summary()
        assert run.process.returncode == 0, run.log.read_text()[-3000:]
        assert run.is_alone()
    assert found["failed"] is None
    assert found["broker"]["version"].startswith("4.")
    assert found["lost"] == 0
    assert found["history"]["produced"] + found["frames_produced"] == (
        found["history"]["assessed"] + found["frames_assessed"]
    )
    assert found["frames_assessed"] > 8 * 15
    assert found["latency_ms"]["assessment"]["p50"] > 0
    assert found["job"]["steps"] > 50
    assert sum(found["ledger"]["buckets"].values()) == pytest.approx(found["ledger"]["wall_s"], rel=1e-3)
    assert set(found["outcomes"]) <= {
        "received",
        "accepted",
        "staged",
        "durable",
        "done",
        "failed",
        "expired",
        "rejected",
    }
    assert found["timeline_s"]["ready"] <= found["timeline_s"]["end"]
    audit = [sys.executable, "-m", "infra.cli.main", "audit", "verify", "--json"]
    audit += ["--set", f"broker.directory={tmp_path}"]
    done = subprocess.run(audit, capture_output=True, text=True, timeout=END_S, check=False)
    audited = json.loads(done.stdout)
    assert (done.returncode, audited["faults"], audited["signatures"]) == (0, [], "checked"), done.stderr
    assert audited["commands"] == len(found["commands"])


def test_a_run_goes_on_without_counting_twice(tmp_path: Path) -> None:
    words = ("--source", "host", "--for", "4s", "--no-job", "--run", "lasting")
    for _ in range(2):
        with up(tmp_path, *words) as run:
            found = run.summary()
        assert (found["broker"]["run"], found["lost"]) == ("lasting", 0)
        assert found["frames_produced"] == found["frames_assessed"] < 12


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_asked_to_stop_it_tells_its_summary_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with up(tmp_path, "--source", "host", "--no-job") as run:
        run.until(lambda: run.said("  live  "), READY_S)
        assert len(run.processes()) >= 3
        run.process.send_signal(number)
        found = run.summary()
        assert run.process.returncode == 0
        assert found["lost"] == 0
        assert run.is_alone()


def test_stopped_while_it_starts_it_leaves_nothing(tmp_path: Path) -> None:
    with up(tmp_path, "--source", "fleet", "--nodes", "8") as run:
        run.until(lambda: run.said("  started  "), READY_S)
        run.process.send_signal(signal.SIGTERM)
        run.process.communicate(timeout=END_S)
        assert run.is_alone()


def test_killed_it_leaves_nothing_either(tmp_path: Path) -> None:
    """Parts end when their parent does, ranks with their cluster agents, the broker with its guard."""
    with up(tmp_path, "--source", "fleet", "--nodes", "8") as run:
        run.until(lambda: any("experiments.training_job" in p.info["cmdline"] for p in run.processes()), READY_S)
        run.process.kill()
        run.process.communicate(timeout=END_S)
        run.until(run.is_alone, END_S)


def test_a_worker_that_is_killed_is_started_again_and_nothing_is_lost(tmp_path: Path) -> None:
    with up(tmp_path, "--source", "host", "--no-job", "--for", "20s") as run:
        run.until(lambda: run.said("  live  "), READY_S)
        (worker,) = [p for p in run.processes() if "worker" in p.info["cmdline"]]
        worker.kill()
        found = run.summary()
        assert run.process.returncode == 0
    assert run.said("was killed by SIGKILL; starting again in 0.25 s")
    assert found["restarted"] == {"worker": 1}
    assert found["lost"] == 0


def test_a_broker_that_is_killed_comes_back_with_its_data_and_nothing_is_lost(tmp_path: Path) -> None:
    with up(tmp_path, "--source", "host", "--no-job", "--for", "30s") as run:
        run.until(lambda: run.said("  live  "), READY_S)
        (kafka,) = [p for p in run.processes() if "kafka.Kafka" in p.info["cmdline"] and "guard.py" not in str(p.info)]
        kafka.kill()
        run.until(lambda: run.said("answers again at"), READY_S)
        found = run.summary()
        assert run.process.returncode == 0, run.log.read_text()[-3000:]
        assert run.is_alone()
    assert found["lost"] == 0
    assert found["frames_assessed"] > 20


def test_a_part_that_cannot_stay_up_ends_the_run_with_a_summary_and_its_last_words(tmp_path: Path) -> None:
    artefact = shutil.copy(shipped_artefact(), tmp_path / "gone.safetensors")
    named = f"predictor.artefact={artefact}"
    with up(tmp_path, "--source", "host", "--no-job", "--for", "5s", "--set", named) as run:
        run.until(lambda: run.said(" answers at "), READY_S)
        artefact.unlink()
        found = run.summary()
        assert run.process.returncode == 1
        assert run.is_alone()
    assert found["failed"].startswith("worker does not stay up (exit 2)")
    assert "gone.safetensors" in found["failed"]
    assert run.said(found["failed"])


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--source", "replay:/no/such/folder", "--for", "5s", "--no-job"), 2, "/no/such/folder"),
        (("--source", "moon", "--for", "5s"), 2, "moon"),
        (("--brokers", "127.0.0.1:1", "--for", "5s", "--no-job"), 3, "127.0.0.1:1"),
        (("--set", "web.host=0.0.0.0", "--for", "5s"), 2, "0.0.0.0"),
        (("--set", "predictor.artefact=/no/such.safetensors", "--for", "5s"), 2, "/no/such.safetensors"),
    ],
)
def test_what_cannot_begin_says_why(tmp_path: Path, words: tuple[str, ...], code: int, named: str) -> None:
    with up(tmp_path, *words) as run:
        out, _ = run.process.communicate(timeout=END_S)
        assert (run.process.returncode, out) == (code, "")
    assert run.said(named)
    assert not run.said("Traceback")
    assert list(tmp_path.glob("runs/*")) == []
