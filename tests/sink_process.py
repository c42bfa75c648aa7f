"""The sink as a process of its own, a log that goes on being written, and what InfluxDB holds of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer
from influx_process import Process

from connectors.codecs.records import encode_event
from connectors.influx.token_file import write_token
from connectors.kafka.topics import EVENT
from infra.influx.api import InfluxApi
from infra.sink.reckoning import held
from models.records import Outcome

WAIT_S = 120.0
BATCH = 20


def wait_for(what: Callable[[], bool], wanted: str) -> None:
    """Wait until it is true."""
    deadline = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < deadline, f"not within {WAIT_S:.0f} s: {wanted}"
        time.sleep(0.05)


class SinkProcess:
    """``forestall sink influx``, started and killed."""

    def __init__(self, brokers: str, server: Process, folder: Path) -> None:
        token = folder / "write.token"
        write_token(token, server.server.token())
        given = (f"influx.url={server.server.url}", f"influx.token_file={token}")
        self._command = [
            *(sys.executable, "-P", "-m", "infra.cli.main", "sink", "influx", "--brokers", brokers),
            *("--outbox", str(folder / "outbox")),
            *(word for text in given for word in ("--set", text)),
        ]
        self._log = folder / "sink.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Begin a life."""
        with self._log.open("ab") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)

    def kill(self) -> None:
        """SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; it ends well."""
        assert self._end(signal.SIGTERM) == 0, self._log.read_text()[-2_000:]

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()[-2_000:]
        self._process.send_signal(number)
        return self._process.wait(60)


class Log:
    """Outcomes, each of its own time, that are put on the decision log as long as the block lasts."""

    def __init__(self, brokers: str) -> None:
        self.count = 0
        self._began = time.time() - 3_600
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5})
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)

    def __enter__(self) -> Log:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Write no more, and have all on the log."""
        self._ending.set()
        self._thread.join()
        assert self._producer.flush(60) == 0

    def _go_on(self) -> None:
        while not self._ending.wait(0.1):
            for _ in range(BATCH):
                self._producer.produce(EVENT, key=f"job{self.count % 7}", value=self._event())
                self.count += 1
            self._producer.poll(0)

    def _event(self) -> bytes:
        at, n = self._began + self.count / 1_000, self.count
        told = Outcome(id=f"o{n}", job=f"job{n % 7}", command="c", action="MIGRATE", node="n1", stage="done", at=at)
        return encode_event(told)


def outcomes_held(server: Process) -> int:
    """Points of outcomes, as the server counts them."""
    return held(InfluxApi(server.server.url, server.server.token()), "forestall", "forestall")["outcome"]
