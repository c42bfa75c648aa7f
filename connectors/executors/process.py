"""The rank as a process of this machine, in a session of its own, adopted again by a restarted cluster agent.

The start has two phases, so that no crash leaves a rank that nobody knows: a shell waits on its standard input; its
process id is written down durably; only then it is told to become the rank (``exec`` keeps the id). When the cluster
agent dies in between, the shell reads the end of its input and exits.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import psutil

from connectors.errors import Failed
from connectors.executors import Launch, RankRecord, RankState

_SHIM = 'read -r go && exec "$@" </dev/null'
#: Start times of one process, read twice, differ by less than this (the boot time they rest on is rounded).
BORN_SECONDS_MAX = 2.0
#: A killed process is gone after this, or something holds it in the kernel.
KILL_SECONDS_MAX = 10.0
LOG_BYTES_MAX = 16 * 1024 * 1024


class ProcessExecutor:
    """Keeps its record in ``directory/rank.json`` and what the rank prints in ``directory/rank.log``.

    ``sleep`` waits for a number of seconds; it is given so that nothing here reads a clock.
    """

    def __init__(self, directory: Path, sleep: Callable[[float], None]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._path = directory / "rank.json"
        self._log = directory / "rank.log"
        self._sleep = sleep
        self._child: subprocess.Popen[bytes] | None = None
        self._record = self._load()

    @property
    def record(self) -> RankRecord | None:
        """What is remembered of the rank."""
        return self._record

    @property
    def log(self) -> Path:
        """Where the rank's output goes."""
        return self._log

    def start(self, launch: Launch) -> None:
        """Start the rank's process; raises :class:`Failed` if one runs already or the command cannot be run."""
        if self.state() == "running" and self._record is not None:
            if launch.order is not None and self._record.order == launch.order:
                return
            raise Failed(f"rank {self._record.rank} of {self._record.job} runs here already")
        if self._log.exists() and self._log.stat().st_size > LOG_BYTES_MAX:
            self._log.replace(self._log.with_suffix(".log.1"))
        child = self._spawn(launch)
        born = psutil.Process(child.pid).create_time()
        self._remember(
            RankRecord(state="running", job=launch.job, rank=launch.rank, order=launch.order, pid=child.pid, born=born)
        )
        self._child = child
        if child.stdin is not None:
            with suppress(BrokenPipeError), child.stdin as gate:  # where it is gone already, `state` tells
                gate.write(b"go\n")

    def state(self) -> RankState:
        """Look at the process."""
        if self._record is None:
            return "none"
        if self._record.state != "running":
            return self._record.state
        if self._child is not None:
            code = self._child.poll()
            return "running" if code is None else "ended" if code == 0 else "died"
        return "running" if self._alive() else "died"

    def exit_code(self) -> int | None:
        """Return how the process ended (negative: by that signal), or None if it runs or was not our child."""
        return self._child.poll() if self._child else None

    def kill(self) -> None:
        """End the process group by SIGKILL and remember the node as vacated."""
        self._end(signal.SIGKILL, KILL_SECONDS_MAX)
        self.vacate()

    def stop(self, grace_s: float) -> None:
        """End the process group by SIGTERM, by SIGKILL after ``grace_s``."""
        if self.state() != "running":
            return
        if not self._end(signal.SIGTERM, grace_s):
            self._end(signal.SIGKILL, KILL_SECONDS_MAX)
        if self._record is not None:
            self._remember(replace(self._record, state="stopped", pid=None, born=None))

    def vacate(self) -> None:
        """Remember that no rank belongs here any more."""
        if self._record is not None and self._record.state != "vacated":
            self._remember(replace(self._record, state="vacated", pid=None, born=None))

    def _spawn(self, launch: Launch) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            try:
                return subprocess.Popen(
                    ["/bin/sh", "-c", _SHIM, "forestall-rank", *launch.command],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    env=dict(launch.environment),
                    start_new_session=True,
                )
            except OSError as fault:
                raise Failed(f"rank {launch.rank} of {launch.job} cannot be started: {fault}") from fault

    def _alive(self) -> bool:
        record = self._record
        if record is None or record.pid is None or record.born is None:
            return False
        try:
            process = psutil.Process(record.pid)
            same = abs(process.create_time() - record.born) < BORN_SECONDS_MAX
            return bool(same and process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def _end(self, by: signal.Signals, limit_s: float) -> bool:
        """Send a signal to the rank's group and wait until the rank is gone; False if it is not after ``limit_s``."""
        waited = 0.0
        while self.state() == "running" and self._record is not None and self._record.pid is not None:
            if waited == 0.0:
                _signal_group(self._record.pid, by)
            if waited > limit_s:
                if by == signal.SIGKILL:
                    raise Failed(f"process {self._record.pid} is still there {limit_s:.0f} s after SIGKILL")
                return False
            self._sleep(0.01)
            waited += 0.01
        return True

    def _remember(self, record: RankRecord) -> None:
        fresh = self._path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(asdict(record), file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._record = record

    def _load(self) -> RankRecord | None:
        try:
            return RankRecord(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as fault:
            raise Failed(f"{self._path} cannot be read ({fault}); end its rank by hand, then remove it") from fault


def _signal_group(pid: int, by: signal.Signals) -> None:
    try:
        os.killpg(pid, by)
    except ProcessLookupError:
        return
