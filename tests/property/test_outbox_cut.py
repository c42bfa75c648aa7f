"""An outbox that is cut anywhere holds what it told to be safe, and the offsets that belong to just that."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connectors.errors import WrongUse
from connectors.influx.outbox import Entry, Outbox

BOUND = 1 << 16
PLACE = ("control.event.v1", 0)


def entry(first: int, count: int, size: int = 10) -> Entry:
    """Lines that are numbered, and the offset after them: one line an offset."""
    return Entry(
        {PLACE: 0}, {PLACE: first + count}, tuple(f"{n:08d}" + "x" * size for n in range(first, first + count))
    )


def numbers(lines: list[str]) -> list[int]:
    return [int(line[:8]) for line in lines]


class OutboxInUse(RuleBasedStateMachine):
    """Whatever is done, and however often it is opened again: no line is missing, and the offset is the next one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.outbox = Outbox(Path(self.folder.name), BOUND)
        self.made = self.delivered = 0
        self.taken: list[int] = []

    @rule(count=st.integers(0, 20), size=st.integers(0, 900))
    def append(self, count: int, size: int) -> None:
        self.outbox.append(entry(self.made, count, size))
        self.made += count

    @rule(limit=st.integers(1, 60))
    def take(self, limit: int) -> None:
        self.taken = numbers(self.outbox.take(limit))
        assert self.taken == list(range(self.delivered, self.delivered + len(self.taken)))
        assert bool(self.taken) == (self.made > self.delivered)

    @rule()
    def forget(self) -> None:
        self.outbox.forget()
        self.delivered += len(self.taken)
        self.taken = []

    @rule()
    def restart(self) -> None:
        self.outbox.close()
        self.outbox = Outbox(Path(self.folder.name), BOUND)
        self.taken = []

    @invariant()
    def nothing_is_missing(self) -> None:
        assert len(self.outbox) == self.made - self.delivered
        assert self.outbox.next.get(PLACE, 0) == self.made

    def teardown(self) -> None:
        self.outbox.close()
        self.folder.cleanup()


OutboxInUse.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestOutboxInUse = OutboxInUse.TestCase


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.data())
@settings(max_examples=60, deadline=None)
def test_cut_anywhere_it_holds_the_entries_before_the_cut(counts: list[int], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        outbox, made, ends = Outbox(Path(folder), 1 << 20), 0, [(0, 0)]
        for count in counts:
            outbox.append(entry(made, count))
            made += count
            ends.append((outbox.size, made))
        outbox.close()
        [path] = Path(folder).glob("*.outbox")
        cut = data.draw(st.integers(0, ends[-1][0]))
        path.write_bytes(path.read_bytes()[:cut])
        after = Outbox(Path(folder), 1 << 20)
        whole = max(lines for size, lines in ends if size <= cut)
        assert numbers(after.take(1000)) == list(range(whole))
        assert after.next.get(PLACE, 0) == whole
        after.append(entry(whole, 3))
        assert numbers(after.take(1000)) == list(range(whole + 3))
        after.close()


def test_a_segment_that_was_only_begun_hides_no_offsets(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, BOUND)
    outbox.append(entry(0, 5))
    outbox.take(10)
    outbox.forget()
    outbox.close()
    (tmp_path / "000000000009.outbox").touch()
    for _ in range(2):
        again = Outbox(tmp_path, BOUND)
        assert again.next == {PLACE: 5}
        assert len(again) == 0
        again.close()


def test_full_is_told_and_ends_with_delivery(tmp_path: Path) -> None:
    outbox, made = Outbox(tmp_path, BOUND), 0
    while not outbox.full:
        outbox.append(entry(made, 10, 200))
        made += 10
    assert BOUND <= outbox.size < BOUND + 4_000
    while len(outbox):
        outbox.take(50)
        outbox.forget()
    assert not outbox.full
    outbox.close()


def test_a_disk_that_does_not_sync_a_new_segment_costs_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import connectors.influx.outbox as place

    def refuse(_: Path) -> None:
        raise OSError("no sync")

    outbox = Outbox(tmp_path, BOUND)
    outbox.append(entry(0, 5))
    outbox.close()
    again = Outbox(tmp_path, BOUND)
    with monkeypatch.context() as patched:
        patched.setattr(place, "sync_folder", refuse)
        for _ in range(2):
            with pytest.raises(OSError, match="no sync"):
                again.append(entry(5, 5))
    again.append(entry(5, 5))
    assert numbers(again.take(100)) == list(range(10))
    again.close()


def test_it_is_used_by_one_at_a_time(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, BOUND)
    with pytest.raises(WrongUse, match="another sink"):
        Outbox(tmp_path, BOUND)
    outbox.close()


def test_without_the_note_of_what_was_delivered_it_is_given_again(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, BOUND)
    outbox.append(entry(0, 5))
    outbox.take(10)
    outbox.forget()
    outbox.close()
    (tmp_path / "delivered").unlink()
    again = Outbox(tmp_path, BOUND)
    assert numbers(again.take(10)) == [0, 1, 2, 3, 4]
    again.close()
    shutil.rmtree(tmp_path)
