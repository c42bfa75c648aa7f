"""The producer: order, the spool while the broker is away, and a tally that adds up whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from memory_link import FakeTime, MemoryLink

from connectors.codecs.frames import FrameDecoder, decode_schema
from connectors.codecs.records import decode_event
from connectors.errors import Failed
from connectors.kafka.links import OVERSIZE, RECORD_BYTES_MAX
from connectors.kafka.telemetry_producer import (
    IN_FLIGHT_MAX,
    PATIENCE_S,
    RETRY_S,
    UNDELIVERED,
    TelemetryProducer,
)
from connectors.kafka.topics import EVENT, SCHEMA, TELEMETRY
from connectors.ports import AGAIN, RowFrame
from connectors.spool import Spool
from models.records import Frame, Tick
from models.telemetry import Row, Schema, TelemetryTick

SCHEMA_2 = Schema(("a", "b"), (False, True))
PARTITIONS = {TELEMETRY: 2, EVENT: 3}


def frame(number: int, node: str = "n1") -> Frame:
    return Frame(node, 1000.0 + number, number, {"a": float(number)})


class Bench:
    """A producer, its link and its time."""

    def __init__(self, folder: Path, *, can_wait: bool = False) -> None:
        self.link, self.time = MemoryLink(), FakeTime()
        self.spool = Spool(folder, 1 << 20)
        self.producer = TelemetryProducer(self.link, self.spool, PARTITIONS, self.time, can_wait=can_wait)

    def step(self, seconds: float = 0.0) -> None:
        self.time.advance(seconds)
        self.producer.poll(0.0)

    def settle(self) -> None:
        for _ in range(6):
            self.step(RETRY_S)

    def numbers(self) -> list[int]:
        decoder = FrameDecoder({})
        rows = [decoder.decode(record.value) for record in self.link.frames]
        return [int(row.values[0]) for row in rows if isinstance(row, Row)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.spool.close()


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(**options: bool) -> Bench:
        made.append(Bench(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.spool.close()


def test_frames_go_straight_out_and_are_counted_when_acknowledged(bench: Bench) -> None:
    bench.link.away = True
    for number in range(3):
        bench.producer.frame(frame(number))
    bench.step()
    assert (bench.producer.tally.waiting, bench.producer.tally.sent) == (3, 0)
    bench.link.away = False
    bench.step()
    tally = bench.producer.tally
    assert (tally.produced, tally.sent, tally.waiting, tally.spooled, tally.dropped) == (3, 3, 0, 0, {})
    assert tally.last_ts == 1002.0
    assert bench.numbers() == [0, 1, 2]
    assert {record.key for record in bench.link.frames} == {b"n1"}


def test_what_comes_while_the_broker_is_away_waits_on_disk_and_follows_in_order(bench: Bench) -> None:
    bench.link.away = True
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    for number in range(1, 6):
        bench.producer.frame(frame(number))
        bench.step(1.0)
    tally = bench.producer.tally
    assert (tally.waiting, tally.spooled) == (1, 5)
    assert tally.adds_up()
    bench.link.away = False
    bench.producer.frame(frame(6))
    bench.settle()
    assert bench.numbers() == list(range(7))
    assert (bench.producer.tally.sent, bench.producer.tally.spooled) == (7, 0)


def test_a_frame_made_while_the_spool_drains_goes_behind_it(bench: Bench) -> None:
    bench.link.away = True
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    bench.producer.frame(frame(1))
    bench.link.away = False
    bench.step()  # frame 0 is acknowledged, frame 1 is on its way from the spool
    bench.producer.frame(frame(2))
    assert (bench.producer.tally.spooled, bench.producer.tally.waiting) == (1, 1), "straight behind it"
    bench.settle()
    assert bench.numbers() == [0, 1, 2]


def test_a_drain_acknowledged_bit_by_bit_is_counted_once(bench: Bench) -> None:
    bench.link.away = True
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    for number in range(1, 6):
        bench.producer.frame(frame(number))
    for expected in ((1, 5), (2, 4), (3, 3), (4, 2), (5, 1), (6, 0)):
        bench.link.deliver(1)
        bench.step()
        assert (bench.producer.tally.sent, bench.producer.tally.spooled) == expected
        assert bench.producer.tally.waiting == 0
    assert len(bench.spool) == 0
    assert bench.numbers() == list(range(6))


def test_a_fast_source_leaves_the_spool_again(bench: Bench) -> None:
    bench.link.away = True
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    bench.producer.frame(frame(1))
    bench.link.away = False
    for number in range(2, 20):
        bench.producer.frame(frame(number))
        bench.step()
    assert len(bench.spool) == 0
    bench.producer.frame(frame(20))
    assert len(bench.spool) == 0
    bench.settle()
    assert bench.numbers() == list(range(21))


def test_too_many_under_way_means_away_even_before_patience_ends(bench: Bench) -> None:
    bench.link.away = True
    for number in range(IN_FLIGHT_MAX + 5):
        bench.producer.frame(frame(number))
    assert not bench.producer.has_room()
    assert (bench.producer.tally.waiting, bench.producer.tally.spooled) == (IN_FLIGHT_MAX, 5)


@pytest.mark.parametrize("history", [True, False])
def test_what_can_wait_is_never_spooled(make_bench: Callable[..., Bench], history: bool) -> None:
    bench = make_bench(can_wait=not history)
    bench.link.away = True
    bench.producer.frame(frame(0), history=history)
    bench.step(PATIENCE_S * 5)
    bench.producer.frame(frame(1), history=history)
    assert bench.producer.tally.spooled == 0
    bench.link.away = False
    bench.settle()
    tally = bench.producer.tally
    assert (tally.history, tally.produced) == ((2, 0) if history else (0, 2))
    assert (tally.sent, tally.sent_history) == (2, 2 if history else 0)


def test_a_refused_record_is_dropped_under_its_reason_and_the_rest_goes_on(bench: Bench) -> None:
    bench.link.refuse = {b"bad": "not-authorised"}
    for number, node in enumerate(("n1", "bad", "n1", "bad")):
        bench.producer.frame(frame(number, node))
    bench.settle()
    assert bench.producer.tally.dropped == {"not-authorised": 2}
    assert bench.numbers() == [0, 2]
    assert bench.producer.tally.adds_up()


def test_what_is_refused_for_now_is_tried_again_before_what_came_later(bench: Bench) -> None:
    bench.link.refuse = {b"n1": AGAIN}
    bench.producer.frame(frame(0))
    bench.producer.frame(frame(1))
    bench.step()
    bench.producer.frame(frame(2))
    assert bench.producer.tally.adds_up()
    bench.step(RETRY_S / 2)
    assert bench.numbers() == [], "not before RETRY_S"
    bench.link.refuse = {}
    bench.settle()
    assert bench.numbers() == [0, 1, 2]
    assert bench.producer.tally.adds_up()


def test_again_while_draining_keeps_the_order_and_the_count(bench: Bench) -> None:
    bench.link.away = True
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    for number in range(1, 4):
        bench.producer.frame(frame(number))
    bench.link.away = False
    bench.link.refuse = {b"n1": AGAIN}
    bench.settle()
    tally = bench.producer.tally
    assert (tally.sent, tally.spooled + tally.waiting) == (0, 4)
    bench.link.refuse = {}
    bench.settle()
    assert bench.numbers() == [0, 1, 2, 3]
    assert bench.producer.tally.sent == 4


@pytest.mark.parametrize(("extra", "dropped"), [(0, 0), (1, 1)])
def test_an_oversize_frame_is_refused_with_a_reason_at_the_very_byte(bench: Bench, extra: int, dropped: int) -> None:
    small = Frame("n1", 1.0, 0, {"m": 1.0})
    bench.producer.frame(small)
    bench.step()
    overhead = len(bench.link.frames[0].value) + len(b"n1") - 1
    name = "m" * (RECORD_BYTES_MAX - overhead + extra)
    bench.producer.frame(Frame("n1", 1.0, 0, {name: 1.0}))
    bench.step()
    assert bench.producer.tally.dropped.get(OVERSIZE, 0) == dropped
    assert bench.producer.tally.sent == 2 - dropped
    assert bench.producer.tally.adds_up()


def test_ticks_go_to_every_partition_behind_the_frames_before_them(bench: Bench) -> None:
    bench.producer.frame(frame(0), history=True)
    bench.producer.tick(1000.0, history=True)
    bench.producer.frame(frame(1), history=True)
    bench.producer.tick(1001.0, history=False)
    bench.step()
    assert [record.is_frame for record in bench.link.log if record.topic == TELEMETRY] == [
        *(True, False, False),
        *(True, False, False),
    ]
    decoder = FrameDecoder({})
    ticks = [r for r in bench.link.log if not r.is_frame]
    assert [(r.topic, r.partition) for r in ticks[:5]] == [
        *((TELEMETRY, p) for p in range(2)),
        *((EVENT, p) for p in range(3)),
    ]
    assert {r.key for r in ticks} == {b"tick"}
    assert decoder.decode(ticks[0].value) == TelemetryTick(1000.0, True)
    assert decoder.decode(ticks[5].value) == TelemetryTick(1001.0, False)
    assert decode_event(ticks[2].value) == Tick(at=1000.0, history=True)
    assert bench.producer.tally.sent == 2, "a tick is no frame"


def test_live_ticks_wait_in_the_spool_in_their_place(bench: Bench) -> None:
    bench.link.away = True
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    bench.producer.frame(frame(1))
    bench.producer.tick(1001.0, history=False)
    bench.producer.frame(frame(2))
    assert bench.producer.tally.spooled == 2
    bench.link.away = False
    bench.settle()
    telemetry = [record.is_frame for record in bench.link.log if record.topic == TELEMETRY]
    assert telemetry == [True, True, False, False, True]


def test_a_schema_is_acknowledged_before_its_first_frame(bench: Bench) -> None:
    bench.producer.publish(SCHEMA_2)
    bench.producer.frame(RowFrame("n1", 5.0, 7, SCHEMA_2, np.array([1.5, np.nan], np.float32)))
    bench.step()
    schema, packed = bench.link.log
    assert (schema.topic, decode_schema(schema.value)) == (SCHEMA, Schema(("a", "b"), (False, True), ("", "")))
    row = FrameDecoder({schema.key.decode(): SCHEMA_2}).decode(packed.value)
    assert isinstance(row, Row)
    assert (row.node, row.ts, row.values[0], np.isnan(row.values[1])) == ("n1", 5.0, 1.5, True)


def test_an_unacknowledged_schema_fails_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.link.away = True
    settled = bench.link.settled

    def later(wait_s: float) -> list[tuple[int, str]]:
        bench.time.advance(wait_s)
        return settled(wait_s)

    monkeypatch.setattr(bench.link, "settled", later)
    with pytest.raises(Failed, match=SCHEMA):
        bench.producer.publish(SCHEMA_2)


def flush_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time go by while the link is asked."""
    settled = bench.link.settled

    def later(wait_s: float) -> list[tuple[int, str]]:
        bench.time.advance(max(wait_s, 0.01))
        return settled(wait_s)

    monkeypatch.setattr(bench.link, "settled", later)


@pytest.mark.parametrize("keep", [True, False])
def test_closing_while_the_broker_is_away_keeps_or_drops_and_counts_all(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch, keep: bool
) -> None:
    bench.link.away = True
    flush_time(bench, monkeypatch)
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    for number in range(1, 5):
        bench.producer.frame(frame(number))
    tally = bench.producer.close(bench.time() + 1.0, keep=keep)
    assert tally.adds_up()
    assert (tally.sent, tally.waiting) == (0, 0)
    assert (tally.spooled, tally.dropped) == ((5, {}) if keep else (0, {UNDELIVERED: 5}))
    if keep:
        again = Bench(tmp_path)
        again.producer.frame(frame(5))
        again.settle()
        assert again.numbers() == [0, 1, 2, 3, 4, 5], "the next run sends them first, in order"
        assert (again.producer.tally.restored, again.producer.tally.sent) == (5, 6)
        assert again.producer.tally.adds_up()
        again.spool.close()


def test_closing_with_a_past_half_sent_drops_it_even_where_live_is_kept(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.link.away = True
    flush_time(bench, monkeypatch)
    bench.producer.frame(frame(0), history=True)
    bench.producer.frame(frame(1))
    tally = bench.producer.close(bench.time() + 1.0, keep=True)
    assert (tally.dropped, tally.spooled) == ({UNDELIVERED: 1}, 1)
    assert tally.adds_up()


def test_closing_in_the_middle_of_a_drain_keeps_only_what_is_unacknowledged(
    tmp_path: Path, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.link.away = True
    bench.producer.frame(frame(0))
    bench.step(PATIENCE_S + 0.1)
    for number in range(1, 6):
        bench.producer.frame(frame(number))
    bench.link.deliver(1)
    bench.step()  # 0 is acknowledged; 1…5 are handed over from the spool
    bench.link.deliver(2)
    bench.step()
    assert bench.producer.tally.spooled == 3
    assert bench.producer.tally.adds_up()
    flush_time(bench, monkeypatch)
    tally = bench.producer.close(bench.time() + 1.0, keep=True)
    assert (tally.sent, tally.spooled) == (3, 3)
    again = Bench(tmp_path)
    again.settle()
    assert again.numbers() == [3, 4, 5]
    again.spool.close()


def test_close_waits_for_what_is_under_way(bench: Bench) -> None:
    bench.producer.frame(frame(0))
    tally = bench.producer.close(bench.time() + 1.0, keep=False)
    assert (tally.sent, tally.dropped) == (1, {})
    assert bench.link.closed


def test_the_link_is_changed_only_when_nothing_is_under_way(bench: Bench) -> None:
    bench.producer.frame(frame(0), history=True)
    with pytest.raises(Failed):
        bench.producer.change_link(MemoryLink())
    assert bench.producer.flush(bench.time() + 1.0)
    second = MemoryLink()
    bench.producer.change_link(second)
    bench.producer.frame(frame(1))
    bench.step()
    assert (len(bench.link.frames), len(second.frames)) == (1, 1)
    assert bench.link.closed
