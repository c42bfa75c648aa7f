"""The rank as a process of this machine, in a session of its own, adopted again by a restarted cluster agent.

The start has two phases, so that no crash leaves a rank that nobody knows: a shell waits on its standard input; its
process id is written down durably; only then it is told to become the rank (``exec`` keeps the id). When the cluster
agent dies in between, the shell reads the end of its input and exits.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from connectors.errors import Failed
from connectors.executors import Launch, RankRecord, RankState
from connectors.executors.record_file import RecordFile
from models.records import Command

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
        self._file = RecordFile(directory / "rank.json")
        self._log = directory / "rank.log"
        self._sleep = sleep
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def record(self) -> RankRecord | None:
        """What is remembered of the rank."""
        return self._file.record

    @property
    def log(self) -> Path:
        """Where the rank's output goes."""
        return self._log

    def start(self, launch: Launch) -> None:
        """Start the rank's process; raises :class:`Failed` if one runs already or the command cannot be run."""
        record = self.record
        if self.state() == "running" and record is not None:
            if launch.order is not None and record.order == launch.order:
                return
            raise Failed(f"rank {record.rank} of {record.job} runs here already")
        child = self._spawn(launch)
        born = psutil.Process(child.pid).create_time()
        try:
            self._file.remember(
                RankRecord(
                    state="running",
                    job=launch.job,
                    rank=launch.rank,
                    order=launch.order,
                    pid=child.pid,
                    born=born,
                    world=launch.world,
                    step=launch.step,
                )
            )
        except Failed:
            _call_off(child)
            raise
        self._child = child
        if child.stdin is not None:
            with suppress(BrokenPipeError), child.stdin as gate:  # where it is gone already, `state` tells
                gate.write(b"go\n")

    def state(self) -> RankState:
        """Look at the process."""
        if self.record is None:
            return "none"
        if self.record.state != "running":
            return self.record.state
        if self._child is not None:
            code = self._child.poll()
            return "running" if code is None else "ended" if code == 0 else "died"
        return "running" if self._alive() else "died"

    def exit_code(self) -> int | None:
        """Return how the process ended (negative: by that signal), or None if it runs or was not our child."""
        return self._child.poll() if self._child else None

    def kill(self, by: str | None = None) -> None:
        """End the process group by SIGKILL and remember the node as vacated, and by whom."""
        if self.record is not None and by is not None and self.record.ended_by != by:
            self._file.remember(replace(self.record, ended_by=by))
        self._end(signal.SIGKILL, KILL_SECONDS_MAX)
        self.vacate()

    def stop(self, grace_s: float) -> None:
        """End the process group by SIGTERM, by SIGKILL after ``grace_s``."""
        if self.state() != "running":
            return
        if not self._end(signal.SIGTERM, grace_s):
            self._end(signal.SIGKILL, KILL_SECONDS_MAX)
        if self.record is not None:
            self._file.remember(replace(self.record, state="stopped", pid=None, born=None))

    def vacate(self) -> None:
        """Remember that no rank belongs here any more."""
        if self.record is not None and self.record.state != "vacated":
            self._file.remember(replace(self.record, state="vacated", pid=None, born=None))

    def checkpoint(self, command: Command) -> None:
        """The rank may be asked."""

    def set_aside(self, command: Command) -> None:
        """Nobody else runs this machine."""

    def readmit(self) -> None:
        """Remember that what was vacated does not keep the node from being a spare."""
        if self.record is not None and self.record.state == "vacated":
            self._file.remember(replace(self.record, state="returned"))

    def _spawn(self, launch: Launch) -> subprocess.Popen[bytes]:
        try:
            if self._log.exists() and self._log.stat().st_size > LOG_BYTES_MAX:
                self._log.replace(self._log.with_suffix(".log.1"))
            with self._log.open("ab") as log:
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
        record = self.record
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
        while self.state() == "running" and self.record is not None and self.record.pid is not None:
            if waited == 0.0:
                _signal_group(self.record.pid, by)
            if waited > limit_s:
                if by == signal.SIGKILL:
                    raise Failed(f"process {self.record.pid} is still there {limit_s:.0f} s after SIGKILL")
                return False
            self._sleep(0.01)
            waited += 0.01
        return True


def _signal_group(pid: int, by: signal.Signals) -> None:
    try:
        os.killpg(pid, by)
    except ProcessLookupError:
        return


def _call_off(child: subprocess.Popen[bytes]) -> None:
    """Let a shell that waits to become the rank go."""
    if child.stdin is not None:
        child.stdin.close()
    child.wait(KILL_SECONDS_MAX)
