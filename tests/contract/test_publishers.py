"""What lanes and owners rely on when they write: the publisher to Kafka and its twin in memory promise the same."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import pytest
from memory_publisher import MemoryPublisher

from connectors.kafka import topics
from connectors.kafka.publisher import Confirmed, Outgoing, Publisher

DEADLINE_S = 30.0
TOPIC, OTHER = topics.ASSESSMENT, topics.DEAD_LETTER
Row = tuple[bytes, bytes]


class Writes(Protocol):
    """What a lane or an owner uses of a publisher."""

    def publish_in_order(self, topic: str, partition: int, rows: Sequence[Row], done: Confirmed) -> None: ...

    def publish(self, outgoing: Outgoing, done: Confirmed | None = None) -> None: ...

    def poll(self) -> None: ...


class World:
    """A publisher, what it has confirmed, and a way to look at the log."""

    def __init__(self, publisher: Writes, settle: Callable[[], None], look: Callable[[str, int], list[Row]]) -> None:
        self.publisher, self._settle, self._look = publisher, settle, look
        self.confirmed: list[str] = []

    def done(self, name: str) -> Confirmed:
        return lambda: self.confirmed.append(name)

    def settled(self, *names: str) -> list[str]:
        """What is confirmed once all of these are."""
        end = time.monotonic() + DEADLINE_S
        while not set(names) <= set(self.confirmed):
            assert time.monotonic() < end, f"{self.confirmed} of {names}"
            self.turn()
        return self.confirmed

    def turn(self) -> None:
        """Let some time pass in this world, and take what it has confirmed."""
        self._settle()
        self.publisher.poll()

    def on(self, topic: str, partition: int) -> list[Row]:
        """Key and value of all that this world has written to a partition."""
        return self._look(topic, partition)


def _in_memory() -> World:
    publisher = MemoryPublisher()

    def look(topic: str, partition: int) -> list[Row]:
        return [(key, value) for name, at, key, value in publisher.rows if (name, at) == (topic, partition)]

    return World(publisher, lambda: publisher.confirm(1), look)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.broker)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    if request.param == "memory":
        yield _in_memory()
        return
    from topics_on import fresh_topics

    from connectors.kafka.log import bounds, read_range, reader

    broker = request.getfixturevalue("broker")
    fresh_topics(broker, partitions=2)
    failures: list[str] = []
    publisher = Publisher(broker.bootstrap, failures.append)
    with reader(broker.bootstrap) as consumer:

        def look(topic: str, partition: int) -> list[Row]:
            found = read_range(consumer, topic, partition, 0, bounds(consumer, topic, partition)[1])
            return [(message.key(), message.value()) for message in found]

        yield World(publisher, lambda: time.sleep(0.005), look)
    assert publisher.close(DEADLINE_S) == 0
    assert failures == []


def rows(name: str, count: int) -> list[Row]:
    return [(b"k%d" % (number % 3), b"%s %d" % (name.encode(), number)) for number in range(count)]


def test_the_rows_of_a_batch_stand_in_order_on_its_partition_alone(world: World) -> None:
    batch = rows("batch", 500)
    world.publisher.publish_in_order(TOPIC, 1, batch, world.done("batch"))
    world.settled("batch")
    assert world.on(TOPIC, 1) == batch
    assert world.on(TOPIC, 0) == []


def test_a_batch_is_confirmed_once_however_many_rows_it_has(world: World) -> None:
    world.publisher.publish_in_order(TOPIC, 0, rows("long", 2_000), world.done("long"))
    world.publisher.publish_in_order(TOPIC, 0, rows("one", 1), world.done("one"))
    assert world.settled("long", "one") == ["long", "one"]


def test_when_a_batch_is_confirmed_every_row_of_it_can_be_read(world: World) -> None:
    seen: list[int] = []
    world.publisher.publish_in_order(TOPIC, 0, rows("whole", 300), lambda: seen.append(len(world.on(TOPIC, 0))))
    end = time.monotonic() + DEADLINE_S
    while not seen:
        assert time.monotonic() < end
        world.turn()
    assert seen == [300]


def test_confirmations_of_a_partition_come_in_the_order_of_writing(world: World) -> None:
    names = [f"batch {number}" for number in range(40)]
    for name in names:
        world.publisher.publish_in_order(TOPIC, 1, rows(name, 7), world.done(name))
    assert world.settled(*names) == names
    assert world.on(TOPIC, 1) == [row for name in names for row in rows(name, 7)]


def test_single_records_and_batches_keep_their_order_among_each_other(world: World) -> None:
    world.publisher.publish(Outgoing(TOPIC, b"k", b"first", 0), world.done("first"))
    world.publisher.publish_in_order(TOPIC, 0, rows("middle", 20), world.done("middle"))
    world.publisher.publish(Outgoing(TOPIC, b"k", b"last", 0), world.done("last"))
    assert world.settled("first", "middle", "last") == ["first", "middle", "last"]
    assert [value for _, value in world.on(TOPIC, 0)] == [b"first", *(v for _, v in rows("middle", 20)), b"last"]


def test_a_record_that_nobody_asks_after_is_written_all_the_same(world: World) -> None:
    world.publisher.publish(Outgoing(OTHER, b"k", b"quiet", 0))
    world.publisher.publish(Outgoing(OTHER, b"k", b"loud", 0), world.done("loud"))
    assert world.settled("loud") == ["loud"]
    assert world.on(OTHER, 0) == [(b"k", b"quiet"), (b"k", b"loud")]


def test_nothing_is_confirmed_while_nobody_asks(world: World) -> None:
    """Confirmations come in calls of ``poll`` or of writing, in the caller's own thread, and never in between."""
    world.publisher.publish(Outgoing(TOPIC, b"k", b"v", 0), world.done("asked"))
    before = list(world.confirmed)
    end = time.monotonic() + DEADLINE_S
    while world.on(TOPIC, 0) != [(b"k", b"v")]:
        assert time.monotonic() < end
    assert world.confirmed == before
    world.settled("asked")


def test_bytes_are_bytes_whatever_they_spell(world: World) -> None:
    odd = [(b"\x00\xff", b""), (b"", b"\x00"), (b"k", bytes(range(256)))]
    world.publisher.publish_in_order(TOPIC, 0, odd, world.done("odd"))
    world.settled("odd")
    assert [value for _, value in world.on(TOPIC, 0)] == [value for _, value in odd]


def test_a_batch_of_no_rows_has_no_last_one_to_confirm_and_is_refused(world: World) -> None:
    with pytest.raises((AssertionError, IndexError)):
        world.publisher.publish_in_order(TOPIC, 0, [], world.done("never"))
    world.publisher.poll()
    assert world.confirmed == []
