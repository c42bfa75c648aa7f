"""A lane: each record once, no gap, what the output holds is not written again, snapshots only of what is safe."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from memory_publisher import MemoryPublisher

from connectors.kafka.publisher import Outgoing
from connectors.kafka.snapshots import Snapshot, newest
from streams.batch import Batch, Partition
from streams.fold import Fold, Ordered, Output, Place, Stage
from streams.lane import NOTHING, GapError, Lane, Restored

SOURCE = Partition("in", 2)
EVERY_S = 3.0


class Joining:
    """A fold whose state is all that it has taken; each record gives an output, one that begins with ``!`` two more."""

    loading = False

    def __init__(self, taken: bytes = b"") -> None:
        self.taken = taken

    def apply(self, batch: Batch) -> Sequence[Output]:
        outputs: list[Output] = []
        for offset, value in batch.records():
            self.taken += value
            if value == b"-":
                continue
            outputs.append(Ordered(Place(offset, 0), b"k", self.taken))
            if value.startswith(b"!"):
                outputs += [Outgoing("aside", b"k", value), Ordered(Place(offset, 1), b"k", value)]
        return outputs

    def snapshot(self) -> bytes:
        return self.taken


def join(number: int, state: bytes | None) -> Fold:
    return Joining(state or b"")


STAGE = Stage("in", "out", join, lambda value: None)


class Working:
    """A lane that has just been restored, and what it writes."""

    def __init__(self, next_offset: int = 0, published: Place = NOTHING, taken: bytes = b"") -> None:
        self.publisher = MemoryPublisher()
        restored = Restored(Joining(taken), next_offset, published)
        self.lane = Lane(STAGE, SOURCE.number, restored, self.publisher, "snapshots", now=0.0)  # type: ignore[arg-type]

    def take(self, first: int, *values: bytes) -> None:
        self.lane.take(Batch(SOURCE, first, [b"k"] * len(values), list(values)))

    @property
    def out(self) -> list[bytes]:
        return self.publisher.on("out")

    def snapshots(self) -> list[Snapshot | None]:
        """Each snapshot that was written, oldest first."""
        rows = [(key, value) for topic, _, key, value in self.publisher.rows if topic == "snapshots"]
        return [newest("in", SOURCE.number, [row]) for row in rows]


@pytest.fixture
def working() -> Working:
    return Working()


def test_outputs_go_to_the_partition_of_the_input_in_order(working: Working) -> None:
    working.take(0, b"a", b"b")
    working.take(2, b"c")
    assert [row[:2] for row in working.publisher.rows] == [("out", 2)] * 3
    assert working.out == [b"a", b"ab", b"abc"]


def test_a_batch_below_is_dropped(working: Working) -> None:
    working.take(0, b"a", b"b")
    working.take(0, b"x", b"y")
    working.take(1, b"y")
    working.take(0)
    assert (working.out, working.lane.next_offset) == ([b"a", b"ab"], 2)


def test_an_overlap_is_trimmed(working: Working) -> None:
    working.take(0, b"a", b"b")
    working.take(1, b"b", b"c", b"d")
    assert working.out == [b"a", b"ab", b"abc", b"abcd"]


def test_a_gap_is_fatal_and_names_what_lacks(working: Working) -> None:
    working.take(0, b"a")
    with pytest.raises(GapError, match="in/2: offset 1 was expected, 2 came"):
        working.take(2, b"c")
    assert working.out == [b"a"]


def test_what_the_output_holds_is_made_again_and_not_written(working: Working) -> None:
    working = Working(published=Place(1, 0))
    working.take(0, b"a", b"!b", b"c")
    assert working.out == [b"!b", b"a!bc"], "of record 1 the second output was lacking"
    assert working.publisher.on("aside") == [b"!b"], "what goes elsewhere is written again: it has an identity"


def test_a_batch_may_lie_wholly_below_what_is_published() -> None:
    working = Working(next_offset=5, published=Place(9, 3))
    working.take(5, b"a", b"b")
    assert working.publisher.rows == []
    assert working.lane.confirmed()
    working.take(7, b"c", b"d", b"e", b"f")
    assert working.out == [b"abcdef"], "record 9's one output is below place (9, 3)"


def test_a_lane_goes_on_from_its_restored_state() -> None:
    working = Working(next_offset=3, taken=b"abc")
    working.take(0, b"a", b"b", b"c", b"d")
    assert working.out == [b"abcd"]


def test_it_is_confirmed_when_every_write_is(working: Working) -> None:
    assert working.lane.confirmed()
    working.take(0, b"!a")
    working.take(1, b"b")
    assert not working.lane.confirmed()
    working.publisher.confirm(2)
    assert not working.lane.confirmed()
    working.publisher.confirm()
    assert working.lane.confirmed()


def test_a_batch_without_outputs_needs_no_confirmation(working: Working) -> None:
    working.take(0, b"-", b"-")
    assert working.lane.confirmed()
    assert working.lane.next_offset == 2


def test_a_snapshot_is_due_after_an_interval_and_only_of_something_new(working: Working) -> None:
    working.lane.snapshot(EVERY_S, EVERY_S)
    assert working.snapshots() == [], "nothing was taken yet"
    working.take(0, b"a")
    working.publisher.confirm()
    working.lane.snapshot(EVERY_S - 0.1, EVERY_S)
    assert working.snapshots() == []
    working.lane.snapshot(EVERY_S, EVERY_S)
    assert working.snapshots() == [Snapshot(1, b"a")]
    working.lane.snapshot(3 * EVERY_S, EVERY_S)
    assert len(working.snapshots()) == 1


def test_a_snapshot_waits_until_all_below_it_is_safe(working: Working) -> None:
    working.take(0, b"!a")
    working.lane.snapshot(EVERY_S, EVERY_S)
    working.publisher.confirm(1)
    working.lane.snapshot(EVERY_S + 0.1, EVERY_S)
    assert working.snapshots() == [], "one of two writes is not confirmed"
    working.publisher.confirm()
    working.lane.snapshot(EVERY_S + 0.2, EVERY_S)
    assert working.snapshots() == [Snapshot(1, b"!a")]


def test_a_waiting_snapshot_is_of_the_state_at_its_offset(working: Working) -> None:
    """What is taken meanwhile is neither in it nor waited for."""
    working.take(0, b"a")
    working.lane.snapshot(EVERY_S, EVERY_S)
    working.take(1, b"b")
    working.publisher.confirm(1)
    working.lane.snapshot(EVERY_S + 0.1, EVERY_S)
    assert working.snapshots() == [Snapshot(1, b"a")]


def test_no_second_snapshot_is_taken_while_one_waits(working: Working) -> None:
    for at in range(5):
        working.take(at, b"a")
        working.lane.snapshot((at + 1) * EVERY_S, EVERY_S)
    working.publisher.confirm()
    working.lane.snapshot(6 * EVERY_S, EVERY_S)
    assert working.snapshots() == [Snapshot(1, b"a")]
    working.lane.snapshot(7 * EVERY_S, EVERY_S)
    assert working.snapshots()[1:] == [Snapshot(5, b"aaaaa")]


def test_confirmations_out_of_order_hold_the_snapshot_back(working: Working) -> None:
    """The second batch is safe, the first is not: its outputs might never be made again."""
    working.take(0, b"a")
    first = working.publisher.unconfirmed.pop()
    working.take(1, b"b")
    working.lane.snapshot(EVERY_S, EVERY_S)
    working.publisher.confirm()
    working.lane.snapshot(EVERY_S + 0.1, EVERY_S)
    assert working.snapshots() == []
    first()
    working.lane.snapshot(EVERY_S + 0.2, EVERY_S)
    assert working.snapshots() == [Snapshot(2, b"ab")]


def test_the_two_sets_of_slices_alternate(working: Working) -> None:
    for at in range(4):
        working.take(at, b"a")
        working.publisher.confirm()
        working.lane.snapshot((at + 1) * EVERY_S, EVERY_S)
    keys = [key for topic, _, key, _ in working.publisher.rows if topic == "snapshots"]
    assert keys == [b"in/2/0/0", b"in/2/1/0"] * 2


def test_a_restart_from_any_snapshot_gives_the_same_outputs() -> None:
    """A crash after each record in turn: what was written before and after it is what one run writes."""
    values = [b"a", b"!b", b"-", b"c", b"!d", b"e"]
    straight = Working()
    for at, value in enumerate(values):
        straight.take(at, value)
    for crash in range(len(values)):
        before = Working()
        for at, value in enumerate(values[: crash + 1]):
            before.take(at, value)
            if at == crash // 2:
                before.publisher.confirm()
                before.lane.snapshot(EVERY_S, EVERY_S)
        [snapshot] = before.snapshots()
        assert snapshot is not None
        places = [o.place for o in Joining().apply(Batch(SOURCE, 0, [], values[: crash + 1])) if isinstance(o, Ordered)]
        after = Working(snapshot.next_offset, max(places), snapshot.state)
        for at, value in enumerate(values):
            after.take(at, value)
        assert before.out + after.out == straight.out, crash
