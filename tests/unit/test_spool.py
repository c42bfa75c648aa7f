"""The spool: first in first out, bounded, counted, and still there after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from connectors.errors import WrongUse
from connectors.ports import Outbound
from connectors.spool import DISK, FULL, TORN, Spool

KIB = 1024


def record(number: int, size: int = 20, *, is_frame: bool = True) -> Outbound:
    return Outbound("t", b"n%d" % number, b"v" * size, is_frame=is_frame)


Open = Callable[..., Spool]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the spool of this test, and closes it in the end."""
    spools: list[Spool] = []

    def open_spool(bytes_max: int = 1 << 20) -> Spool:
        spools.append(Spool(tmp_path, bytes_max))
        return spools[-1]

    yield open_spool
    for spool in spools:
        spool.close()


def drained(spool: Spool, limit: int = 7) -> list[Outbound]:
    found = []
    while records := spool.take(limit):
        found += records
        spool.forget()
    return found


def test_gives_back_what_it_was_given_in_order(tmp_path: Path, opened: Open) -> None:
    spool = opened()
    records = [
        Outbound("a", b"k", b"\x00\xff", 3, is_frame=True),
        Outbound("b", b"", b"", None, is_frame=False),
        *map(record, range(100)),
    ]
    for one in records:
        spool.append(one)
    assert (len(spool), spool.frames) == (102, 101)
    assert drained(spool) == records
    assert (len(spool), spool.frames, spool.size) == (0, 0, 0)
    assert not list(tmp_path.glob("*.spool")), "read segments are removed"


def test_a_second_take_waits_for_the_first(opened: Open) -> None:
    spool = opened()
    for number in range(4):
        spool.append(record(number))
    assert len(spool.take(2)) == 2
    assert spool.take(2) == []
    spool.forget()
    assert [r.key for r in spool.take(2)] == [b"n2", b"n3"]


def test_survives_a_restart_from_where_delivery_had_come_to(opened: Open) -> None:
    first = opened()
    for number in range(50):
        first.append(record(number))
    first.take(20)
    first.forget()
    first.take(5)  # not acknowledged: will come again
    first.close()
    second = opened()
    assert second.frames == 30
    second.append(record(50))
    assert [r.key for r in drained(second)] == [b"n%d" % n for n in range(20, 51)]


def test_drops_the_oldest_at_its_bound_and_counts_each(opened: Open) -> None:
    spool = opened(64 * KIB)
    for number in range(400):
        spool.append(record(number, KIB))
        assert spool.size <= 64 * KIB
    kept = drained(spool)
    assert spool.dropped == {FULL: 400 - len(kept)}
    assert len(kept) > 40
    assert [r.key for r in kept] == [b"n%d" % n for n in range(400 - len(kept), 400)]


def test_what_is_no_frame_is_dropped_without_being_counted_as_one(opened: Open) -> None:
    spool = opened(64 * KIB)
    for number in range(200):
        spool.append(record(number, KIB, is_frame=number % 2 == 0))
    kept = drained(spool)
    assert spool.dropped[FULL] == 100 - sum(r.is_frame for r in kept)


def test_what_is_being_sent_is_not_dropped_under_it(opened: Open) -> None:
    spool = opened(64 * KIB)
    for number in range(60):
        spool.append(record(number, KIB))
    taken = spool.take(3)
    for number in range(60, 200):
        spool.append(record(number, KIB))
    spool.forget()
    rest = drained(spool)
    assert [r.key for r in taken] == [b"n0", b"n1", b"n2"]
    assert spool.dropped[FULL] + len(taken) + len(rest) == 200


def test_a_record_larger_than_the_bound_is_refused(opened: Open) -> None:
    spool = opened(64 * KIB)
    spool.append(record(0))
    spool.append(record(1, 65 * KIB))
    assert [r.key for r in drained(spool)] == [b"n0"]
    assert spool.dropped == {FULL: 1}


def test_prepended_records_come_first_and_survive(opened: Open) -> None:
    spool = opened()
    spool.append(record(2))
    spool.prepend([record(0), record(1)])
    spool.prepend([])
    spool.close()
    again = opened()
    assert [r.key for r in drained(again)] == [b"n0", b"n1", b"n2"]


def test_prepending_keeps_the_newest_that_fit(opened: Open) -> None:
    spool = opened(64 * KIB)
    spool.prepend(record(number, KIB) for number in range(100))
    assert spool.size <= 64 * KIB
    kept = drained(spool)
    assert [r.key for r in kept] == [b"n%d" % n for n in range(100 - len(kept), 100)]
    assert spool.dropped == {FULL: 100 - len(kept)}


@pytest.mark.parametrize("cut", [1, 5, 9, 25])
def test_a_record_cut_short_by_a_kill_is_left_out_and_counted(tmp_path: Path, opened: Open, cut: int) -> None:
    spool = opened()
    for number in range(3):
        spool.append(record(number))
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes()[:-cut])
    again = opened()
    again.append(record(9))
    assert again.dropped == {TORN: 1}
    assert [r.key for r in drained(again)] == [b"n0", b"n1", b"n9"]


def test_a_flipped_bit_is_never_sent_on(tmp_path: Path, opened: Open) -> None:
    spool = opened()
    spool.append(record(0))
    spool.close()
    (segment,) = tmp_path.glob("*.spool")
    data = bytearray(segment.read_bytes())
    data[-1] ^= 1
    segment.write_bytes(data)
    again = opened()
    assert drained(again) == []
    assert again.dropped == {TORN: 1}


def test_a_second_producer_is_refused_until_the_first_lets_go(opened: Open) -> None:
    first = opened()
    with pytest.raises(WrongUse, match="in use"):
        opened()
    first.close()
    opened()


def test_a_place_that_cannot_be_written_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WrongUse, match="file"):
        Spool(tmp_path / "file", 1 << 20)


def test_a_full_disk_is_counted_and_does_not_end_the_producer(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened()
    spool.append(record(0))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool, "_write", full)
    spool.append(record(1))
    monkeypatch.undo()
    spool.append(record(2))
    assert spool.dropped == {DISK: 1}
    assert [r.key for r in drained(spool)] == [b"n0", b"n2"]


def test_drop_all_leaves_nothing(tmp_path: Path, opened: Open) -> None:
    spool = opened()
    for number in range(5):
        spool.append(record(number, is_frame=number > 0))
    spool.take(2)
    assert spool.drop_all() == 4
    assert (len(spool), spool.take(1), list(tmp_path.glob("*.spool"))) == (0, [], [])
