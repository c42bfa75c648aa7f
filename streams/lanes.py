"""The lanes of one worker: restored when partitions come, let go when they leave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from connectors.kafka.log import reader
from connectors.kafka.publisher import Publisher
from streams.batch import Batch, Partition
from streams.fold import Stage
from streams.lane import Lane, Restored, restore


class Lanes:
    """All partitions that a worker holds.

    Parameters
    ----------
    snapshot_topic, snapshot_s : where snapshots go, and how often a lane takes one.
    monotonic : seconds that never go back.
    fail : ends the worker, with the reason.
    wall : Unix seconds, for the delays; None where the source times of telemetry are not of now.
    """

    def __init__(
        self,
        stages: Iterable[Stage],
        brokers: str,
        snapshot_topic: str,
        snapshot_s: float,
        monotonic: Callable[[], float],
        fail: Callable[[str], None],
        wall: Callable[[], float] | None = None,
    ) -> None:
        self.stages = {stage.source: stage for stage in stages}
        self.publisher = Publisher(brokers, fail)
        self.fail = fail
        self._brokers, self._snapshot_topic, self._snapshot_s = brokers, snapshot_topic, snapshot_s
        self._monotonic, self._wall = monotonic, wall
        self.restoring = False
        #: When the loop last tended the lanes, and the poller last asked the broker (monotonic s).
        self.tended_at = self.polled_at = monotonic()
        self._lanes: dict[Partition, Lane] = {}
        self._restored: dict[Partition, Restored] = {}

    def restore(self, assigned: frozenset[Partition]) -> Mapping[Partition, int]:
        """Read what the partitions need that are not held already; returns the offset to read each from."""
        new = sorted(assigned - self._lanes.keys())
        self.restoring = True
        if new:
            with reader(self._brokers) as consumer:
                self._restored = {
                    p: restore(consumer, self.stages[p.topic], p.number, self._snapshot_topic) for p in new
                }
        kept = {p: lane.next_offset for p, lane in self._lanes.items() if p in assigned}
        return kept | {p: restored.next_offset for p, restored in self._restored.items()}

    def adopt(self, assigned: frozenset[Partition]) -> None:
        """Go on with the lanes of these partitions and no others."""
        now = self._monotonic()
        lanes = {p: lane for p, lane in self._lanes.items() if p in assigned}
        for place, (p, restored) in enumerate(sorted(self._restored.items())):
            stagger = self._snapshot_s * place / len(self._restored)
            start = now - stagger
            stage = self.stages[p.topic]
            lanes[p] = Lane(stage, p.number, restored, self.publisher, self._snapshot_topic, start, self._wall)
        self._lanes, self._restored = lanes, {}
        self.restoring = False

    def lose(self) -> None:
        """Another worker may have gone on with these partitions: nothing here is true any more."""
        self._lanes = {}

    def positions(self) -> Mapping[Partition, int]:
        """Next input offset of each lane."""
        return {p: lane.next_offset for p, lane in self._lanes.items()}

    def held(self) -> list[Lane]:
        """The lanes in work; may be asked for from another thread."""
        return list(self._lanes.values())

    def polled(self) -> None:
        """The poller has asked the broker for records."""
        self.polled_at = self._monotonic()

    def take(self, batch: Batch) -> None:
        """Fold a batch in its lane; one of a partition that has gone is dropped, its new owner reads it."""
        lane = self._lanes.get(batch.source)
        if lane is not None:
            lane.take(batch)

    def tend(self) -> None:
        """Hand out confirmations and write the snapshots that are due; called several times a second."""
        self.publisher.poll()
        self.tended_at = now = self._monotonic()
        for lane in self._lanes.values():
            lane.snapshot(now, self._snapshot_s)

    def live(self, topic: str) -> list[int]:
        """Partitions of a source topic held here, whose time is now (no past is being loaded)."""
        return [p.number for p, lane in self._lanes.items() if p.topic == topic and not lane.fold.loading]
