"""Writing and reading by offsets on a real broker: order, confirmation, tails, newest snapshots and schemas."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from topics_on import fresh_topics

from connectors.codecs.frames import encode_schema, schema_id
from connectors.errors import Unreachable
from connectors.kafka import topics
from connectors.kafka.log import bounds, partition_count, read_range, read_tail, reader
from connectors.kafka.publisher import Outgoing, Publisher
from connectors.kafka.schemas import PATIENCE_S, SchemaTable
from connectors.kafka.snapshots import SLICE_BYTES_MAX, Snapshot, read_newest, slices
from infra.broker.embedded import Broker
from models.telemetry import Schema

pytestmark = pytest.mark.broker
DEADLINE_S = 20.0


class Writing:
    """A publisher, what it was told of failure, and what has been confirmed."""

    def __init__(self, brokers: str) -> None:
        self.failures: list[str] = []
        self.confirmed: list[str] = []
        self.publisher = Publisher(brokers, self.failures.append)

    def done(self, what: str) -> None:
        self.confirmed.append(what)

    def until(self, *confirmed: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while set(confirmed) - set(self.confirmed):
            assert time.monotonic() < deadline, f"{self.confirmed} of {confirmed}"
            self.publisher.poll()
            time.sleep(0.005)


@pytest.fixture(scope="module")
def fresh(broker: Broker) -> Broker:
    fresh_topics(broker, partitions=2)
    return broker


@pytest.fixture
def writing(fresh: Broker) -> Iterator[Writing]:
    made = Writing(fresh.bootstrap)
    yield made
    made.publisher.close(10)


@pytest.fixture
def consumer(fresh: Broker) -> Iterator[Consumer]:
    with reader(fresh.bootstrap) as made:
        yield made


def test_rows_stand_in_order_on_their_partition_and_are_confirmed_together(
    writing: Writing, consumer: Consumer
) -> None:
    low, first = bounds(consumer, topics.ASSESSMENT, 1)
    rows = [(b"k%d" % k, b"v%d" % k) for k in range(5000)]
    writing.publisher.publish_in_order(topics.ASSESSMENT, 1, rows[:4000], lambda: writing.done("one"))
    writing.publisher.publish_in_order(topics.ASSESSMENT, 1, rows[4000:], lambda: writing.done("two"))
    writing.until("one", "two")
    assert writing.confirmed == ["one", "two"]
    found = read_range(consumer, topics.ASSESSMENT, 1, first, bounds(consumer, topics.ASSESSMENT, 1)[1])
    assert [(m.key(), m.value()) for m in found] == rows
    assert low == 0
    assert writing.failures == []


def test_one_record_goes_where_it_is_sent_with_its_headers(writing: Writing, consumer: Consumer) -> None:
    headers = (("reason", b"why"), ("offset", b"7"))
    writing.publisher.publish(Outgoing(topics.DEAD_LETTER, b"k", b"v", headers=headers), lambda: writing.done("x"))
    writing.until("x")
    [found] = read_tail(consumer, topics.DEAD_LETTER, 0, 1)
    assert (found.key(), found.value(), found.headers()) == (b"k", b"v", list(headers))


def test_a_record_that_cannot_be_written_is_told_and_never_confirmed(fresh: Broker, writing: Writing) -> None:
    admin = AdminClient({"bootstrap.servers": fresh.bootstrap})
    admin.create_topics([NewTopic("small.v1", 1, 1, config={"max.message.bytes": "1000"})])["small.v1"].result(10)
    writing.publisher.publish(Outgoing("small.v1", b"k", b"v" * 5000, partition=0), lambda: writing.done("never"))
    deadline = time.monotonic() + DEADLINE_S
    while not writing.failures:
        assert time.monotonic() < deadline, "nobody was told"
        writing.publisher.poll()
        time.sleep(0.005)
    assert "a record for small.v1 could not be written" in writing.failures[0]
    assert writing.confirmed == []
    admin.delete_topics(["small.v1"])["small.v1"].result(10)


def test_a_range_is_read_from_its_start_to_before_its_end(writing: Writing, consumer: Consumer) -> None:
    _, first = bounds(consumer, topics.COMMAND, 0)
    rows = [(b"k", b"%d" % k) for k in range(20)]
    writing.publisher.publish_in_order(topics.COMMAND, 0, rows, lambda: writing.done("all"))
    writing.until("all")
    assert [m.value() for m in read_range(consumer, topics.COMMAND, 0, first + 3, first + 6)] == [b"3", b"4", b"5"]
    assert read_range(consumer, topics.COMMAND, 0, first + 6, first + 6) == []
    assert [m.value() for m in read_tail(consumer, topics.COMMAND, 0, 2)] == [b"18", b"19"]
    assert len(read_tail(consumer, topics.COMMAND, 0, 10_000)) == first + 20


def test_the_same_range_is_read_as_often_as_it_is_asked_for(writing: Writing, consumer: Consumer) -> None:
    _, first = bounds(consumer, topics.COMMAND, 1)
    writing.publisher.publish_in_order(topics.COMMAND, 1, [(b"k", b"v")], lambda: writing.done("one"))
    writing.until("one")
    for _ in range(100):
        assert len(read_range(consumer, topics.COMMAND, 1, first, first + 1)) == 1


def test_an_empty_partition_has_no_tail(consumer: Consumer) -> None:
    assert bounds(consumer, topics.EVENT, 1) == (0, 0)
    assert read_tail(consumer, topics.EVENT, 1, 100) == []


def test_a_topic_that_is_not_there_is_said_to_be_missing_with_the_cure(consumer: Consumer) -> None:
    assert partition_count(consumer, topics.TELEMETRY) == 2
    with pytest.raises(Unreachable, match="topics apply"):
        partition_count(consumer, "no.such.topic.v1")


def put_snapshot(writing: Writing, offset: int, state: bytes, which: int, *, torn: bool = False) -> None:
    parts = slices(topics.TELEMETRY, 0, Snapshot(offset, state), which)
    for at, (key, value) in enumerate(parts[: len(parts) - torn]):
        name = f"{offset}/{at}"
        writing.publisher.publish(
            Outgoing(topics.SNAPSHOT, key, value, 0),
            lambda name=name: writing.done(name),  # type: ignore[misc]
        )
        writing.until(name)


def test_the_newest_whole_snapshot_is_found_from_the_end_backwards(writing: Writing, consumer: Consumer) -> None:
    assert read_newest(consumer, topics.SNAPSHOT, topics.TELEMETRY, 0) is None
    large = bytes(SLICE_BYTES_MAX + 10)
    put_snapshot(writing, 10, b"small", 0)
    put_snapshot(writing, 20, large, 1)
    put_snapshot(writing, 30, large, 0, torn=True)
    assert read_newest(consumer, topics.SNAPSHOT, topics.TELEMETRY, 0) == Snapshot(20, large)
    for offset in range(100):
        key, value = slices(topics.EVENT, 0, Snapshot(offset, b"others"), 0)[0]
        writing.publisher.publish(Outgoing(topics.SNAPSHOT, key, value, 0), lambda: writing.done("others"))
    writing.publisher.close(10)
    assert read_newest(consumer, topics.SNAPSHOT, topics.TELEMETRY, 0) == Snapshot(20, large)
    assert read_newest(consumer, topics.SNAPSHOT, topics.EVENT, 0) == Snapshot(99, b"others")
    assert read_newest(consumer, topics.SNAPSHOT, topics.TELEMETRY, 1) is None


def test_a_schema_is_found_when_it_comes_and_the_topic_is_not_asked_all_the_time(
    fresh: Broker, consumer: Consumer
) -> None:
    clock = [100.0]
    table = SchemaTable(consumer, lambda: clock[0])
    schema = Schema(("a", "b_total"), (False, True), ("C", ""))
    name = schema_id(schema)
    assert name not in table
    producer = Producer({"bootstrap.servers": fresh.bootstrap})
    producer.produce(topics.SCHEMA, key=name, value=b"nonsense under the same key")
    producer.produce(topics.SCHEMA, key=name, value=encode_schema(schema))
    assert producer.flush(10) == 0
    assert table.get(name) is None, "it has just looked"
    clock[0] += PATIENCE_S
    assert table[name] == schema
    clock[0] += PATIENCE_S
    assert table.get("0" * 16) is None
    assert (len(table), list(table)) == (1, [name])
