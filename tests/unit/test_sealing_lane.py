"""A lane that seals: a chain over fresh outputs, gone on with from what really stands on the output."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from memory_publisher import MemoryPublisher
from signing_keys import shared_sealer
from test_restore import MemoryLog

from connectors.signing import FileSealer, KeyFolder
from connectors.signing.seal import NO_LINK, link_of
from streams import lane as lanes
from streams.batch import Batch, Partition
from streams.fold import Ordered, Output, Place, Stage
from streams.lane import NOTHING, Lane, Restored, published_on, restore

SOURCE = Partition("in", 0)


class Counting:
    """A fold whose nth record gives one output that says n; what it has taken is its state."""

    loading = False

    def __init__(self, taken: int = 0) -> None:
        self.taken = taken

    def apply(self, batch: Batch) -> list[Output]:
        outputs: list[Output] = []
        for offset, _ in batch.records():
            self.taken += 1
            value = json.dumps({"n": self.taken, "cause": {"offset": offset, "index": 0}}).encode()
            outputs.append(Ordered(Place(offset, 0), b"k", value))
        return outputs

    def snapshot(self) -> bytes:
        return str(self.taken).encode()


def place_of(value: bytes) -> Place | None:
    try:
        cause = json.loads(value)["cause"]
    except (ValueError, KeyError):
        return None
    return Place(cause["offset"], cause["index"])


def stage(sealer: FileSealer | None = None) -> Stage:
    return Stage("in", "out", lambda number, state: Counting(int(state or 0)), place_of, sealer or shared_sealer())


def log_of(values: list[bytes]) -> MemoryLog:
    """A broker with ten records of input, no snapshot, and this output."""
    return MemoryLog({("in", 0): (0, [(b"k", b"x")] * 10), ("out", 0): (0, [(b"k", value) for value in values])})


def go_on(log: MemoryLog, sealer: FileSealer | None = None, records: int = 10) -> list[bytes]:
    """Restore a lane from the log and have it take records; returns what it writes."""
    publisher = MemoryPublisher()
    restored = restore(log, stage(sealer), 0, "snapshots")  # type: ignore[arg-type]
    lane = Lane(stage(sealer), 0, restored, publisher, "snapshots", now=0.0)  # type: ignore[arg-type]
    lane.take(Batch(SOURCE, 0, [b"k"] * records, [b"x"] * records))
    return publisher.on("out")


def linked(values: list[bytes]) -> bool:
    named = [json.loads(value)["previous"] for value in values]
    return named == [NO_LINK, *(link_of(value) for value in values[:-1])]


WHOLE = go_on(log_of([]))


def test_outputs_are_sealed_in_one_chain() -> None:
    assert [json.loads(value)["n"] for value in WHOLE] == list(range(1, 11))
    assert linked(WHOLE)
    assert all(shared_sealer().holds(value) for value in WHOLE)


def test_a_batch_at_a_time_gives_the_same_bytes() -> None:
    publisher = MemoryPublisher()
    lane = Lane(stage(), 0, Restored(Counting(), 0, NOTHING), publisher, "snapshots", now=0.0)  # type: ignore[arg-type]
    for at in range(10):
        lane.take(Batch(SOURCE, at, [b"k"], [b"x"]))
    assert publisher.on("out") == WHOLE


@pytest.mark.parametrize("held", range(11))
def test_a_crash_after_any_output_changes_no_byte(held: int) -> None:
    assert go_on(log_of(WHOLE[:held])) == WHOLE[held:]


def test_what_a_hung_worker_wrote_again_does_not_enter_the_chain() -> None:
    """It wakes up and writes its second and third outputs, which are there already."""
    assert go_on(log_of([*WHOLE[:6], *WHOLE[1:3]])) == WHOLE[6:]


def test_a_hung_worker_writes_what_is_there_already_byte_for_byte() -> None:
    hung = go_on(log_of(WHOLE[:2]), records=5)
    assert hung == WHOLE[2:5]


@pytest.mark.parametrize(
    "forged",
    [
        b'{"cause":{"offset":1000000,"index":0}}',
        WHOLE[5].replace(b'"offset": 5', b'"offset": 9'),
        b"garbage",
    ],
)
def test_what_others_put_on_the_output_neither_silences_the_lane_nor_enters_the_chain(forged: bytes) -> None:
    assert go_on(log_of([*WHOLE[:4], forged, forged])) == WHOLE[4:]


def test_a_flood_of_forgeries_does_not_hide_what_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "TAIL_RECORDS", 3)
    flood = [b'{"cause":{"offset":1000000,"index":0}}'] * 50
    assert go_on(log_of([*WHOLE[:4], *flood])) == WHOLE[4:]
    assert published_on(log_of(flood), stage(), 0) == (NOTHING, None)  # type: ignore[arg-type]


def test_a_stage_that_does_not_seal_writes_what_its_fold_says() -> None:
    plain = Stage("in", "out", lambda number, state: Counting(), place_of)
    publisher = MemoryPublisher()
    lane = Lane(plain, 0, Restored(Counting(), 0, NOTHING), publisher, "snapshots", now=0.0)  # type: ignore[arg-type]
    lane.take(Batch(SOURCE, 0, [b"k"], [b"x"]))
    assert publisher.on("out") == [b'{"n": 1, "cause": {"offset": 0, "index": 0}}']


@pytest.mark.parametrize("held", range(11))
def test_a_key_that_changes_meanwhile_does_not_fork_the_chain(held: int, tmp_path: Path) -> None:
    """A worker with the old key is taken over from by one with the new, wakes up, and goes on for three outputs."""
    files = KeyFolder.at(tmp_path)
    old = files.new(1_763_942_400.0).id
    first = go_on(log_of([]), FileSealer(files, print))
    files.rotate(1_763_942_400.0)
    files.switch()
    taken_over = first[:held] + go_on(log_of(first[:held]), FileSealer(files, print))
    assert linked(taken_over)
    assert {json.loads(value)["key_id"] == old for value in taken_over[held:]} <= {False}
    assert [link_of(value) for value in taken_over] == [link_of(value) for value in first]
