"""Snapshots in slices: the newest whole one is found, a torn or foreign one is not taken."""

from __future__ import annotations

import random
import struct

import pytest

from connectors.kafka.snapshots import SLICE_BYTES_MAX, Snapshot, newest, slices

SOURCE = "telemetry.node.v1"
Rows = list[tuple[bytes, bytes]]


def state(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def cut(offset: int, content: bytes = b"state", which: int = 0, partition: int = 0, source: str = SOURCE) -> Rows:
    return slices(source, partition, Snapshot(offset, content), which)


def found(rows: Rows) -> Snapshot | None:
    return newest(SOURCE, 0, rows)


@pytest.mark.parametrize("size", [0, 1, SLICE_BYTES_MAX - 1, SLICE_BYTES_MAX, SLICE_BYTES_MAX + 1, 3 * SLICE_BYTES_MAX])
def test_a_state_of_any_size_comes_back(size: int) -> None:
    rows = cut(77, state(size))
    assert len(rows) == max(1, -(-size // SLICE_BYTES_MAX))
    assert found(rows) == Snapshot(77, state(size))


def test_no_slice_bursts_the_limit() -> None:
    assert max(len(value) for _, value in cut(1, state(2 * SLICE_BYTES_MAX + 5))) <= SLICE_BYTES_MAX + 64


def test_the_two_sets_have_keys_of_their_own() -> None:
    keys = [key for which in (0, 1) for key, _ in cut(1, state(SLICE_BYTES_MAX + 1), which)]
    assert len(set(keys)) == 4


def test_the_newest_of_both_sets_is_taken() -> None:
    rows = cut(10, b"a", 0) + cut(20, b"b", 1) + cut(30, b"c", 0)
    assert found(rows) == Snapshot(30, b"c")
    assert found(rows[:2]) == Snapshot(20, b"b")


def test_of_equal_offsets_the_later_is_taken() -> None:
    assert found(cut(10, b"old", 0) + cut(10, b"new", 1)) == Snapshot(10, b"new")


def test_one_that_was_written_again_late_does_not_hide_a_newer_one() -> None:
    assert found(cut(30, b"c", 0) + cut(20, b"zombie", 1)) == Snapshot(30, b"c")


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_torn_set_is_not_taken(lost: int) -> None:
    torn = cut(20, state(2 * SLICE_BYTES_MAX + 1), 1)
    del torn[lost]
    assert found(torn) is None
    assert found(cut(10, b"whole", 0) + torn) == Snapshot(10, b"whole")


def test_slices_of_two_snapshots_make_no_whole() -> None:
    one, other = cut(10, state(SLICE_BYTES_MAX + 1, 1), 0), cut(20, state(SLICE_BYTES_MAX + 1, 2), 0)
    assert found([one[0], other[1]]) is None


def test_slices_may_come_in_any_order_and_more_than_once() -> None:
    rows = cut(10, state(2 * SLICE_BYTES_MAX + 1))
    assert found([rows[2], rows[0], rows[0], rows[1]]) == Snapshot(10, state(2 * SLICE_BYTES_MAX + 1))


def test_a_changed_byte_is_noticed() -> None:
    [(key, value)] = cut(10, b"state")
    assert found([(key, value[:-1] + b"E")]) is None


@pytest.mark.parametrize(
    "spoil",
    [
        lambda value: b"",
        lambda value: value[:10],
        lambda value: b"NOPE" + value[4:],
        lambda value: value[:4] + struct.pack("<H", 99) + value[6:],
        lambda value: value[:10] + struct.pack("<I", 5) + value[14:],
        lambda value: value[:6] + struct.pack("<I", 0) + value[10:],
    ],
    ids=["nothing", "too short", "other magic", "other format", "index beyond the count", "count of nought"],
)
def test_what_is_no_slice_is_passed_over(spoil: object) -> None:
    assert callable(spoil)
    [(key, value)] = cut(10)
    assert found([(key, spoil(value))]) is None
    assert found([*cut(5, b"good", 1), (key, spoil(value))]) == Snapshot(5, b"good")


def test_others_partitions_and_sources_are_not_mine() -> None:
    others = cut(99, partition=10) + cut(99, partition=1) + cut(99, source="control.event.v1")
    assert found(others) is None
    assert newest(SOURCE, 1, others) == Snapshot(99, b"state")
    assert newest("control.event.v1", 0, others) == Snapshot(99, b"state")


def test_nothing_there_gives_nothing() -> None:
    assert found([]) is None
