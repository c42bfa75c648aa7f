"""The Faust agents in memory: they take batches in order, and what they cannot take ends the worker."""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import faust
import pytest
from memory_publisher import MemoryPublisher

import streams
from streams.app import WorkerParts, WorkerSettings, build_app
from streams.batch import Batch, Partition
from streams.fold import Fold, Ordered, Output, Place, Stage
from streams.lane import NOTHING, Restored
from streams.lanes import Lanes

SOURCE = Partition("in", 0)
NOWHERE = "127.0.0.1:1"


class Echo:
    """A fold that gives each record back, and breaks on ``poison``."""

    loading = False

    def apply(self, batch: Batch) -> Sequence[Output]:
        for _, value in batch.records():
            if value == b"poison":
                raise ZeroDivisionError("this fold cannot take poison")
        return [Ordered(Place(offset, 0), b"k", value) for offset, value in batch.records()]

    def snapshot(self) -> bytes:
        return b""


def echo(number: int, state: bytes | None) -> Fold:
    return Echo()


STAGES = (Stage("in", "out", echo, lambda value: None), Stage("in2", "out2", echo, lambda value: None))


class Idle:
    """An owner without anything to copy; ``wrong`` is raised by its next tick."""

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.wrong: Exception | None = None

    def tick(self, now: float) -> None:
        if self.wrong is not None:
            raise self.wrong
        self.ticks.append(now)

    def copy_inventory(self) -> None:
        """The inventory is empty."""


@dataclass
class Worker:
    """An app with its lanes on a publisher of memory, and why it could not go on."""

    directory: Path
    live_ticks: bool = False
    owner: Idle = field(default_factory=Idle)
    failures: list[str] = field(default_factory=list)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)

    def __post_init__(self) -> None:
        settings = WorkerSettings(
            brokers=NOWHERE, group="g", directory=self.directory, snapshot_topic="s", live_ticks=self.live_ticks
        )
        parts = WorkerParts(
            stages=STAGES, owner=self._own, now=lambda: 5.0, monotonic=lambda: 0.0, fail=self.failures.append
        )
        self.app = build_app(settings, parts)

    def _own(self, lanes: Lanes) -> Any:
        self.lanes = lanes
        lanes.publisher = self.publisher  # type: ignore[assignment]
        return self.owner

    def hold(self, *partitions: Partition) -> None:
        """As if a rebalance had given these partitions."""
        self.lanes._restored = {p: Restored(Echo(), 0, NOTHING) for p in partitions}
        self.lanes.adopt(frozenset(partitions))

    def agent(self, source: str) -> Any:
        return self.app.agents[f"from-{source}"]

    async def task(self, name: str) -> None:
        """Run one of the app's tasks for as long as it goes."""
        [task] = [task for task in self.app._app_tasks if task.__name__ == name]
        await task()


def batch(first: int, *values: bytes, source: Partition = SOURCE) -> Batch:
    return Batch(source, first, [b"k"] * len(values), list(values))


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    made = Worker(tmp_path)
    yield made
    made.app.conf.datadir = tmp_path


async def test_an_agent_hands_batches_to_their_lane_in_order(worker: Worker) -> None:
    worker.hold(SOURCE)
    async with worker.agent("in").test_context() as agent:
        for first, values in ((0, (b"a", b"b")), (2, (b"c",)), (1, (b"b", b"c", b"d"))):
            await agent.put(batch(first, *values))
    assert worker.publisher.on("out") == [b"a", b"b", b"c", b"d"]
    assert worker.failures == []


async def test_each_source_has_an_agent_of_its_own(worker: Worker) -> None:
    other = Partition("in2", 3)
    worker.hold(SOURCE, other)
    async with worker.agent("in2").test_context() as agent:
        await agent.put(batch(0, b"x", source=other))
    assert worker.publisher.rows == [("out2", 3, b"k", b"x")]


async def test_a_batch_of_a_partition_that_has_gone_is_dropped(worker: Worker) -> None:
    async with worker.agent("in").test_context() as agent:
        await agent.put(batch(0, b"a"))
    assert worker.publisher.rows == []
    assert worker.failures == []


async def test_a_fold_that_fails_ends_the_worker_and_is_never_passed_over(worker: Worker) -> None:
    worker.hold(SOURCE)
    async with worker.agent("in").test_context() as agent:
        await agent.put(batch(0, b"a"))
        await agent.put(batch(1, b"poison"))
        await agent.put(batch(2, b"c"))
    assert worker.failures[0] == "in/0 from offset 1: this fold cannot take poison"
    assert "offset 1 was expected, 2 came" in worker.failures[1], "had the process not ended, nothing would follow"
    assert worker.publisher.on("out") == [b"a"]


async def test_a_gap_ends_the_worker(worker: Worker) -> None:
    worker.hold(SOURCE)
    async with worker.agent("in").test_context() as agent:
        await agent.put(batch(5, b"a"))
    assert worker.failures == ["in/0 from offset 5: in/0: offset 0 was expected, 5 came"]


async def test_room_is_given_back_for_what_was_taken(worker: Worker) -> None:
    worker.hold(SOURCE)
    async with worker.agent("in").test_context() as agent:
        await agent.put(batch(0, b"a", b"b"))
        await agent.put(batch(2, b"poison"))
    assert worker.app.consumer.records_done == 3


async def test_a_task_that_fails_ends_the_worker(tmp_path: Path) -> None:
    worker = Worker(tmp_path, live_ticks=True)
    worker.owner.wrong = RuntimeError("no brokers")
    await asyncio.wait_for(worker.task("ticks"), 5)
    assert worker.failures == ["task ticks: no brokers"]


async def test_a_live_worker_tells_the_time_it_is_given(tmp_path: Path) -> None:
    worker = Worker(tmp_path, live_ticks=True)
    running = asyncio.create_task(worker.task("ticks"))
    while not worker.owner.ticks:
        await asyncio.sleep(0)
    running.cancel()
    assert worker.owner.ticks[0] == 5.0


def test_without_live_ticks_there_is_no_task_for_them(worker: Worker) -> None:
    assert [task.__name__ for task in worker.app._app_tasks] == ["tend", "inventory"]


def test_each_app_is_a_new_one(tmp_path: Path) -> None:
    one, other = Worker(tmp_path / "a"), Worker(tmp_path / "b")
    assert one.app is not other.app
    assert set(one.app.agents) == {"from-in", "from-in2"}


def test_no_module_holds_an_app() -> None:
    for module in pkgutil.walk_packages(streams.__path__, "streams."):
        held = vars(importlib.import_module(module.name)).values()
        assert not any(isinstance(one, faust.App) for one in held), module.name


IMPORT_ALL = """
import importlib, pkgutil, sys, threading

def ours(frame):
    while frame is not None and "importlib" not in frame.f_code.co_filename:
        if frame.f_code.co_filename.startswith(roots):
            return True
        frame = frame.f_back
    return False  # what the imports of other packages do is theirs

def watch(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    effects = ("socket.connect", "socket.bind", "subprocess.Popen", "os.mkdir", "os.remove", "os.kill")
    if (writes or event in effects or event == "_thread.start_new_thread") and ours(sys._getframe(1)):
        raise SystemExit(f"importing {name} does {event} {arguments}")

packages = [importlib.import_module(package) for package in ("models", "connectors", "streams", "infra")]
roots = tuple(path for package in packages for path in package.__path__)
sys.addaudithook(watch)
for package in packages:
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not module.name.startswith("models.training") and not module.name.endswith("__main__"):
            name = module.name
            importlib.import_module(name)
"""


def test_importing_has_no_effects(tmp_path: Path) -> None:
    """No module connects, writes, starts or ends anything when it is imported."""
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    found = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
