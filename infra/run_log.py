"""The log of a run: on your own Kafka, of an embedded run that is under way, or of one that has ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import Consumer, Message

from connectors.errors import WrongUse
from connectors.kafka.log import bounds, partition_count, read_range, reader
from infra.broker import runs
from infra.broker.locate import locate_broker
from infra.settings import Settings

#: So many records are held at a time.
RECORDS_A_TURN = 50_000


@dataclass(frozen=True, slots=True)
class RunLog:
    """A log that can be read; ``run`` is None where the brokers are your own."""

    run: str | None
    bootstrap: str
    consumer: Consumer

    def partitions(self, topic: str) -> range:
        """The partitions of a topic."""
        return range(partition_count(self.consumer, topic))

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """First offset and the next one to be written."""
        return bounds(self.consumer, topic, partition)

    def records(
        self, topic: str, partition: int, start: int | None = None, end: int | None = None
    ) -> Iterator[Message]:
        """The records at offsets ``start ≤ offset < end`` that are there, by default all."""
        low, high = self.bounds(topic, partition)
        start, end = low if start is None else max(start, low), high if end is None else min(end, high)
        for first in range(start, end, RECORDS_A_TURN):
            yield from read_range(self.consumer, topic, partition, first, min(first + RECORDS_A_TURN, end))


def require_run(settings: Settings, run: str | None) -> str | None:
    """The run of the embedded broker whose log is meant, by default the last; None where the brokers are your own."""
    if settings.broker.brokers:
        return None
    names = runs.known_runs(runs.runs_directory(settings))
    if run is not None and run not in names:
        raise WrongUse(f"there is no run {run!r}; there are: {', '.join(names) or 'none'}")
    if not names:
        raise WrongUse(
            "there is no run of the embedded broker yet: `forestall up` makes one; or name your own with --brokers"
        )
    serving = runs.all_serving(runs.runs_directory(settings))
    return run or (serving[0].run if serving else names[0])


@contextmanager
def run_log(settings: Settings, run: str | None = None) -> Iterator[RunLog]:
    """Open the log of a run; the embedded broker of one that has ended is started for as long as the block lasts.

    Raises
    ------
    WrongUse
        There is no such run, or none at all.
    Unreachable
        The brokers in the settings do not answer.
    """
    run = require_run(settings, run)
    with locate_broker(settings, run=run, say=_quiet) as broker, reader(broker.bootstrap) as consumer:
        yield RunLog(run, broker.bootstrap, consumer)


def _quiet(_: str) -> None:
    """Nobody needs to know on which port a broker answers that serves one command."""
