"""The drill as a person starts it: real kills of a real job in both arms; stopped, it leaves nothing behind."""

from __future__ import annotations

import json
import os
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

pytestmark = pytest.mark.broker
END_S = 900.0


def _can_be_interrupted() -> None:
    """Tests that were started in the background have SIGINT ignored, and so would have the drill."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Drill:
    """A drill of its own: everything that it starts has its folder, or its temporary one, in its words."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder, self.log = folder, folder / "terminal.log"
        command = [sys.executable, "-m", "infra.cli.main", "drill", *words, "--json"]
        command += ["--set", f"broker.directory={folder}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "TMPDIR": str(folder)},
                preexec_fn=_can_be_interrupted,
            )

    def said(self, words: str) -> bool:
        return words in self.log.read_text()

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + END_S
        while not condition():
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            assert time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.1)

    def processes(self) -> list[psutil.Process]:
        return processes_below(self.folder, self.process.pid)


@contextmanager
def drill(folder: Path, *words: str) -> Iterator[Drill]:
    run = Drill(folder, *words)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        for process in run.processes():
            process.kill()
        if run.process.stdout is not None:
            run.process.stdout.close()


def told(run: Drill) -> dict[str, Any]:
    out, _ = run.process.communicate(timeout=END_S)
    assert out, run.log.read_text()[-3000:]
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_one_kill_under_both_arms(tmp_path: Path) -> None:
    with drill(tmp_path, "--job", "numpy", "--kills", "1") as run:
        found = told(run)
        assert run.process.returncode == 0, run.log.read_text()[-3000:]
        assert run.processes() == []
    assert (found["kills"], found["sudden"]) == (1, 0)
    assert found["late"] == sum(kill["passed"] >= 0.7 for kill in found["young"]["kills"])
    assert found["commands"] == found["acknowledged"] > 0
    assert (found["double_effects"], found["lost_checkpoints"]) == (0, 0)
    assert found["weights_equal"]
    assert None not in found["weights"].values()
    young, ours = found["young"], found["forestall"]
    assert ours["lost_steps"] < young["lost_steps"]
    assert young["kills"][0]["hit"]
    assert young["repeated_steps"] >= young["lost_steps"] - 2 / 0.1
    assert young["by_action"].keys() == {"CHECKPOINT", "RESTORE"}
    assert young["restarts"] == 1
    (planned,), (struck,) = young["kills"], ours["kills"]
    assert struck["begun_at_step"] >= planned["begun_at_step"]
    assert (struck["rank"], struck["lead_s"]) == (planned["rank"], planned["lead_s"])
    for arm in (young, ours):
        assert sum(arm["ledger"]["buckets"].values()) == pytest.approx(arm["ledger"]["wall_s"], rel=1e-3)
        assert arm["checkpoints"] > 0
    assert found["settings"]["young"] == {"policy.checkpoint": "young", "policy.migration": "never"}


def test_stopped_in_the_middle_it_leaves_nothing(tmp_path: Path) -> None:
    with drill(tmp_path, "--job", "numpy", "--kills", "1") as run:
        run.until(lambda: run.said("ranks train, "))
        assert len(run.processes()) > 8
        run.process.send_signal(signal.SIGINT)
        out, _ = run.process.communicate(timeout=END_S)
        assert (run.process.returncode, out) == (130, "")
        assert run.processes() == []
    assert not run.said("Traceback")
    assert list(tmp_path.glob("forestall-drill-*")) == []
