"""The fleet's telemetry for a drill: a past, then a present in which any node can be struck."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from connectors.kafka.admin import admin_client
from connectors.kafka.links import BulkLink, LiveLink
from connectors.kafka.telemetry_producer import Tally, TelemetryProducer
from connectors.kafka.topics import EVENT, SCHEMA, TELEMETRY
from connectors.ports import RowFrame
from connectors.spool import Spool
from experiments.fleet import Fleet, FleetSpec, ScriptedFault, scripted_fleet
from infra import clock
from infra.feed import FLUSH_S, Feed, Orders
from infra.fleet_source import FleetSource

FAULT: Final = "hbm"
_SPOOL_BYTES = 16 * 1024 * 1024
_STOP_S = 15.0


class StruckFleet(FleetSource):
    """A quiet fleet in which :meth:`strike` lets a node fail; no sample before a strike depends on it."""

    def __init__(self, nodes: int, start: float, interval_s: float) -> None:
        self._faults: tuple[ScriptedFault, ...] = ()
        self._wanted: queue.SimpleQueue[tuple[str, float, float]] = queue.SimpleQueue()
        super().__init__(nodes, start, interval_s)

    def strike(self, node: str, lead_s: float, repair_s: float) -> None:
        """From the next sample on ``node`` shows signs for ``lead_s``, falls silent, and is back after ``repair_s``."""
        self._wanted.put((node, lead_s, repair_s))

    def release(self) -> None:
        """Nothing is in store: strikes come when they are ordered."""

    def _spec(self, _at_step: int, _lead_steps: int = 1) -> FleetSpec:
        spec = scripted_fleet(self._nodes, self._seed, *self._faults, interval_s=self._interval_s)
        return replace(spec, look_alike_rate=0.0)

    def _sampler(self, step: int) -> Callable[[], list[RowFrame]]:
        taken = super()._sampler(step)

        def take() -> list[RowFrame]:
            self._begin_strikes(step)
            return taken()

        return take

    def _begin_strikes(self, step: int) -> None:
        before = self._faults
        while not self._wanted.empty():
            node, lead_s, repair_s = self._wanted.get()
            lead, repair = (round(seconds / self._interval_s) for seconds in (lead_s, repair_s))
            self._faults = (*self._faults, ScriptedFault(node, FAULT, step, lead, repair))
        if self._faults != before:
            struck = Fleet(self._spec(0))
            struck.block(step)
            self._fleet = struck


class Telemetry:
    """Sends a :class:`StruckFleet` from a thread: its past at once, its present from :meth:`go_live` on."""

    def __init__(self, brokers: str, nodes: int, interval_s: float) -> None:
        self._brokers, self._start = brokers, clock.now()
        self._fleet = StruckFleet(nodes, self._start, interval_s)
        self._stopping, self._started = threading.Event(), threading.Event()
        self._sent: int | None = None
        self._tally: Tally | None = None
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)

    @property
    def history_sent(self) -> int | None:
        """Frames of the past, once the broker has all of them; raises what has ended the thread."""
        if self._fault is not None:
            raise self._fault
        return self._sent

    def start(self) -> None:
        """Begin to send the past."""
        self._thread.start()

    def go_live(self) -> None:
        """End the past; the present follows it without a gap."""
        self._started.set()

    def strike(self, node: str, lead_s: float, repair_s: float) -> None:
        """Let a node fail."""
        self._fleet.strike(node, lead_s, repair_s)

    def stop(self) -> Tally | None:
        """Send what is left and end; returns what became of the frames."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_S)
        return self._tally

    def _tell(self, event: str, frames: int) -> None:
        if event == "history-sent":
            self._sent = frames

    def _run(self) -> None:
        try:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="forestall-spool-")))
                producer = TelemetryProducer(
                    BulkLink(self._brokers), Spool(folder, _SPOOL_BYTES), self._partitions(), clock.monotonic
                )
                try:
                    self._feed(producer).run(with_history=True)
                finally:
                    self._tally = producer.close(clock.monotonic() + FLUSH_S, keep=False)
        except BaseException as fault:  # noqa: BLE001 - it is raised where somebody asks for the past
            self._fault = fault

    def _feed(self, producer: TelemetryProducer) -> Feed:
        return Feed(
            self._fleet,
            producer,
            lambda: LiveLink(self._brokers),
            Orders(self._stopping.is_set, self._started.is_set),
            self._start,
            clock.now,
            clock.monotonic,
            self._tell,
        )

    def _partitions(self) -> dict[str, int]:
        wanted = [TELEMETRY, SCHEMA, EVENT]
        with admin_client(self._brokers) as client:
            return {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics(wanted)}
