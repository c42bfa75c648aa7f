"""A real worker process for tests, and the log that it reads and writes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from signing_keys import signing_settings

from connectors.artefacts import save_artefact
from connectors.kafka.log import bounds, partition_count, read_range, reader
from models.features import FEATURE_NAMES
from models.limits import WINDOW_FRAMES
from models.mlp import Layer, Predictor

DEADLINE_S = 120.0


def lively_artefact(path: Path) -> Path:
    """An artefact whose probabilities move, so that incidents open and close on the noise of ``telemetry_log``.

    One warm mean in twenty is over its threshold; every other feature counts a little.
    """
    size = len(FEATURE_NAMES)
    weight = np.random.default_rng(7).normal(size=(1, size)) / 50
    weight[0, FEATURE_NAMES.index("thermal.high12")] = 40.0
    predictor = Predictor(
        layers=(Layer(weight, np.full(1, -40.0 * 0.54)),),
        feature_names=FEATURE_NAMES,
        mean=np.zeros(size),
        std=np.ones(size),
        clip=5.0,
        horizon_s=120.0,
        window=WINDOW_FRAMES,
    )
    save_artefact(predictor, path)
    return path


class WorkerProcess:
    """``forestall worker`` with settings of its own, the session's keys, and a log file."""

    def __init__(self, brokers: str, log: Path, *assignments: str) -> None:
        command = [sys.executable, "-m", "infra.cli.main", "worker", "--brokers", brokers]
        for assignment in (*signing_settings(), *assignments):
            command += ["--set", assignment]
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, start_new_session=True)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> int:
        """Ask it to end; returns its exit status."""
        self.process.terminate()
        return self.process.wait(timeout=30)

    def alive(self) -> bool:
        """Whether it still runs; says why not in the failure that follows."""
        return self.process.poll() is None


@contextmanager
def worker(brokers: str, log: Path, *assignments: str) -> Iterator[WorkerProcess]:
    """A worker that is gone at the end of the block, whatever happens in it."""
    started = WorkerProcess(brokers, log, *assignments)
    try:
        yield started
    finally:
        if started.alive():
            started.kill()


def written(brokers: str, topic: str) -> int:
    """How many records a topic has taken since its beginning."""
    with reader(brokers) as consumer:
        return sum(bounds(consumer, topic, p)[1] for p in range(partition_count(consumer, topic)))


def wait_until_written(brokers: str, topic: str, count: int, worker_process: WorkerProcess) -> None:
    """Wait until a topic has ``count`` records; the worker must live meanwhile."""
    deadline = time.monotonic() + DEADLINE_S
    with reader(brokers) as consumer:
        partitions = range(partition_count(consumer, topic))
        while sum(bounds(consumer, topic, p)[1] for p in partitions) < count:
            assert worker_process.alive(), worker_process.log.read_text()[-2000:]
            assert time.monotonic() < deadline, f"{topic} has not reached {count} records in {DEADLINE_S} s"
            time.sleep(0.02)


def values_of(brokers: str, topic: str) -> list[list[bytes]]:
    """All values of a topic, by partition, in order."""
    with reader(brokers) as consumer:
        return [
            [m.value() for m in read_range(consumer, topic, p, *bounds(consumer, topic, p))]
            for p in range(partition_count(consumer, topic))
        ]
