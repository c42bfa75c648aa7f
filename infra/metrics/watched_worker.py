"""A worker with its metrics page and its watchdog, for as long as it works."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from infra import clock
from infra.metrics.health import Health
from infra.metrics.serving import Page, served
from infra.metrics.watch import KafkaEnds, Watch
from infra.metrics.worker import WorkerMetrics
from infra.metrics.written import Written
from infra.settings import Settings
from infra.wiring import end_at_once
from streams.lanes import Lanes


@contextmanager
def watched_worker(settings: Settings, brokers: str, lanes: Lanes, written: Written) -> Iterator[None]:
    """Watch the worker of these lanes, and serve what it tells of itself, until the block ends."""
    watch = Watch(lanes, KafkaEnds(brokers), settings.metrics, clock.monotonic, end_at_once)
    page = Page(
        "worker",
        Health(watch.turned_s, watch.lacking),
        [WorkerMetrics(lanes, written, watch.ends, clock.monotonic)],
    )
    watch.start()
    try:
        with served(settings.metrics, page):
            yield
    finally:
        watch.stop()
