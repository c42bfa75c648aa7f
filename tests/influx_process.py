"""A real InfluxDB for tests: started, killed, and ended by SIGINT, the one signal that it ends well by."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from connectors.errors import Failed
from infra import clock
from infra.influx.server import START_S, Server, environment, server_at

STOP_S: Final = 20.0


class Process:
    """A server's process, for whoever starts it without a supervisor."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """What it says."""
        return self.server.directory / "influxd.log"

    def start(self) -> None:
        """Start it and wait until it answers; raises :class:`Failed` when it does not."""
        with self.log.open("ab") as sink:
            self._process = subprocess.Popen(
                self.server.command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=environment()
            )
        deadline = clock.monotonic() + START_S
        while not self.server.ready():
            if self._process.poll() is not None or clock.monotonic() > deadline:
                self.kill()
                said = self.log.read_text(encoding="utf-8", errors="replace")[-500:]
                raise Failed(f"influxd did not come up at {self.server.url}: {said}")
            clock.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL, as when its machine dies."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Ask it to end, wait, and insist where it does not."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_S)
        self.kill()


@contextmanager
def influx_server(directory: Path, port: int = 0, influxd: Path | None = None) -> Iterator[Process]:
    """A server that lives as long as the block does, set up; its data stays in ``directory``."""
    process = Process(server_at(directory, port, influxd))
    try:
        process.start()
        process.server.set_up()
        yield process
    finally:
        process.stop()
