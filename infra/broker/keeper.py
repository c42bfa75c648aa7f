"""Keeps a broker up: when it dies under us it is started again, at the same address and with the same data."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from connectors.errors import Failed
from infra import clock
from infra.broker.processes import Say, end_process, spawn_guarded, wait_until_ready

PAUSE_S_MIN = 0.25
PAUSE_S_MAX = 8.0
#: A broker that lived this long before it died starts again with the shortest pause.
STEADY_S = 30.0
QUICK_DEATHS_MAX = 5


class Keeper:
    """The process of one embedded broker, and the thread that watches it.

    Parameters
    ----------
    command : the broker's command line
    bootstrap : the address at which it answers
    log : the file that its output is added to
    started : told the process id of each life, before it is known to answer
    say : told in words when a life ends and when the next one answers
    """

    def __init__(
        self, command: Sequence[str], bootstrap: str, log: Path, started: Callable[[int], None], say: Say
    ) -> None:
        self._command = command
        self._bootstrap = bootstrap
        self._log = log
        self._started = started
        self._say = say
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher = threading.Thread(target=self._watch, name="broker-keeper", daemon=True)
        self.pid: int | None = None
        #: Set when the broker has died too often in a row and nobody starts it any more.
        self.given_up = threading.Event()

    def start(self) -> None:
        """Start the broker, wait until it answers, and watch it from then on; raises ``Failed``."""
        try:
            self._live()
        except BaseException:
            self.stop()
            raise
        self._watcher.start()

    def stop(self) -> None:
        """End the broker and wait until it is gone."""
        self._closing.set()
        with self._lock:
            if self._process is not None:
                end_process(self._process)
        if self._watcher.is_alive():
            self._watcher.join()

    def _live(self) -> None:
        with self._lock:
            if self._closing.is_set():
                return
            if self._process is not None:
                end_process(self._process)
            self._process, self.pid = spawn_guarded(self._command, self._log)
            process = self._process
        self._started(self.pid)
        wait_until_ready(self._bootstrap, process, self._log)

    def _watch(self) -> None:
        deaths, pause_s = 0, PAUSE_S_MIN
        while deaths < QUICK_DEATHS_MAX:
            began = clock.monotonic()
            code = self._process.wait() if self._process else 0
            if self._closing.is_set():
                return
            if clock.monotonic() - began > STEADY_S:
                deaths, pause_s = 0, PAUSE_S_MIN
            deaths += 1
            self._say(f"Kafka ended (exit {code}); it is started again in {pause_s:.2g} s")
            self._closing.wait(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
            try:
                self._live()
            except Failed as fault:
                if self._closing.is_set():
                    return
                self._say(str(fault))
            else:
                self._say(f"Kafka answers again at {self._bootstrap}")
        self._say(f"Kafka does not stay up and is given up; its log is {self._log}")
        self.given_up.set()
