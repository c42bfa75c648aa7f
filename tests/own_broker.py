"""An embedded broker that a test may stop, kill and start again, always at the same address."""

from __future__ import annotations

import gc
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

WAIT_S_MAX = 60.0


class OwnBroker:
    """An embedded broker that this test may stop and kill."""

    def __init__(self, settings: list[str]) -> None:
        self._settings = settings
        self.pid, self.bootstrap = 0, ""
        self.start()

    def start(self) -> None:
        """Serve the run, from the start or again; always at the same address."""
        started = self._command("start", "--run", "own")
        self.pid, self.bootstrap = started["pid"], started["bootstrap"]

    def kill(self) -> None:
        """As the kernel does, and gone for sure."""
        os.kill(self.pid, signal.SIGKILL)
        until(lambda: not alive(self.pid), "the broker is dead")

    def end(self) -> None:
        """Go on where it was stopped, and end."""
        if alive(self.pid):
            os.kill(self.pid, signal.SIGCONT)
            self._command("stop")

    def _command(self, *words: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "infra.cli.main", "broker", *words, *self._settings, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]


def alive(pid: int) -> bool:
    """Whether a process runs."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait on a condition, with a deadline."""
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


@contextmanager
def own_broker_in(folder: Path) -> Iterator[OwnBroker]:
    """A broker with all topics, its data below ``folder``; gone at the end of the block."""
    from connectors.kafka.admin import admin_client, apply_topics
    from infra.broker.server import choose_port
    from infra.cli.topics import specs_of
    from infra.settings import load

    given = [f"broker.directory={folder / 'kafka'}", f"broker.port={choose_port(0)}"]
    own = OwnBroker([word for one in given for word in ("--set", one)])
    try:
        with admin_client(own.bootstrap) as client:
            apply_topics(client, specs_of(load(None, given)))
        yield own
    finally:
        own.end()
        gc.collect()
