"""The seen-set: what is told of damage, of a full disk, and what waits to be published."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.errors import Failed
from connectors.seen_set import LINES_MAX, SeenSet
from models.records import NodeFate


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
