"""Frames a second of the worker's full job beside a hand-written loop with the same models, interleaved pair by pair.

``make bench`` runs it. Both processes are held to one core, the broker to the others. Wall time is taken from the
moment a third of the output is written (chains are learned by then) to the moment all of it is; CPU time is that of
the process over the same stretch. The last line is JSON; ratios are medians over the pairs of ours / theirs by wall,
theirs / ours by CPU seconds a frame.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import psutil

from benchmarks.frames import fill
from connectors.kafka import topics
from connectors.kafka.admin import admin_client, apply_topics
from connectors.kafka.log import bounds, reader
from infra.broker.embedded import Broker, embedded_broker
from infra.broker.server import choose_port
from infra.cli.topics import specs_of
from infra.settings import Settings, load

NODES, STEPS, PAIRS = 64, 1000, 5
WARM_SHARE = 1 / 3
DEADLINE_S = 120.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Frames a second by wall clock, and CPU seconds a frame."""

    frames_per_s: float
    cpu_s: float


def run(command: list[str], settings: Settings, frames: int) -> Pace:
    """Time one process over the log that is there, on empty output topics."""
    brokers = settings.broker.brokers
    _empty_outputs(settings)
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, preexec_fn=_to_one_core)
        try:
            return _time(psutil.Process(process.pid), brokers, frames)
        except psutil.NoSuchProcess:
            said.seek(0)
            raise SystemExit(f"{command} ended: {said.read().decode()[-2000:]}") from None
        finally:
            process.kill()
            process.wait()


def _to_one_core() -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _time(process: psutil.Process, brokers: str, frames: int) -> Pace:
    start, begun = _reach(process, brokers, int(frames * WARM_SHARE))
    end, done = _reach(process, brokers, frames)
    spent = end[1] - start[1]
    return Pace((done - begun) / (end[0] - start[0]), spent / (done - begun))


def _reach(process: psutil.Process, brokers: str, count: int) -> tuple[tuple[float, float], int]:
    """Wait until so many assessments are written; returns (wall, CPU) seconds and how many there are."""
    deadline = time.monotonic() + DEADLINE_S
    with reader(brokers) as consumer:
        while time.monotonic() < deadline:
            written = bounds(consumer, topics.ASSESSMENT, 0)[1]
            if written >= count:
                used = process.cpu_times()
                return (time.monotonic(), used.user + used.system), written
            if process.status() == psutil.STATUS_ZOMBIE:
                raise psutil.NoSuchProcess(process.pid)
            time.sleep(0.01)
    raise SystemExit(f"only {written} of {count} assessments in {DEADLINE_S} s")


def _empty_outputs(settings: Settings) -> None:
    from tests.topics_on import delete_topics

    with admin_client(settings.broker.brokers) as client:
        delete_topics(client, {topics.ASSESSMENT, topics.COMMAND, topics.SNAPSHOT, topics.EVENT})
        apply_topics(client, specs_of(settings))


def measure(broker: Broker, settings: Settings) -> dict[str, float]:
    """Interleave the pairs and take medians."""
    frames = fill(broker.bootstrap, NODES, STEPS)
    worker = [sys.executable, "-m", "infra.cli.main", "worker", "--brokers", broker.bootstrap]
    worker += ["--set", "worker.ticks=source", "--set", "topics.partitions=1"]
    loop = [sys.executable, "-m", "benchmarks.hand_loop", broker.bootstrap]
    ours, theirs = [], []
    for pair in range(PAIRS):
        ours.append(run([*worker, "--set", f"worker.group=bench-{pair}"], settings, frames))
        theirs.append(run([*loop, "full"], settings, frames))
        print(
            f"pair {pair + 1} of {PAIRS}: worker {ours[-1].frames_per_s:8.0f} frames/s, {ours[-1].cpu_s * 1e6:5.1f} µs"
            f" of CPU a frame; hand loop {theirs[-1].frames_per_s:8.0f}, {theirs[-1].cpu_s * 1e6:5.1f} µs",
            flush=True,
        )
    bare = run([*loop, "plumbing"], settings, frames)
    return {
        "frames_per_s": statistics.median(p.frames_per_s for p in ours),
        "baseline_frames_per_s": statistics.median(p.frames_per_s for p in theirs),
        "ratio": statistics.median(o.frames_per_s / t.frames_per_s for o, t in zip(ours, theirs, strict=True)),
        "cpu_ratio": statistics.median(t.cpu_s / o.cpu_s for o, t in zip(ours, theirs, strict=True)),
        "plumbing_frames_per_s": bare.frames_per_s,
    }


def main() -> None:
    """Run on an embedded broker of its own, and print the figures."""
    with tempfile.TemporaryDirectory() as folder:
        own = load(None, [f"broker.directory={folder}", f"broker.port={choose_port(0)}", "topics.partitions=1"])
        with embedded_broker(own, run="bench") as broker:
            settings = load(None, ["topics.partitions=1"], broker.bootstrap)
            with admin_client(broker.bootstrap) as client:
                apply_topics(client, specs_of(settings))
            if broker.pid and len(os.sched_getaffinity(0)) > 1:
                cores = os.sched_getaffinity(0)
                os.sched_setaffinity(broker.pid, cores - {max(cores)})
            print(f"{NODES} nodes × {STEPS} frames of 32 metrics, one partition, {PAIRS} pairs", flush=True)
            print(json.dumps({k: round(v, 3) for k, v in measure(broker, settings).items()}))


if __name__ == "__main__":
    main()
