"""The Faust app of a worker: two agents over the ``batch://`` transport, and the small tasks of a partition's owner."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faust
import uvloop

from streams.batch import Batch
from streams.fold import Stage
from streams.lanes import Lanes
from streams.owner import Owner
from streams.transport import SCHEME, register

TEND_S: Final = 0.05
SESSION_S: Final = 6.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Where a worker works, and how.

    ``live_ticks`` says that this worker tells the time of its partitions, once a second; without it who sends the
    telemetry does.
    """

    brokers: str
    group: str
    directory: Path
    snapshot_topic: str
    snapshot_s: float = 3.0
    live_ticks: bool = True


@dataclass(frozen=True, slots=True)
class WorkerParts:
    """What a worker is given: its stages, clocks, and the way out when it cannot go on."""

    stages: Sequence[Stage]
    owner: Callable[[Lanes], Owner]
    now: Callable[[], float]
    monotonic: Callable[[], float]
    fail: Callable[[str], None]


def consumer_settings(settings: WorkerSettings) -> Mapping[str, Any]:
    """Settings of the polling consumer (without ``fetch.queue.backoff.ms`` catching up is ten times slower)."""
    return {
        "bootstrap.servers": settings.brokers,
        "group.id": settings.group,
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "session.timeout.ms": int(SESSION_S * 1000),
        "heartbeat.interval.ms": 1000,
        "fetch.wait.max.ms": 50,
        "fetch.queue.backoff.ms": 5,
        "queued.min.messages": 100_000,
        "partition.assignment.strategy": "range",
        "logger": logging.getLogger("rdkafka"),
    }


def build_app(settings: WorkerSettings, parts: WorkerParts) -> faust.App:
    """The app of a worker; nothing runs until a Faust worker starts it."""
    register()
    app = faust.App(
        settings.group,
        broker=[f"{SCHEME}://{address}" for address in settings.brokers.split(",")],
        datadir=str(settings.directory),
        store="memory://",
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        autodiscover=False,
        stream_recovery_delay=0.0,
        stream_publish_on_commit=False,
        broker_commit_interval=2.0,
        broker_session_timeout=SESSION_S,
    )
    lanes = Lanes(
        parts.stages,
        settings.brokers,
        settings.snapshot_topic,
        settings.snapshot_s,
        parts.monotonic,
        parts.fail,
        parts.now if settings.live_ticks else None,
    )
    app.restorer = lanes
    app.consumer_settings = consumer_settings(settings)
    for stage in parts.stages:
        _add_agent(app, stage, lanes, parts.fail)
    owner = parts.owner(lanes)
    _add_task(app, "tend", parts.fail, _every(TEND_S, app, lanes.tend))
    _add_task(app, "inventory", parts.fail, _every(0.2, app, owner.copy_inventory))
    if settings.live_ticks:
        _add_task(app, "ticks", parts.fail, _every(1.0, app, lambda: owner.tick(parts.now())))
    return app


def _add_agent(app: faust.App, stage: Stage, lanes: Lanes, fail: Callable[[str], None]) -> None:
    """An agent that takes the batches of a stage's source; what it cannot take ends the worker."""
    source = app.topic(stage.source, value_serializer="raw", key_serializer="raw", acks=False)

    async def take(batches: Any) -> None:
        async for batch in batches:
            _take(batch)

    def _take(batch: Batch) -> None:
        try:
            lanes.take(batch)
        except Exception as wrong:
            log.exception("a batch of %s could not be taken", stage.source)
            fail(f"{batch.source.topic}/{batch.source.number} from offset {batch.first}: {wrong}")
        app.consumer.done(batch)

    app.agent(source, name=f"from-{stage.source}", concurrency=1)(take)


def _every(interval_s: float, app: faust.App, work: Callable[[], None]) -> Callable[[], Awaitable[None]]:
    async def repeat() -> None:
        while not app.should_stop:
            work()
            await asyncio.sleep(interval_s)

    return repeat


def _add_task(app: faust.App, name: str, fail: Callable[[str], None], work: Callable[[], Awaitable[None]]) -> None:
    async def guarded() -> None:
        try:
            await work()
        except Exception as wrong:
            log.exception("task %s failed", name)
            fail(f"task {name}: {wrong}")

    guarded.__name__ = name
    app.task(guarded)


def run(app: faust.App) -> None:
    """Run a worker until it is told to stop; returns when every part has ended. What it logs goes where all does."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    worker = faust.Worker(app, redirect_stdouts=False, loop=loop, quiet=True, override_logging=False)
    worker.spinner = None  # its control characters would stand between the lines of a log
    worker.execute_from_commandline()
