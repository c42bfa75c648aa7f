"""Reads the topics in one thread and folds them into a :class:`View`: no consumer group, from a known beginning."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from connectors.errors import Unreachable, WrongUse
from connectors.kafka.log import follower
from connectors.kafka.topics import ASSESSMENT, TELEMETRY
from infra.observer.record import LogRecord
from infra.observer.view import COUNTS_KEY, READS, Told, View
from models.backtest.shadow import ShadowPolicies
from models.records import Counts

ANSWER_S = 10.0
POLL_S = 0.2
BATCH = 1_000
#: Counts come with each tick, so a second's assessments of a large partition lie between two of them.
TAIL = 20_000
_T = TypeVar("_T")
Heard = Callable[[Told, LogRecord], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogState:
    """How well the log can be read: ``silent_s`` since the last record, ``away`` when no broker answers.

    ``fault`` is what ended the reading, which does not begin again in this process; None while it goes on.
    """

    away: bool
    silent_s: float | None
    fault: str | None = None


class Observer:
    """Owns a :class:`View` and the thread that feeds it.

    Parameters
    ----------
    brokers : str
        ``host:port[,…]``.
    begin : mapping of (topic, partition) to offset
        Where this run begins; what is not named is read from the beginning of the log.
    heard : callable
        Called in the reader's thread with each record that says something new.
    shadows : ShadowPolicies
        Policies that fold the decision log too, and command nothing.
    """

    def __init__(
        self,
        brokers: str,
        begin: Mapping[tuple[str, int], int] | None = None,
        heard: Heard | None = None,
        shadows: ShadowPolicies | None = None,
    ) -> None:
        self._brokers = brokers
        self._begin = dict(begin or {})
        self._heard = heard
        self._view = View(shadows)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._away = False
        self._fault: str | None = None
        self._last_read: float | None = None
        self._consumer: Consumer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Find the partitions and begin to read; raises :class:`Unreachable` or :class:`WrongUse`."""
        self._consumer = follower(self._brokers, "forestall-observer", self._on_error)
        try:
            self._consumer.assign(self._assignment(self._consumer))
        except BaseException:
            self._consumer.close()
            raise
        self._thread = threading.Thread(target=self._read, name="observer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread and leave the broker."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=ANSWER_S)

    def look(self, at: Callable[[View], _T]) -> _T:
        """What ``at`` makes of the view, while nothing changes it."""
        with self._lock:
            return at(self._view)

    def state(self) -> LogState:
        """Whether a broker answers, how long ago something was read, and whether reading goes on."""
        last = self._last_read
        return LogState(self._away, None if last is None else time.monotonic() - last, self._fault)

    def telemetry_ends(self) -> dict[int, int]:
        """The offset after the last record of each telemetry partition; raises :class:`Unreachable`."""
        return log_ends(self._brokers, (TELEMETRY,))[TELEMETRY]

    def _assignment(self, consumer: Consumer) -> list[TopicPartition]:
        found = _partitions(consumer, self._brokers, READS)
        return [
            TopicPartition(topic, partition, self._begin.get((topic, partition), OFFSET_BEGINNING))
            for topic, partitions in found.items()
            for partition in partitions
        ]

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._away = True

    def _read(self) -> None:
        assert self._consumer is not None  # noqa: S101 - set by start, which made this thread
        try:
            while not self._stopping.is_set():
                messages = self._consumer.consume(BATCH, POLL_S)
                if messages:
                    self._take(messages)
        except Exception as wrong:  # what was not foreseen must be told, or all that was read looks merely old
            self._fault = f"{type(wrong).__name__}: {wrong}"
            log.exception("reading the topics has ended on a fault; what was read until then stands still")
        finally:
            self._consumer.close()

    def _take(self, messages: Sequence[Message]) -> None:
        records = [LogRecord.of(message) for message in messages if message.error() is None]
        if not records:
            return
        self._away, self._last_read = False, time.monotonic()
        told: list[tuple[Told, LogRecord]] = []
        with self._lock:
            for record in records:
                said = self._view.fold(record)
                if said is not None:
                    told.append((said, record))
        if self._heard is not None:
            for said, record in told:
                self._heard(said, record)


def _partitions(consumer: Consumer, brokers: str, topics: Sequence[str]) -> dict[str, list[int]]:
    try:
        known = consumer.list_topics(timeout=ANSWER_S).topics
    except KafkaException as wrong:
        raise Unreachable(f"no Kafka broker answers at {brokers}: {wrong.args[0].str()}") from wrong
    missing = [topic for topic in topics if topic not in known]
    if missing:
        raise WrongUse(f"the broker at {brokers} has no topic {', '.join(missing)}: run `forestall topics apply` first")
    return {topic: sorted(known[topic].partitions) for topic in topics}


def last_counts(brokers: str, ends: Mapping[tuple[str, int], int]) -> dict[int, Counts]:
    """The newest counts of each assessment partition that stand in its last ``TAIL`` records before ``ends``.

    Raises :class:`Unreachable` when nothing has come for ``ANSWER_S``.
    """
    wanted = {partition: end for (topic, partition), end in ends.items() if topic == ASSESSMENT and end > 0}
    view = View()
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "forestall-observer", "log_level": 0})
    try:
        consumer.assign([TopicPartition(ASSESSMENT, p, max(0, end - TAIL)) for p, end in wanted.items()])
        heard = time.monotonic()
        while any(_position(consumer, partition) < end for partition, end in wanted.items()):
            messages = consumer.consume(BATCH, POLL_S)
            if any(message.error() is None for message in messages):
                heard = time.monotonic()
            if time.monotonic() - heard > ANSWER_S:
                raise Unreachable(f"{ASSESSMENT} cannot be read to its end at {brokers}")
            for message in messages:
                if message.error() is None and message.key() == COUNTS_KEY:
                    view.fold(LogRecord.of(message))
    finally:
        consumer.close()
    return view.counts


def _position(consumer: Consumer, partition: int) -> int:
    return int(consumer.position([TopicPartition(ASSESSMENT, partition)])[0].offset)


def log_ends(brokers: str, topics: Sequence[str]) -> dict[str, dict[int, int]]:
    """For each topic the offset after the last record of each partition; raises :class:`Unreachable`."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "forestall-observer", "log_level": 0})
    try:
        found = _partitions(consumer, brokers, topics)
        return {
            topic: {
                partition: consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), timeout=ANSWER_S, cached=False
                )[1]
                for partition in partitions
            }
            for topic, partitions in found.items()
        }
    except KafkaException as wrong:
        raise Unreachable(f"no Kafka broker answers at {brokers}: {wrong.args[0].str()}") from wrong
    finally:
        consumer.close()
