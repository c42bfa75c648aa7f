"""The sink at work on a fake InfluxDB: what stands in its way slows it and loses nothing; and what records tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from influx_fake import FakeInflux, fake_influx
from influx_story import story_lines

from connectors.codecs.records import encode_assessment, encode_record
from connectors.errors import Unreachable
from connectors.influx.outbox import Outbox
from connectors.influx.writer import Address, InfluxWriter, Refused
from connectors.kafka import put as putting
from connectors.kafka.topics import ASSESSMENT, EVENT
from infra.observer.record import LogRecord
from infra.sink import topics as reading
from infra.sink.kept_nodes import Node, read_nodes, write_nodes
from infra.sink.refused import _values, burying, by_reason
from infra.sink.service import Sink
from infra.sink.telling import Telling
from infra.sink.topics import Places, Topics, Turn, places
from infra.up.place import environment
from models.policy_settings import PolicySettings
from models.records import Assessment, Cause, Counts, Membership, Verdict

PLACE = ("control.event.v1", 0)
WAIT_S = 30.0


class Numbers:
    """A topic of ``count`` records, each a point; gives fifty a turn from ``next`` on."""

    def __init__(self, count: int, after: int = 0, size: int = 10) -> None:
        self.count, self.next, self.size = count, after, size
        self.away: str | None = None
        self.gone: tuple[tuple[tuple[str, int], int], ...] = ()
        self.kept_at: list[int] = []

    def turn(self) -> Turn:
        first, self.next = self.next, min(self.count, self.next + 50)
        lines = [f'assessment,node=n v="{"x" * self.size}" {n}' for n in range(first, self.next)]
        if not lines:
            time.sleep(0.005)
        gone, self.gone = self.gone, ()
        return Turn(lines, {PLACE: self.next}, len(lines), [], self.away, gone)

    def kept(self) -> None:
        self.kept_at.append(self.next)


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.005)


class Working:
    """A sink in a thread, with what it said and buried."""

    def __init__(self, folder: Path, url: str, source: Numbers, bytes_max: int = 1 << 20) -> None:
        self.outbox = Outbox(folder, bytes_max)
        self.source, self.said, self.buried = source, list[str](), list[Refused]()
        self.bury_faults = 0
        begin = dict(self.outbox.begin) or {PLACE: 0}
        after = dict(self.outbox.next) or {PLACE: 0}
        source.next = after[PLACE]
        self.writer = InfluxWriter(Address(url, "o", "b"), lambda: "t", time.time)
        found = Places(begin, after, after)
        self.sink = Sink(self.outbox, found, self.writer.post, self._bury, time.monotonic, self.said.append)
        self.thread = threading.Thread(target=self.sink.run, args=(source,), daemon=True)
        self.thread.start()

    def _bury(self, refused: Sequence[Refused]) -> None:
        if self.bury_faults:
            self.bury_faults -= 1
            raise Unreachable("no broker answers")
        self.buried += refused

    def end(self) -> None:
        self.sink.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()
        self.outbox.close()
        self.writer.close()


@contextmanager
def working(folder: Path, url: str, source: Numbers, bytes_max: int = 1 << 20) -> Iterator[Working]:
    one = Working(folder, url, source, bytes_max)
    try:
        yield one
    finally:
        one.end()


@pytest.fixture
def influx_of_ours() -> Iterator[tuple[FakeInflux, str]]:
    with fake_influx() as served:
        yield served


Ours = tuple[FakeInflux, str]


def test_all_is_written_once(influx_of_ours: Ours, tmp_path: Path) -> None:
    fake, url = influx_of_ours
    with working(tmp_path, url, Numbers(1_000)) as one:
        wait_for(lambda: one.sink.tally().written == 1_000)
        assert one.sink.tally().waiting == 0
        assert one.sink.tally().trouble is None
    assert len(fake.points) == 1_000


def test_topics_that_cannot_be_read_are_said_and_keep_it_from_being_ready(influx_of_ours: Ours, tmp_path: Path) -> None:
    source = Numbers(50)
    with working(tmp_path, influx_of_ours[1], source) as one:
        source.away = "no broker answers: 1/1 brokers are down"
        wait_for(lambda: one.sink.lacking() == {"topics": source.away})
        source.away = None
        wait_for(lambda: not one.sink.lacking())
    assert one.said == ["no broker answers: 1/1 brokers are down", "topics: well again"]


def test_a_refused_point_is_buried_and_the_rest_is_written(influx_of_ours: Ours, tmp_path: Path) -> None:
    fake, url = influx_of_ours
    fake.bad = lambda line: line.endswith(" 123")
    with working(tmp_path, url, Numbers(300)) as one:
        one.bury_faults = 1
        wait_for(lambda: one.sink.tally().written == 299)
        assert [refused.lines[0].rsplit(" ", 1)[1] for refused in one.buried] == ["123"]
        assert one.sink.tally().refused == 1
    assert len(fake.points) == 299


def test_what_is_wrong_is_said_kept_and_over(influx_of_ours: Ours, tmp_path: Path) -> None:
    fake, url = influx_of_ours
    fake.answers = [(503, {"Retry-After": "0"}, b"")] * 3
    with working(tmp_path, url, Numbers(50)) as one:
        wait_for(lambda: len(fake.points) == 50 and one.sink.tally().trouble is None)
        assert sum("InfluxDB takes nothing" in line for line in one.said) == 1
        assert "influx: well again" in one.said


def test_a_full_outbox_stops_the_reading_and_nothing_is_lost(influx_of_ours: Ours, tmp_path: Path) -> None:
    fake, url = influx_of_ours
    fake.answers = [(503, {"Retry-After": "0"}, b"")] * 1_000_000
    source = Numbers(2_000, size=200)
    with working(tmp_path, url, source, 1 << 16) as one:
        wait_for(lambda: one.sink.tally().full)
        wait_for(lambda: "outbox" in one.sink.lacking())
        stood_at = source.next
        assert stood_at < 2_000
        fake.answers = []
        wait_for(lambda: len(fake.points) == 2_000)
    assert len(fake.points) == 2_000


def test_one_that_is_stopped_goes_on_where_it_was(influx_of_ours: Ours, tmp_path: Path) -> None:
    fake, url = influx_of_ours
    fake.answers = [(503, {"Retry-After": "0"}, b"")] * 1_000_000
    with working(tmp_path, url, Numbers(200)) as one:
        wait_for(lambda: one.sink.tally().waiting == 200)
    fake.answers = []
    with working(tmp_path, url, Numbers(400)) as two:
        assert two.source.next >= 200
        wait_for(lambda: len(fake.points) == 400)
        assert two.sink.tally().written == 400


def test_refused_points_fill_as_many_records_as_they_need() -> None:
    lines = tuple(str(n) + "x" * 200_000 for n in range(5))
    values = _values(lines)
    assert b"".join(values).decode().splitlines() == list(lines)
    assert [value.count(b"\n") for value in values] == [2, 2, 1]


def test_the_story_of_a_rescue_makes_points_of_every_measurement() -> None:
    began = 1_763_942_400.0
    told = story_lines(began)
    assert told == story_lines(began)
    names = {line.split(",")[0] for line in told}
    assert names == {
        "assessment", "incident", "command", "outcome", "ledger", "fleet", "pipeline", "shadow_policy",
    }  # fmt: skip
    series_and_time = [(line.split(" ")[0], line.rsplit(" ", 1)[1]) for line in told]
    assert len(set(series_and_time)) == len(told)


def test_records_that_went_before_they_were_read_are_said_and_counted(influx_of_ours: Ours, tmp_path: Path) -> None:
    source = Numbers(50)
    with working(tmp_path, influx_of_ours[1], source) as one:
        source.gone = ((PLACE, 7),)
        wait_for(lambda: one.sink.tally().lost == 7)
    assert one.said == ["control.event.v1/0: 7 records are gone from the log, they were kept too short"]


def test_a_full_disk_does_not_look_like_a_loop_that_hangs(
    influx_of_ours: Ours, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Numbers(0)
    with working(tmp_path, influx_of_ours[1], source) as one:
        with monkeypatch.context() as patched:
            patched.setattr(one.outbox, "append", refuse)
            source.count = 50
            wait_for(lambda: "disk" in one.sink.lacking())
            turned_at = one.sink.turned_at
            wait_for(lambda: one.sink.turned_at > turned_at)
        wait_for(lambda: one.sink.tally().written == 50)
        wait_for(lambda: bool(source.kept_at))


def refuse(_: object) -> None:
    raise OSError("no space left on device")


def test_points_of_one_reason_are_buried_together() -> None:
    found = [Refused(("a",), "too old"), Refused(("b",), "type"), Refused(("c",), "too old")]
    assert by_reason(found) == [Refused(("a", "c"), "too old"), Refused(("b",), "type")]


def test_influxd_of_a_run_is_not_set_up_by_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFLUXD_HTTP_BIND_ADDRESS", ":1")
    assert "INFLUXD_HTTP_BIND_ADDRESS" not in environment()


def assessed(offset: int, node: str, verdict: Verdict, chance: float | None = None) -> LogRecord:
    told = Assessment(node=node, ts=1e9 + offset, verdict=verdict, cause=Cause(0, offset), probability=chance)
    return LogRecord(ASSESSMENT, 0, offset, node.encode(), encode_assessment(told), 1e9 + offset)


def counted(offset: int) -> LogRecord:
    told = Counts(ts=1e9 + offset, cause=Cause(0, offset), assessed=offset + 1)
    return LogRecord(ASSESSMENT, 0, offset, b"counts", encode_assessment(told), 1e9 + offset)


def test_a_node_that_fell_silent_long_ago_is_unknown_after_a_restart(tmp_path: Path) -> None:
    before = Telling(PolicySettings())
    for record in (assessed(0, "silent", "unknown"), assessed(1, "well", "healthy", 0.1)):
        before.take(record)
    write_nodes(tmp_path, {0: (2, before.nodes[0])})
    kept = read_nodes(tmp_path)
    assert kept == {0: (2, {"silent": Node("unknown", None, False), "well": Node("healthy", 0.1, False)})}
    again = Telling(PolicySettings(), nodes={partition: nodes for partition, (_, nodes) in kept.items()})
    assert again.take(counted(2)) == before.take(counted(2))


def test_a_member_that_was_never_assessed_counts_once_and_as_unknown() -> None:
    telling = Telling(PolicySettings())
    member = Membership(id="m", job="j", node="late", at=1.0, state="running", rank=0)
    telling.take(LogRecord(EVENT, 0, 0, b"j", encode_record(member), 1e9))
    telling.take(assessed(0, "well", "healthy", 0.0))
    fleet = telling.take(counted(1))[1]
    assert "nodes=2i" in fleet
    assert "unknown=1i" in fleet
    assert "health=50" in fleet
    telling.take(assessed(2, "late", "healthy", 0.0))
    assert "unknown=0i" in telling.take(counted(3))[1]


class Consumed:
    """What the topics give, in place of a consumer."""

    def __init__(self, offsets: list[int]) -> None:
        self.offsets = offsets

    def assign(self, _: object) -> None:
        pass

    def consume(self, *_: object) -> list[Got]:
        return [Got(offset) for offset in self.offsets]


class Got:
    def __init__(self, offset: int) -> None:
        self._record = assessed(offset, "n", "healthy", 0.0)

    def error(self) -> None:
        pass

    def topic(self) -> str:
        return ASSESSMENT

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._record.offset

    def key(self) -> bytes | None:
        return self._record.key

    def value(self) -> bytes:
        return self._record.value

    def timestamp(self) -> tuple[int, int]:
        return 1, 1


def test_a_jump_over_records_that_retention_took_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = (ASSESSMENT, 0)
    monkeypatch.setattr(reading, "follower", lambda *_, **__: Consumed([3, 4, 9]))
    found = Places({place: 0}, {place: 4}, {place: 3})
    source = Topics("nowhere", found, Telling(PolicySettings()), tmp_path, time.monotonic)
    turn = source.turn()
    assert turn.gone == ((place, 4),)
    assert turn.next == {place: 10}
    source.kept()
    assert read_nodes(tmp_path)[0][0] == 10


def test_reading_goes_on_from_where_the_nodes_were_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def no_broker(_: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(reading, "reader", no_broker)
    monkeypatch.setattr(reading, "partition_count", lambda _, topic: 3 if topic == ASSESSMENT else 1)
    monkeypatch.setattr(reading, "bounds", lambda *_: (10, 90_000))
    after = {(ASSESSMENT, 0): 80_000, (ASSESSMENT, 1): 95_000, (ASSESSMENT, 2): 4, (EVENT, 0): 80_000}
    nodes = {"silent": Node("unknown", None, False)}
    said: list[str] = []
    found = places("", dict(after), after, {0: (100, nodes), 1: (50, nodes), 2: (4, nodes)}, "earliest", said.append)
    assert found.read_from[ASSESSMENT, 0] == 100
    assert found.read_from[ASSESSMENT, 1] == found.next[ASSESSMENT, 1] == 10
    assert found.nodes == {0: nodes, 2: nodes}
    assert (found.next[ASSESSMENT, 2], found.lost) == (10, 6)
    assert len(said) == 2


def test_one_producer_puts_all_that_is_buried(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[FakeProducer] = []
    monkeypatch.setattr(putting, "Producer", lambda _: made.append(FakeProducer()) or made[-1])
    burying("", "b")([Refused(("a",), "type"), Refused(("b",), "too old")])
    [one] = made
    assert [(value, dict(headers)["reason"]) for value, headers in one.put] == [
        (b"a\n", b"type"),
        (b"b\n", b"too old"),
    ]


class FakeProducer:
    """Takes records and acknowledges each at once."""

    def __init__(self) -> None:
        self.put: list[tuple[bytes, list[tuple[str, bytes]]]] = []

    def produce(self, _: str, value: bytes, headers: list[tuple[str, bytes]], on_delivery: Any, **_more: Any) -> None:
        self.put.append((value, headers))
        on_delivery(None, Got(0))

    def flush(self, _: float) -> int:
        return 0
