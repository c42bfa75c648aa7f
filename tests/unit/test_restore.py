"""Restoring a lane: from the newest snapshot and the tail of its output, and what is said when something is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from connectors.kafka.snapshots import Snapshot, slices
from streams.fold import Fold, Place, Stage
from streams.lane import NOTHING, Restored, UnusableSnapshot, restore


@dataclass
class Record:
    """As much of a message as a lane's restoring reads."""

    at: int
    content: bytes | None
    name: bytes = b"k"

    def error(self) -> None:
        return None

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.content

    def key(self) -> bytes:
        return self.name


@dataclass
class MemoryLog:
    """A consumer over topics in memory: by (topic, partition) the first offset and the rows from there on."""

    rows: dict[tuple[str, int], tuple[int, list[tuple[bytes, bytes | None]]]] = field(default_factory=dict)
    _reading: Iterator[Record] = field(default_factory=lambda: iter(()))

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int]:
        low, rows = self.rows.get((place.topic, place.partition), (0, []))
        return low, low + len(rows)

    def assign(self, places: list[TopicPartition]) -> None:
        [place] = places
        low, rows = self.rows[place.topic, place.partition]
        records = [Record(at, value, key) for at, (key, value) in enumerate(rows, low)]
        self._reading = iter([record for record in records if record.at >= place.offset])

    def poll(self, timeout: float) -> Record | None:
        return next(self._reading, None)


@dataclass
class Kept:
    """A fold that is the bytes it was restored from."""

    state: bytes | None


def keep(number: int, state: bytes | None) -> Fold:
    if state == b"foreign":
        raise ValueError("it has format 9")
    return Kept(state)  # type: ignore[return-value]


def place_of(value: bytes) -> Place | None:
    return Place(*map(int, value.split(b","))) if b"," in value else None


STAGE = Stage("in", "out", keep, place_of)


def restored(log: MemoryLog) -> tuple[bytes | None, int, Place]:
    found: Restored = restore(log, STAGE, 1, "snapshots")  # type: ignore[arg-type]
    fold: Any = found.fold
    return fold.state, found.next_offset, found.published


def snapshot(state: bytes, offset: int) -> tuple[int, list[tuple[bytes, bytes | None]]]:
    return 0, [(key, value) for key, value in slices("in", 1, Snapshot(offset, state), 0)]


def outputs(*values: bytes | None) -> tuple[int, list[tuple[bytes, bytes | None]]]:
    return 0, [(b"k", value) for value in values]


def test_with_nothing_there_a_lane_begins_at_the_first_offset() -> None:
    assert restored(MemoryLog({("in", 1): (7, [])})) == (None, 7, NOTHING)


def test_it_goes_on_from_the_newest_snapshot() -> None:
    log = MemoryLog({("in", 1): (0, [(b"k", b"v")] * 90), ("snapshots", 1): snapshot(b"state", 42)})
    assert restored(log) == (b"state", 42, NOTHING)


def test_what_is_published_is_the_highest_place_in_the_tail() -> None:
    """A zombie's late writes may be last; tombstones and foreign records have no place."""
    log = MemoryLog({("out", 1): outputs(b"3,0", b"5,1", b"5,2", b"4,0", b"nonsense", None)})
    assert restored(log)[2] == Place(5, 2)


def test_a_snapshot_of_another_build_is_refused_with_the_cure() -> None:
    log = MemoryLog({("snapshots", 1): snapshot(b"foreign", 42)})
    with pytest.raises(
        UnusableSnapshot, match=r"in/1 is not of this build: it has format 9.*delete the topic snapshots"
    ):
        restored(log)


def test_records_that_retention_took_unread_are_told(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog({("in", 1): (50, [(b"k", b"v")]), ("snapshots", 1): snapshot(b"state", 42)})
    with caplog.at_level(logging.WARNING):
        assert restored(log) == (b"state", 50, NOTHING)
    assert "in/1: records 42 to 49 are gone unread" in caplog.text


def test_a_state_that_is_lost_is_told(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog({("in", 1): (50, [(b"k", b"v")]), ("out", 1): outputs(b"70,0")})
    with caplog.at_level(logging.WARNING):
        assert restored(log) == (None, 50, Place(70, 0))
    assert "in/1 has outputs but no snapshot: all is learned anew from offset 50" in caplog.text


def test_a_first_start_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        restored(MemoryLog({("in", 1): (0, [(b"k", b"v")])}))
    assert caplog.text == ""
