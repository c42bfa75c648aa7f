"""The sink at work on a fake InfluxDB: what stands in its way slows it and loses nothing; and what records tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from influx_fake import FakeInflux, fake_influx
from influx_story import story_lines

from connectors.errors import Unreachable
from connectors.influx.outbox import Outbox
from connectors.influx.writer import Address, InfluxWriter, Refused
from infra.sink.refused import _values
from infra.sink.service import Sink
from infra.sink.topics import Places, Turn

PLACE = ("control.event.v1", 0)
WAIT_S = 30.0


class Numbers:
    """A topic of ``count`` records, each a point; gives fifty a turn from ``next`` on."""

    def __init__(self, count: int, after: int = 0, size: int = 10) -> None:
        self.count, self.next, self.size = count, after, size
        self.away: str | None = None

    def turn(self) -> Turn:
        first, self.next = self.next, min(self.count, self.next + 50)
        lines = [f'assessment,node=n v="{"x" * self.size}" {n}' for n in range(first, self.next)]
        if not lines:
            time.sleep(0.005)
        return Turn(lines, {PLACE: self.next}, len(lines), [], self.away)


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

    def _bury(self, refused: Refused) -> None:
        if self.bury_faults:
            self.bury_faults -= 1
            raise Unreachable("no broker answers")
        self.buried.append(refused)

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
