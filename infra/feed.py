"""Carries a source to the broker: its past at full speed, a wait where one is asked for, then its present in time.

What is sent before the start is marked by ticks as history; the start is one tick that says history is over. A fleet
goes on by the wall clock while it waits, so that its present follows its past without a gap; a recording and a machine
wait, and so does a fleet whose past is not sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from connectors.kafka.telemetry_producer import TelemetryProducer
from connectors.ports import Link, Moment, Source

#: The longest that the feed is deaf to the end of its run, in seconds.
NAP_S: Final = 0.2
FLUSH_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Orders:
    """What somebody outside wants: each is asked again and again and answers at once."""

    stopping: Callable[[], bool]
    started: Callable[[], bool]


class Feed:
    """One run of one source.

    Parameters
    ----------
    source : where frames come from
    producer : where they go; its link is the one for the past, where there is one
    live_link : makes the link for the present, once a past was sent
    orders : when to begin and to stop
    start : wall clock in Unix seconds before which the past ends, where one is sent
    clock, monotonic : the wall clock, and one that never goes back
    tell : is told ("history-sent" | "live", number of frames sent as history)
    for_s : seconds of live telemetry; None for no end
    """

    def __init__(
        self,
        source: Source,
        producer: TelemetryProducer,
        live_link: Callable[[], Link],
        orders: Orders,
        start: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        tell: Callable[[str, int], None],
        for_s: float | None = None,
    ) -> None:
        self._source, self._producer, self._live_link, self._orders = source, producer, live_link, orders
        self._start, self._clock, self._monotonic, self._tell = start, clock, monotonic, tell
        self._for_s = for_s
        self._origin = monotonic() - (clock() - start)  # making a source takes time; its present does not wait for it
        self._until: float | None = None
        self._ticked: float | None = None
        self._live = False

    def run(self, *, with_history: bool) -> None:
        """Send all of it; returns when told to stop, when ``for_s`` are over, or when the source ends.

        However it ends, the past that it has begun to load is closed: until then nobody acts on its partitions.
        """
        try:
            self._run(with_history=with_history)
        finally:
            if self._ticked is not None and not self._live:
                self._end_past()

    def _run(self, *, with_history: bool) -> None:
        for schema in self._source.schemas:
            self._producer.publish(schema)
        if with_history:
            self._load()
        self._tell("history-sent", self._producer.tally.history)
        if not (with_history and self._source.flows_while_waiting):
            self._await_start()
        for moment in self._source.live(self._start):
            self._await_due(moment)
            if self._is_over():
                return
            self._send(moment)
            self._producer.poll(0.0)

    def _load(self) -> None:
        """Send the past and see it acknowledged, so that the link for the present can take over in order."""
        for moment in self._source.history():
            if self._orders.stopping():
                return
            if self._ticked is None:
                self._tick_past(moment.ts)
            self._send(moment)
        while not self._producer.flush(self._monotonic() + NAP_S):
            if self._orders.stopping():
                return
        self._producer.change_link(self._live_link())

    def _tick_past(self, ts: float) -> None:
        """Say that a past begins before its first frame: what no tick has marked counts as the present."""
        self._producer.tick(ts, history=True)
        self._ticked = ts

    def _await_start(self) -> None:
        while not (self._orders.started() or self._orders.stopping()):
            self._producer.poll(NAP_S)
        if self._orders.stopping():
            return
        self._start, self._origin = self._clock(), self._monotonic()
        self._go_live()

    def _end_past(self) -> None:
        """Say that no past is being loaded: any of ours is over, and one that an earlier life left open ends here.

        A recording brings source times of its own; without a past its first tick says so.
        """
        if self._ticked is not None:
            self._producer.tick(self._ticked, history=False)
        elif not self._source.brings_ticks:
            self._producer.tick(self._start, history=False)

    def _go_live(self) -> None:
        self._end_past()
        self._live = True
        self._until = None if self._for_s is None else self._monotonic() + self._for_s
        self._source.release()
        self._tell("live", self._producer.tally.history)

    def _await_due(self, moment: Moment) -> None:
        due = self._origin + moment.due_s
        while not self._is_over():
            if not self._live and self._orders.started():
                self._go_live()
            left = due - self._monotonic()
            if left <= 0:
                return
            self._producer.poll(min(left, NAP_S))

    def _is_over(self) -> bool:
        return self._orders.stopping() or (self._until is not None and self._monotonic() >= self._until)

    def _send(self, moment: Moment) -> None:
        can_wait = not self._live or self._source.brings_ticks
        for frame in moment.take():
            while can_wait and not self._producer.has_room() and not self._orders.stopping():
                self._producer.poll(NAP_S)
            self._producer.frame(frame, history=not self._live)
        if not self._live or self._source.brings_ticks:
            self._producer.tick(moment.ts, history=not self._live)
            self._ticked = moment.ts
