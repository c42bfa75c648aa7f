"""A lane: one input partition on its way through a fold to its output partition, exactly once.

A batch below the next offset is dropped, an overlap is trimmed, and a gap above is fatal. Outputs that the output
partition already holds are recomputed and not written. A snapshot of the state at offset N leaves only after every
output below N is confirmed: what a crash loses is then made again.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer

from connectors.kafka.log import bounds, read_range
from connectors.kafka.publisher import Outgoing, Publisher
from connectors.kafka.snapshots import Snapshot, read_newest, slices
from streams.batch import Batch, Partition
from streams.fold import Fold, Ordered, Place, Stage
from streams.tally import Tally

log = logging.getLogger(__name__)

TAIL_RECORDS: Final = 1000
NOTHING: Final = Place(-1, -1)


class GapError(RuntimeError):
    """Records are missing between what was taken and what came."""


class UnusableSnapshot(RuntimeError):
    """A snapshot that another build wrote."""


@dataclass(slots=True)
class _Unconfirmed:
    """A batch's end and how many of its writes are not confirmed yet."""

    next_offset: int
    writes: int = 0

    def confirm(self) -> None:
        self.writes -= 1


@dataclass(frozen=True, slots=True)
class Restored:
    """What a lane starts from: the fold, the next input offset and what the output already holds.

    ``last`` is the output's record at ``published`` as it stands there, None where there is none or nothing is sealed.
    """

    fold: Fold
    next_offset: int
    published: Place
    last: bytes | None = None


def restore(consumer: Consumer, stage: Stage, number: int, snapshot_topic: str) -> Restored:
    """Rebuild a lane's state from the newest snapshot and the tail of its output."""
    source = Partition(stage.source, number)
    low, _ = bounds(consumer, *source)
    snapshot = read_newest(consumer, snapshot_topic, stage.source, number)
    published, last = published_on(consumer, stage, number)
    if snapshot is None:
        if published != NOTHING and low > 0:
            log.warning("%s/%s has outputs but no snapshot: all is learned anew from offset %s", *source, low)
        return Restored(stage.restore(number, None), low, published, last)
    try:
        fold = stage.restore(number, snapshot.state)
    except ValueError as wrong:
        raise UnusableSnapshot(
            f"the snapshot of {source.topic}/{number} is not of this build: {wrong}. Run the build that wrote it, or "
            f"delete the topic {snapshot_topic} and apply the topics: all is then learned anew from what the log holds"
        ) from wrong
    if snapshot.next_offset < low:
        log.warning("%s/%s: records %s to %s are gone unread", *source, snapshot.next_offset, low - 1)
    return Restored(fold, max(low, snapshot.next_offset), published, last)


def published_on(consumer: Consumer, stage: Stage, number: int) -> tuple[Place, bytes | None]:
    """The highest place that the output holds of ours, and the record there where the stage seals.

    Of a sealed stage only records that it has sealed count: one that somebody else has put there must neither silence
    the lane nor enter its chain. Where the tail has none, what lies before it is read.
    """
    low, high = bounds(consumer, stage.output, number)
    reach = TAIL_RECORDS
    while True:
        start = max(low, high - reach)
        values = [message.value() or b"" for message in read_range(consumer, stage.output, number, start, high)]
        places = [(place, value) for value in values if (place := stage.place_of(value)) is not None]
        if stage.seal is None:
            return max((place for place, _ in places), default=NOTHING), None
        for place, value in sorted(places, key=lambda pair: pair[0], reverse=True):
            if stage.seal.holds(value):
                return place, value
        if start == low:
            return NOTHING, None
        reach *= 10


class Lane:
    """One input partition in work.

    Parameters
    ----------
    snapshot_topic : where snapshots go.
    now : monotonic seconds at which the lane starts; its first snapshot is due an interval later.
    wall : Unix seconds, against which delays are measured; None where source times are not of now.
    """

    def __init__(
        self,
        stage: Stage,
        number: int,
        restored: Restored,
        publisher: Publisher,
        snapshot_topic: str,
        now: float,
        wall: Callable[[], float] | None = None,
    ) -> None:
        self.stage = stage
        self.source = Partition(stage.source, number)
        self.fold = restored.fold
        self.next_offset = restored.next_offset
        self.published = restored.published
        self.tally = Tally()
        self._wall = wall
        self._last = restored.last
        self._publisher = publisher
        self._snapshot_topic = snapshot_topic
        self._unconfirmed: deque[_Unconfirmed] = deque()
        self._waiting: Snapshot | None = None
        self._last_snapshot = (restored.next_offset, now)
        self._which = 0

    def take(self, batch: Batch) -> None:
        """Fold a batch and write what is new of its outputs; raises :class:`GapError`."""
        if batch.next_offset <= self.next_offset:
            return
        if batch.first > self.next_offset:
            raise GapError(
                f"{self.source.topic}/{self.source.number}: offset {self.next_offset} was expected, {batch.first} came"
            )
        if batch.first < self.next_offset:
            batch = batch.from_offset(self.next_offset)
        outputs = self.fold.apply(batch)
        self.next_offset = batch.next_offset
        self.tally.records += len(batch.values)
        self._write([o for o in outputs if isinstance(o, Ordered)], [o for o in outputs if isinstance(o, Outgoing)])

    def _write(self, ordered: list[Ordered], repeatable: list[Outgoing]) -> None:
        news = [o for o in ordered if o.place > self.published]
        fresh = [(o.key, self._sealed(o.value)) for o in news]
        if ordered:
            self.published = max(self.published, ordered[-1].place)
        self.tally.written += len(news)
        self.tally.repeated += len(ordered) - len(news)
        if not fresh and not repeatable:
            return
        pending = _Unconfirmed(self.next_offset, len(repeatable) + bool(fresh))
        self._unconfirmed.append(pending)
        if fresh:
            self._publisher.publish_in_order(self.stage.output, self.source.number, fresh, pending.confirm)
        for outgoing in repeatable:
            self._publisher.publish(outgoing, pending.confirm)
        if self.stage.heard is not None:
            self.stage.heard(news, repeatable)
        if self._wall is not None and self.stage.told_at is not None and len(news) == len(ordered):
            self.tally.delays.note(self.stage.told_at(self.fold), self._wall())

    def _sealed(self, value: bytes) -> bytes:
        if self.stage.seal is None:
            return value
        self._last = self.stage.seal.seal(self._last, value)
        return self._last

    def confirmed(self) -> bool:
        """Whether every output so far is safe on the log."""
        while self._unconfirmed and self._unconfirmed[0].writes == 0:
            self._unconfirmed.popleft()
        return not self._unconfirmed

    def snapshot(self, now: float, every_s: float) -> None:
        """Take a snapshot when one is due, and write it once every output below it is safe."""
        self.confirmed()
        if self._waiting is not None:
            self._release()
            return
        offset, at = self._last_snapshot
        if self.next_offset > offset and now - at >= every_s:
            self._waiting = Snapshot(self.next_offset, self.fold.snapshot())
            self._last_snapshot = (self.next_offset, now)
            self._release()

    def _release(self) -> None:
        snapshot = self._waiting
        if snapshot is None or (self._unconfirmed and self._unconfirmed[0].next_offset <= snapshot.next_offset):
            return
        for key, value in slices(self.source.topic, self.source.number, snapshot, self._which):
            self._publisher.publish(Outgoing(self._snapshot_topic, key, value, self.source.number))
        self._which = 1 - self._which
        self._waiting = None
        self.tally.snapshot_at, self.tally.snapshot_bytes = self._last_snapshot[1], len(snapshot.state)
