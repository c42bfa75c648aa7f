"""The batch consumer's bookkeeping over joins and departures: what waits is counted, and what is old is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import faust
import pytest
from confluent_kafka import TopicPartition
from faust.types import TP, ConsumerMessage

from streams.batch import Batch, Partition
from streams.transport import RECORDS_WAITING_MAX, BatchConsumer, _Poller

ZERO, ONE = Partition("t", 0), Partition("t", 1)


@dataclass
class Record:
    """A message of the Kafka client."""

    source: Partition
    at: int

    def error(self) -> None:
        return None

    def topic(self) -> str:
        return self.source.topic

    def partition(self) -> int:
        return self.source.number

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes:
        return b"k"

    def value(self) -> bytes:
        return b"%d" % self.at


@dataclass
class Kafka:
    """The client that the polling thread owns; ``poll`` does what is next: a callback of the group, or records."""

    next: list[Callable[[], None] | list[Record]] = field(default_factory=list)
    polled: int = 0
    positions: list[tuple[str, int, int]] = field(default_factory=list)

    def poll(self, timeout: float) -> Record | None:
        self.polled += 1
        turn = self.next.pop(0) if self.next else []
        if isinstance(turn, list):
            self._rest = turn[1:]
            return turn[0] if turn else None
        turn()
        return None

    def consume(self, count: int, timeout: float) -> list[Record]:
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        self.positions = [(tp.topic, tp.partition, tp.offset) for tp in partitions]

    def unassign(self) -> None:
        self.positions = []


@dataclass
class Lanes:
    """What the transport asks of the lanes, with every lane restored at offset 100."""

    held: frozenset[Partition] = frozenset()
    said: list[str] = field(default_factory=list)
    broken: bool = False
    polls: int = 0

    def restore(self, assigned: frozenset[Partition]) -> Mapping[Partition, int]:
        if self.broken:
            raise RuntimeError("no log")
        return dict.fromkeys(assigned, 100)

    def adopt(self, assigned: frozenset[Partition]) -> None:
        self.held = assigned

    def lose(self) -> None:
        self.held = frozenset()
        self.said.append("lost")

    def positions(self) -> Mapping[Partition, int]:
        return {}

    def polled(self) -> None:
        self.polls += 1

    def fail(self, why: str) -> None:
        self.said.append(why)


class Working:
    """A batch consumer and its polling thread's work, with Faust's and Kafka's side played by the test."""

    def __init__(self) -> None:
        app = faust.App("t", broker="kafka://nowhere", store="memory://", web_enabled=False, autodiscover=False)
        self.lanes, self.kafka = Lanes(), Kafka()
        app.restorer = self.lanes
        self.handed: list[Batch] = []
        self.consumer = BatchConsumer(app.transport, self._take, self._revoked, self._assigned)
        loop = asyncio.get_running_loop()
        self.poller = _Poller(self.consumer, ["t"], {}, loop)

    async def _take(self, message: ConsumerMessage) -> None:
        self.handed.append(message.value)  # type: ignore[arg-type]

    async def _revoked(self, revoked: set[TP]) -> None:
        """Faust lets its agents finish."""

    async def _assigned(self, assigned: set[TP], generation: int) -> None:
        """Faust seeks where there is something to seek, and then lets the flow begin."""
        if assigned:
            self._seeking = asyncio.ensure_future(self.consumer.perform_seek())

    async def turn(self, *what: Callable[[], None] | list[Record]) -> None:
        """The thread polls once for each of these."""
        self.kafka.next += what
        for _ in what:
            await asyncio.to_thread(self.poller._poll, self.kafka)  # type: ignore[arg-type]
        await asyncio.sleep(0)

    def given(self, *partitions: Partition) -> Callable[[], None]:
        return lambda: self.poller._on_assign(self.kafka, _positions(partitions))  # type: ignore[arg-type]

    def taken(self, *partitions: Partition) -> Callable[[], None]:
        return lambda: self.poller._on_revoke(self.kafka, _positions(partitions))  # type: ignore[arg-type]

    def lost(self, *partitions: Partition) -> Callable[[], None]:
        return lambda: self.poller._on_lost(self.kafka, _positions(partitions))  # type: ignore[arg-type]

    async def drain(self) -> list[Batch]:
        """Let the consumer hand all that waits to Faust; returns it."""
        self.handed.clear()
        fetcher = Fetcher()
        draining = asyncio.ensure_future(self.consumer._drain_messages(fetcher))
        while self.consumer._arrived:
            await asyncio.sleep(0)
        fetcher.should_stop = True
        self.consumer._wakeup.set()
        await draining
        return list(self.handed)


@dataclass
class Fetcher:
    """Faust's fetcher, as far as the drain asks it."""

    should_stop: bool = False


def _positions(partitions: Sequence[Partition]) -> list[TopicPartition]:
    return [TopicPartition(*p) for p in partitions]


def records(source: Partition, first: int, count: int) -> list[Record]:
    return [Record(source, first + i) for i in range(count)]


@pytest.fixture
async def working() -> Working:
    made = Working()
    made.consumer.suspend_flow.clear()
    return made


async def fill(working: Working, source: Partition = ZERO, first: int = 100) -> int:
    """Fetch until there is no room; returns how many records that took."""
    at = first
    polled = -1
    while polled != working.kafka.polled:
        polled = working.kafka.polled
        await working.turn(records(source, at, 4096))
        at += 4096
    working.kafka.next.clear()
    return at - 4096 - first


async def test_reading_begins_where_the_lanes_were_restored(working: Working) -> None:
    await working.turn(working.given(ZERO, ONE))
    assert sorted(working.kafka.positions) == [("t", 0, 100), ("t", 1, 100)]
    assert working.lanes.held == {ZERO, ONE}
    assert working.consumer.assignment() == {TP("t", 0), TP("t", 1)}


async def test_a_batch_reaches_faust_as_one_message(working: Working) -> None:
    await working.turn(working.given(ZERO), records(ZERO, 100, 7))
    [batch] = await working.drain()
    assert (batch.source, batch.first, batch.next_offset) == (ZERO, 100, 107)


async def test_nothing_is_fetched_while_too_much_waits_and_room_is_made_by_what_is_done(working: Working) -> None:
    await working.turn(working.given(ZERO))
    filled = await fill(working)
    assert RECORDS_WAITING_MAX < filled <= RECORDS_WAITING_MAX + 4096
    batches = await working.drain()
    assert sum(len(batch.values) for batch in batches) == filled
    assert await fill(working) == 0, "handing to Faust makes no room"
    working.consumer.done(batches[0])
    assert await fill(working, first=100 + filled) == 4096


async def test_a_full_worker_that_loses_its_partitions_is_still_heard_by_the_group(working: Working) -> None:
    """The next word of the group comes by a poll; a count that outlives the assignment would keep it from polling."""
    await working.turn(working.given(ZERO, ONE))
    filled = await fill(working)
    for batch in await working.drain():
        working.consumer.done(batch)
    await working.turn(working.taken(ZERO, ONE))
    assert filled > RECORDS_WAITING_MAX
    await working.turn(working.given(ONE))
    assert working.kafka.positions == [("t", 1, 100)]
    assert await fill(working, ONE) == filled, "the new assignment has all the room"


async def test_what_came_under_an_old_assignment_is_dropped(working: Working) -> None:
    await working.turn(working.given(ZERO, ONE), records(ZERO, 100, 5))
    old = list(working.consumer._arrived)
    await working.turn(working.taken(ZERO, ONE))
    assert not working.consumer._arrived
    working.consumer.arrive(old)
    assert not working.consumer._arrived, "a batch on its way over the rebalance"
    await working.turn(working.given(ONE), records(ONE, 100, 3))
    [batch] = await working.drain()
    assert (batch.source, batch.generation) == (ONE, old[0].generation + 1)


async def test_what_is_fetched_between_two_assignments_is_dropped(working: Working) -> None:
    await working.turn(working.given(ZERO), working.taken(ZERO), records(ZERO, 100, 5), working.given(ZERO))
    assert await working.drain() == []


async def test_an_old_batch_that_ends_late_makes_no_room(working: Working) -> None:
    await working.turn(working.given(ZERO))
    await fill(working)
    late, *others = await working.drain()
    for batch in others:
        working.consumer.done(batch)
    await working.turn(working.taken(ZERO), working.given(ZERO))
    filled = await fill(working)
    working.consumer.done(late)
    assert filled > RECORDS_WAITING_MAX
    assert await fill(working, first=100 + filled) == 0


async def test_partitions_that_were_lost_are_forgotten_at_once(working: Working) -> None:
    await working.turn(working.given(ZERO), working.taken(ZERO))
    assert (working.lanes.held, working.lanes.said) == ({ZERO}, []), "a lane that comes back at once is kept"
    await working.turn(working.given(ZERO), working.lost(ZERO))
    assert (working.lanes.held, working.lanes.said) == (frozenset(), ["lost"])
    assert working.consumer.assignment() == set()


async def test_a_worker_that_is_given_nothing_holds_nothing(working: Working) -> None:
    """It would tell the time of partitions that another worker owns, and later go on where it once was."""
    await working.turn(working.given(ZERO, ONE), working.taken(ZERO, ONE), working.given())
    assert working.lanes.held == frozenset()
    assert working.kafka.positions == []
    await working.turn(working.taken(), working.given(ONE))
    assert (working.lanes.held, working.kafka.positions) == ({ONE}, [("t", 1, 100)])


async def test_state_that_cannot_be_restored_ends_the_worker_and_nothing_is_read(working: Working) -> None:
    working.lanes.broken = True
    giving = asyncio.ensure_future(working.turn(working.given(ZERO)))
    while not working.lanes.said:
        await asyncio.sleep(0)
    working.poller._ending.set()
    await giving
    assert working.lanes.said == ["state could not be restored: no log"]
    assert working.kafka.positions == []
