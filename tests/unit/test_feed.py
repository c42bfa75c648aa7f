"""The feed: past, wait, present; and that ticks say of each frame which it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from memory_link import FakeTime, MemoryLink

from connectors.codecs.frames import FrameDecoder
from connectors.errors import WrongUse
from connectors.kafka.telemetry_producer import TelemetryProducer
from connectors.kafka.topics import EVENT, TELEMETRY
from connectors.ports import Moment, Outbound
from connectors.spool import Spool
from infra.feed import Feed, Orders
from models.records import Frame
from models.telemetry import Row, Schema, TelemetryTick

WALL = 5_000.0


class Numbers:
    """A source whose frames are numbered: past 0…past−1, then live, one a second."""

    def __init__(self, past: int, live: int, *, brings_ticks: bool = False, flows: bool = False) -> None:
        self.schemas: Sequence[Schema] = ()
        self.brings_ticks, self.flows_while_waiting, self.repeatable = brings_ticks, flows, True
        self.past, self.end = past, past + live
        self.released_at: int | None = None
        self.next = 0
        self.start: float | None = None

    def history(self) -> Iterator[Moment]:
        while self.next < self.past:
            yield self.moment(0.0)

    def live(self, start: float) -> Iterator[Moment]:
        self.start = start
        while self.next < self.end:
            yield self.moment(float(self.next - self.past))

    def release(self) -> None:
        self.released_at = self.next

    def moment(self, due_s: float) -> Moment:
        number = self.next
        self.next += 1
        return Moment(1_000.0 + number, due_s, lambda: [Frame("n", 1_000.0 + number, number, {"m": float(number)})])


class Run:
    """A feed over memory in which asking for news takes all the time that it may wait."""

    def __init__(self, folder: Path, source: Numbers, for_s: float | None = None) -> None:
        self.time, self.source = FakeTime(), source
        self.past_link, self.live_link = Patient(self.time), Patient(self.time)
        self.told: list[tuple[str, int]] = []
        self.started = True
        self.stop_at: float | None = None
        self.start_at: float | None = None
        spool = Spool(folder, 1 << 20)
        self.producer = TelemetryProducer(self.past_link, spool, {TELEMETRY: 1, EVENT: 1}, self.time)
        self.feed = Feed(
            source,
            self.producer,
            lambda: self.live_link,
            Orders(self.stopping, self.has_started),
            WALL,
            lambda: WALL + self.time.now - 100.0,
            self.time,
            lambda event, frames: self.told.append((event, frames)),
            for_s,
        )

    def stopping(self) -> bool:
        return self.stop_at is not None and self.time.now >= self.stop_at

    def has_started(self) -> bool:
        return self.start_at is None or self.time.now >= self.start_at

    def go(self, *, with_history: bool = True) -> None:
        self.feed.run(with_history=with_history)
        self.tally = self.producer.close(self.time() + 5.0, keep=False)

    @property
    def log(self) -> list[Outbound]:
        return self.past_link.log + self.live_link.log

    def story(self) -> list[str]:
        """What a telemetry partition holds: frames by number, ticks as h (history) or t, with their time."""
        decoder = FrameDecoder({})
        words = []
        for record in self.log:
            if record.topic == TELEMETRY:
                found = decoder.decode(record.value)
                if isinstance(found, TelemetryTick):
                    words.append(f"{'h' if found.history else 't'}{found.ts - 1_000:.0f}")
                else:
                    assert isinstance(found, Row)
                    words.append(f"{found.values[0]:.0f}")
        return words


class Patient(MemoryLink):
    """A memory link on which waiting takes time."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__()
        self.time = time

    def settled(self, wait_s: float) -> list[tuple[int, str]]:
        self.time.advance(wait_s)
        return super().settled(wait_s)


def test_a_recording_is_loaded_then_replayed_with_ticks_of_its_own(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(3, 2, brings_ticks=True))
    run.go()
    assert run.story() == ["h0", "0", "h0", "1", "h1", "2", "h2", "t2", "3", "t3", "4", "t4"]
    assert run.told == [("history-sent", 3), ("live", 3)]
    assert (run.tally.history, run.tally.produced, run.tally.sent) == (3, 2, 5)


def test_the_past_is_acknowledged_before_the_present_takes_another_link(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(3, 2))
    run.go()
    assert [len(link.frames) for link in (run.past_link, run.live_link)] == [3, 2]
    assert run.past_link.closed


def test_a_recording_waits_for_the_start_and_its_pace_counts_from_there(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(2, 3, brings_ticks=True))
    run.start_at = run.time.now + 60.0
    run.go()
    assert run.story() == ["h0", "0", "h0", "1", "h1", "t1", "2", "t2", "3", "t3", "4", "t4"]
    assert run.source.start == pytest.approx(WALL + 60.0, abs=0.5)
    assert run.time.now == pytest.approx(100.0 + 60.0 + 2.0, abs=0.6)


def test_a_fleet_flows_on_as_history_until_the_start(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(2, 8, flows=True))
    run.start_at = run.time.now + 3.5
    run.go()
    story = run.story()
    assert story == ["h0", "0", "h0", "1", "h1", "2", "h2", "3", "h3", "4", "h4", "5", "h5", "t5", "6", "7", "8", "9"]
    assert run.told == [("history-sent", 2), ("live", 6)]
    assert (run.tally.history, run.tally.produced) == (6, 4)
    assert run.source.start == WALL, "its present follows its past, whenever the wait ends"


def test_a_fleet_catches_up_on_what_became_due_meanwhile(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(2, 6, flows=True))
    run.time.advance(4.0)
    run.go()
    assert [r for r in run.story() if r.isdecimal()] == [str(n) for n in range(8)]
    assert run.time.now == pytest.approx(105.0, abs=0.1), "six moments due at 0…5 s after 100.0"


def test_the_script_begins_when_the_wait_is_over(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(0, 8, flows=True))
    run.start_at = run.time.now + 2.5
    run.go()
    assert run.source.released_at == 4, "moments 0…2 were due before; the fourth waited"


@pytest.mark.parametrize(("brings_ticks", "story"), [(False, ["t4000", "0", "1"]), (True, ["0", "t0", "1", "t1"])])
def test_without_history_a_past_that_an_earlier_life_left_open_is_ended(
    tmp_path: Path, brings_ticks: bool, story: list[str]
) -> None:
    run = Run(tmp_path, Numbers(0, 2, brings_ticks=brings_ticks))
    run.go(with_history=False)
    assert run.story() == story
    assert run.told == [("history-sent", 0), ("live", 0)]


def test_a_fleet_without_a_past_waits_and_its_time_counts_from_the_start(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(0, 3, flows=True))
    run.start_at = run.time.now + 60.0
    run.go(with_history=False)
    assert [word for word in run.story() if word.startswith("h")] == [], "what others send is not to be called history"
    assert [word for word in run.story() if word.isdecimal()] == ["0", "1", "2"]
    assert run.source.start == pytest.approx(WALL + 60.0, abs=0.5)
    assert (run.tally.history, run.tally.produced) == (0, 3)


def test_for_counts_from_the_start(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(2, 100, flows=True), for_s=5.0)
    run.start_at = run.time.now + 10.0
    run.go()
    assert run.tally.produced == pytest.approx(5, abs=1)
    assert run.time.now == pytest.approx(115.0, abs=0.5)


@pytest.mark.parametrize("flows", [True, False])
def test_a_stop_while_waiting_ends_it_without_a_live_frame(tmp_path: Path, flows: bool) -> None:
    run = Run(tmp_path, Numbers(2, 100, flows=flows))
    run.start_at, run.stop_at = run.time.now + 1e9, run.time.now + 3.0
    run.go()
    assert run.tally.produced == 0
    assert run.tally.sent == run.tally.history
    assert run.tally.adds_up()
    assert [event for event, _ in run.told] == ["history-sent"]
    assert [word[0] for word in run.story() if not word.isdecimal()][-2:] == ["h", "t"], "the past does not stay open"


def test_a_source_that_breaks_off_does_not_leave_its_past_open(tmp_path: Path) -> None:
    source = Numbers(3, 2)
    run = Run(tmp_path, source)

    def broken() -> Iterator[Moment]:
        yield source.moment(0.0)
        raise WrongUse("line 2")

    source.history = broken  # type: ignore[method-assign]
    with pytest.raises(WrongUse):
        run.feed.run(with_history=True)
    run.producer.close(run.time() + 5.0, keep=False)
    assert run.story() == ["h0", "0", "h0", "t0"]


def test_a_stop_while_loading_says_what_was_not_delivered(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(50_000, 5))
    run.past_link.away = True
    run.stop_at = run.time.now + 2.0
    run.go()
    assert run.tally.sent == 0
    assert run.tally.history > 0
    assert run.tally.dropped == {"undelivered": run.tally.history}


def test_every_tick_stands_on_the_decision_log_too(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(3, 2, brings_ticks=True))
    run.go()
    ticks = {topic: [r.key for r in run.log if r.topic == topic and not r.is_frame] for topic in (TELEMETRY, EVENT)}
    assert ticks[TELEMETRY] == ticks[EVENT] == [b"tick"] * 7


def test_the_present_begins_by_the_wall_clock_however_long_the_source_took_to_make(tmp_path: Path) -> None:
    run = Run(tmp_path, Numbers(0, 6, flows=True))
    slow = Feed(
        run.source,
        run.producer,
        lambda: run.live_link,
        Orders(run.stopping, run.has_started),
        WALL - 4.0,
        lambda: WALL + run.time.now - 100.0,
        run.time,
        lambda *_: None,
    )
    slow.run(with_history=True)
    run.producer.close(run.time() + 5.0, keep=False)
    assert run.time.now == pytest.approx(100.0 + 5.0 - 4.0, abs=0.6)
