"""Asks the broker, every few seconds, how far the log is: what a worker's readiness, lag and watchdog go by.

The watchdog ends a worker that takes nothing in although records wait for it and the broker answers. A broker that is
away, a worker that is restoring, or one that holds nothing, is *not ready*: no reason to end it, since the next one
would fare no better.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from infra.metrics.health import Lacking
from infra.settings import Metrics
from streams.batch import Partition

#: Between two looks, and how long one may take.
LOOK_S: Final = 2.0
ANSWER_S: Final = 5.0

log = logging.getLogger("forestall.worker")


class Watched(Protocol):
    """What is looked at of a worker's lanes."""

    restoring: bool
    tended_at: float
    polled_at: float

    def positions(self) -> Mapping[Partition, int]:
        """Next input offset of each lane."""


class Ends(Protocol):
    """Asks the broker."""

    def __call__(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """The ends of these partitions; raises where the broker does not answer."""


class Watch:
    """Looks at a worker and its broker; :meth:`look` is called every ``LOOK_S`` by :meth:`run`'s thread.

    Parameters
    ----------
    lanes : what the worker holds.
    ends : asks the broker.
    settings : from when on it is stale, and stalled.
    monotonic : seconds that never go back.
    fail : ends the worker, with the reason.
    """

    def __init__(
        self,
        lanes: Watched,
        ends: Ends,
        settings: Metrics,
        monotonic: Callable[[], float],
        fail: Callable[[str], None],
    ) -> None:
        self._lanes, self._ask, self._settings = lanes, ends, settings
        self._monotonic, self._fail = monotonic, fail
        self._answered_at = self._looked_at = monotonic()
        self._answered = False
        self._ends: Mapping[Partition, int] = {}
        self._taken: dict[Partition, int] = {}
        self._stalled_s: dict[Partition, float] = {}
        self._ending = threading.Event()

    def start(self) -> None:
        """Look from now on."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.wait(LOOK_S):
            try:
                self.look()
            except Exception:
                log.exception("the watch could not look")

    def look(self) -> None:
        """Ask the broker, and end the worker where it has stalled for too long."""
        taken, passed_s = dict(self._lanes.positions()), self._passed_s()
        try:
            ends = self._ask(sorted(taken))
        except Exception as wrong:  # noqa: BLE001 (whatever it is, there was no answer)
            self._answered = False
            self._stalled_s.clear()
            log.debug("the broker does not answer: %s", wrong)
            return
        self._answered, self._answered_at = True, self._monotonic()
        self._note_progress(taken, ends, passed_s)
        self._end_where_stalled()

    def _passed_s(self) -> float:
        """Seconds since the last look; of a time in which this process did not run at all little counts."""
        now = self._monotonic()
        passed_s, self._looked_at = now - self._looked_at, now
        return min(passed_s, LOOK_S + ANSWER_S)

    def _note_progress(self, taken: Mapping[Partition, int], ends: Mapping[Partition, int], passed_s: float) -> None:
        """A partition stalls where it stands as at the last look, and the record that it waits for stood there then."""
        stalled: dict[Partition, float] = {}
        if not self._lanes.restoring:
            for place, offset in taken.items():
                if self._taken.get(place) == offset and self._ends.get(place, 0) > offset:
                    stalled[place] = self._stalled_s.get(place, 0.0) + passed_s
        self._taken, self._stalled_s, self._ends = dict(taken), stalled, ends

    def _end_where_stalled(self) -> None:
        limit = self._settings.stall_s
        worst = max(self._stalled_s.items(), key=lambda pair: pair[1], default=None)
        if limit == 0 or worst is None or worst[1] < limit:
            return
        (topic, number), seconds = worst
        why = f"nothing of {topic}/{number} was taken in for {seconds:.0f} s although records wait"
        log.error("%s; every thread stands at:\n%s", why, stacks(), extra={"topic": topic, "partition": number})
        self._fail(why)

    def ends(self) -> Mapping[Partition, int]:
        """The log's ends as they were last seen."""
        return self._ends

    def turned_s(self) -> float:
        """Seconds since the worker's loop last tended its lanes."""
        return max(0.0, self._monotonic() - self._lanes.tended_at)

    def lacking(self) -> Lacking:
        """Why the worker is not ready."""
        now, stale_s = self._monotonic(), self._settings.stale_s
        lacks: dict[str, str] = {}
        if not self._answered or now - self._answered_at > stale_s:
            lacks["broker"] = f"has not answered for {now - self._answered_at:.0f} s"
        if self._lanes.restoring:
            lacks["state"] = "is being rebuilt"
        elif not self._lanes.positions():
            lacks["partitions"] = "none is assigned"
        if now - self._lanes.polled_at > stale_s:
            lacks["polling"] = f"has not been done for {now - self._lanes.polled_at:.0f} s"
        slow = sorted(f"{topic}/{number}" for (topic, number), seconds in self._stalled_s.items() if seconds > stale_s)
        if slow:
            lacks["progress"] = f"none of {', '.join(slow[:5])} although records wait"
        return lacks


def stacks() -> str:
    """Where each thread of this process stands."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    told = ((names.get(key, str(key)), frame) for key, frame in sys._current_frames().items())
    return "\n".join(f"thread {name}:\n{''.join(traceback.format_stack(frame))}" for name, frame in told)


class KafkaEnds:
    """Asks Kafka by a client of its own, so that the polling thread's is left alone."""

    def __init__(self, brokers: str) -> None:
        from confluent_kafka.admin import AdminClient

        self._client: Any = AdminClient(
            {"bootstrap.servers": brokers, "log_level": 0, "reconnect.backoff.max.ms": 1_000}
        )

    def __call__(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """The ends; of no partitions at all, whether the broker answers."""
        from confluent_kafka import TopicPartition
        from confluent_kafka.admin import OffsetSpec

        if not partitions:
            self._client.list_topics(timeout=ANSWER_S)
            return {}
        asked = {TopicPartition(*place): OffsetSpec.latest() for place in partitions}
        told = self._client.list_offsets(asked, request_timeout=ANSWER_S)
        return {Partition(one.topic, one.partition): int(future.result().offset) for one, future in told.items()}
