"""Batches: a fetch grouped by partition, cut at gaps, and cut again from an offset on."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.batch import Batch, Partition
from streams.transport import batches_of


@dataclass
class FakeMessage:
    """As much of a message as a batch is made of."""

    number: int
    at: int
    content: bytes | None = b"v"
    name: bytes | None = b"k"
    wrong: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.wrong

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at

    def key(self) -> bytes | None:
        return self.name

    def value(self) -> bytes | None:
        return self.content


def grouped(*messages: FakeMessage) -> list[tuple[int, int, int]]:
    """(partition, first, next offset) of each batch."""
    batches = batches_of(messages, 7)  # type: ignore[arg-type]
    return [(batch.source.number, batch.first, batch.next_offset) for batch in batches]


def test_neighbours_of_one_partition_are_one_batch() -> None:
    assert grouped(*(FakeMessage(0, at) for at in (5, 6, 7))) == [(0, 5, 8)]


def test_partitions_are_batches_of_their_own_however_they_are_mixed() -> None:
    mixed = [FakeMessage(0, 5), FakeMessage(1, 90), FakeMessage(0, 6), FakeMessage(1, 91), FakeMessage(0, 7)]
    assert sorted(grouped(*mixed)) == [(0, 5, 8), (1, 90, 92)]


def test_a_gap_begins_a_new_batch_and_the_order_stays() -> None:
    assert grouped(*(FakeMessage(0, at) for at in (5, 6, 9, 10, 20))) == [(0, 5, 7), (0, 9, 11), (0, 20, 21)]


def test_a_step_back_begins_a_new_batch() -> None:
    assert grouped(FakeMessage(0, 5), FakeMessage(0, 5), FakeMessage(0, 3)) == [(0, 5, 6), (0, 5, 6), (0, 3, 4)]


def test_a_fetch_of_nothing_gives_nothing() -> None:
    assert grouped() == []


def test_no_key_and_no_value_are_empty_bytes() -> None:
    [batch] = batches_of([FakeMessage(0, 1, None, None)], 7)  # type: ignore[list-item]
    assert (batch.keys, batch.values, batch.generation) == ([b""], [b""], 7)


def test_a_passing_trouble_is_passed_over() -> None:
    trouble = FakeMessage(0, 0, wrong=KafkaError(KafkaError._TRANSPORT, "away", False, True))
    assert grouped(FakeMessage(0, 5), trouble, FakeMessage(0, 6)) == [(0, 5, 7)]


def test_a_lasting_trouble_is_raised() -> None:
    with pytest.raises(KafkaException, match="out of range"):
        grouped(FakeMessage(0, 0, wrong=KafkaError(KafkaError._AUTO_OFFSET_RESET, "out of range")))


def test_a_batch_is_cut_from_an_offset_on() -> None:
    batch = Batch(Partition("t", 1), 10, [b"a", b"b", b"c"], [b"1", b"2", b"3"], 4)
    rest = batch.from_offset(12)
    assert (rest.source, rest.first, rest.keys, rest.values, rest.generation) == (batch.source, 12, [b"c"], [b"3"], 4)
    assert list(batch.records()) == [(10, b"1"), (11, b"2"), (12, b"3")]
    assert batch.next_offset == 13
