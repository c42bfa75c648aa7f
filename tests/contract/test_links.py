"""What every way to the broker promises (connectors/ports.py): kafka-python, librdkafka, and their twin in memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from memory_link import MemoryLink
from topic_reader import TopicReader

from connectors.kafka.links import OVERSIZE, RECORD_BYTES_MAX, BulkLink, LiveLink
from connectors.kafka.topics import TELEMETRY
from connectors.ports import AGAIN, SENT, Link, Outbound

if TYPE_CHECKING:
    from infra.broker.embedded import Broker

pytestmark = pytest.mark.broker
SETTLE_S_MAX = 30.0
KEYS = [b"n%02d" % number for number in range(9)]


@pytest.fixture(params=[LiveLink, BulkLink])
def make_link(request: pytest.FixtureRequest) -> Callable[[str], Link]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def link(make_link: Callable[[str], Link], broker: Broker, topics: object) -> Iterator[Link]:
    made = make_link(broker.bootstrap)
    yield made
    made.close(5.0)


@pytest.fixture
def reader(broker: Broker, topics: object) -> Iterator[TopicReader]:
    made = TopicReader(broker.bootstrap, TELEMETRY)
    yield made
    made.close()


def all_settled(link: Link, number: int) -> dict[int, str]:
    found: dict[int, str] = {}
    deadline = time.monotonic() + SETTLE_S_MAX
    while len(found) < number:
        assert time.monotonic() < deadline, f"{len(found)} of {number} were settled in time"
        for token, what in link.settled(0.2):
            assert token not in found, "settled once"
            found[token] = what
    return found


def send_all(link: Link, records: list[Outbound]) -> dict[int, str]:
    for token, record in enumerate(records):
        link.send(token, record)
    return all_settled(link, len(records))


def test_every_record_is_acknowledged_once_and_lies_in_its_keys_order(link: Link, reader: TopicReader) -> None:
    records = [Outbound(TELEMETRY, KEYS[n % 9], b"%d" % n, is_frame=True) for n in range(2_000)]
    assert set(send_all(link, records).values()) == {SENT}
    by_key: dict[bytes, list[int]] = defaultdict(list)
    for read in reader.new():
        by_key[read.key].append(int(read.value))
    assert by_key == {key: list(range(place, 2_000, 9)) for place, key in enumerate(KEYS)}


def test_a_key_lies_on_the_partition_that_kafkas_own_partitioner_gives(link: Link, reader: TopicReader) -> None:
    from kafka.partitioner.default import murmur2

    send_all(link, [Outbound(TELEMETRY, key, b"x") for key in KEYS])
    found = {read.key: read.partition for read in reader.new()}
    assert found == {key: (murmur2(key) & 0x7FFFFFFF) % 2 for key in KEYS}
    assert set(found.values()) == {0, 1}


def test_an_explicit_partition_is_kept(link: Link, reader: TopicReader) -> None:
    send_all(link, [Outbound(TELEMETRY, b"tick", b"%d" % p, p) for p in (1, 0, 1)])
    assert [(r.partition, r.value) for r in reader.new()] == [(0, b"0"), (1, b"1"), (1, b"1")]


def test_the_largest_record_is_taken_and_a_larger_one_refused_with_its_reason(link: Link, reader: TopicReader) -> None:
    largest = Outbound(TELEMETRY, b"k", b"x" * (RECORD_BYTES_MAX - 1))
    too_large = replace(largest, value=b"y" * (RECORD_BYTES_MAX + 4_096))
    settled = send_all(link, [largest, too_large, replace(largest, value=b"after")])
    assert settled == {0: SENT, 1: OVERSIZE, 2: SENT}
    assert [len(read.value) for read in reader.new()] == [RECORD_BYTES_MAX - 1, 5]


def test_asking_for_news_when_there_is_none_gives_none(link: Link) -> None:
    assert link.settled(0.0) == []
    assert link.settled(0.01) == []


def test_memory_link_settles_as_the_real_ones_do() -> None:
    link = MemoryLink()
    records = [Outbound(TELEMETRY, key, b"x") for key in KEYS]
    assert set(send_all(link, records).values()) == {SENT}
    link.away = True
    link.send(99, records[0])
    assert link.settled(0.0) == []
    link.close(0.0)
    assert link.settled(0.0) == [(99, AGAIN)]
