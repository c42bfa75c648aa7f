"""The seen-set: what is told of damage, of a full disk, and what waits to be published."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors import seen_set
from connectors.errors import Failed
from connectors.seen_set import LINES_MAX, SeenSet
from models.command_protocol import Readmission, Record
from models.records import Cause, Command, NodeFate, Outcome, Reason

ORDER = Command(
    id="c",
    action="DRAIN",
    job="job",
    node="n1",
    generation=3,
    issued_at=1.0,
    expires_at=61.0,
    reason=Reason(rule="test"),
    cause=Cause(0, 0),
)


def fate(name: str) -> NodeFate:
    return NodeFate(id=name, job="job", node="n1", at=1.0, state="failed")


def test_what_was_appended_waits_until_it_is_settled(tmp_path: Path) -> None:
    seen = SeenSet(tmp_path / "deep" / "commands.jsonl")
    seen.append_fate(fate("a"))
    seen.append_fate(fate("b"))
    seen.settle(["a", "unknown"])
    seen.close()
    again = SeenSet(tmp_path / "deep" / "commands.jsonl")
    assert again.pending() == [fate("b")]
    again.close()


@pytest.mark.parametrize("damage", [b"garbage\n", b'{"event":{"v":9}}\n', b'{"neither":1}\n', b"[]\n"])
def test_a_damaged_line_in_the_middle_is_told_with_its_number(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "commands.jsonl"
    seen = SeenSet(path)
    seen.append_fate(fate("a"))
    seen.close()
    whole = path.read_bytes()
    path.write_bytes(whole + damage + whole)
    with pytest.raises(Failed, match=r"damaged at line 2 .*a second time"):
        SeenSet(path)


def test_a_full_disk_fails_before_the_effect_and_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "commands.jsonl"
    seen = SeenSet(path)
    seen.append_fate(fate("a"))
    real = os.write

    def half(descriptor: int, data: bytes) -> int:
        if len(data) > 20:
            return real(descriptor, bytes(data[:20]))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(Failed, match="No space left on device; no command is carried out"):
        seen.append_fate(fate("b"))
    monkeypatch.setattr(os, "write", real)
    seen.append_fate(fate("c"))
    seen.close()
    again = SeenSet(path)
    assert [one.id for one in again.pending()] == ["a", "c"]
    again.close()


def test_when_a_node_was_given_back_is_kept_and_so_is_when_a_command_was_accepted(tmp_path: Path) -> None:
    path = tmp_path / "commands.jsonl"
    seen = SeenSet(path)
    outcome = Outcome(
        id="o", job="job", command="c", action="DRAIN", node="n1", stage="done", at=9.5, rank=None, seconds=2.0
    )
    entered = Record(outcome, ORDER, accepted_at=7.25)
    seen.append([entered])
    seen.readmit(11.5)
    seen.close()
    again = SeenSet(path)
    assert again.records == [entered, Readmission(11.5)]
    again.compact(again.records)
    again.close()
    third = SeenSet(path)
    assert third.records == [entered, Readmission(11.5)]
    assert third.pending() == [outcome]
    third.close()


def test_there_is_room_until_too_much_waits_and_again_when_it_was_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_set, "PENDING_MAX", 3)
    seen = SeenSet(tmp_path / "commands.jsonl")
    for name in "abc":
        assert seen.has_room()
        seen.append_fate(fate(name))
    assert not seen.has_room()
    seen.settle(["b"])
    assert seen.has_room()
    seen.close()


def test_what_still_counts_is_not_rewritten_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A memory that is larger than the bound of the file would else be written anew at each look."""
    monkeypatch.setattr(seen_set, "LINES_MAX", 10)
    seen = SeenSet(tmp_path / "commands.jsonl")
    for number in range(40):
        seen.append_fate(fate(f"f{number}"))
    assert seen.needs_compaction()
    seen.compact([])
    assert not seen.needs_compaction()
    for number in range(40):
        seen.append_fate(fate(f"g{number}"))
    assert not seen.needs_compaction()
    seen.append_fate(fate("h"))
    assert seen.needs_compaction()
    seen.close()


def test_it_asks_to_be_compacted_when_it_has_grown(tmp_path: Path) -> None:
    seen = SeenSet(tmp_path / "commands.jsonl")
    assert not seen.needs_compaction()
    for number in range(LINES_MAX // 1000 + 1):
        names = [f"{number}-{index}" for index in range(1000)]
        for name in names:
            seen._pending[name] = fate(name)
        seen.settle(names)
    assert seen.needs_compaction()
    seen.compact([])
    assert not seen.needs_compaction()
    seen.close()
