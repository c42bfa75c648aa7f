"""The file of a history shape: what was written is read, and whatever is wrong with it is named with the cure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import WrongUse
from connectors.history_shape import FORMAT, ShapeFile, load_history, save_history, shipped_history
from models.history import HistoryShape

SHAPE = HistoryShape((7200.0, 500_000.0), (0.3, 0.2), (60.0, 40_000.0), (0.1, 0.1), 1e-7)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    save_history(ShapeFile(SHAPE, {"trace": "abc"}), path)
    assert load_history(path) == ShapeFile(SHAPE, {"trace": "abc"})


def test_the_same_shape_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        save_history(ShapeFile(SHAPE, {"trace": "abc"}), tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_shipped_one_is_read_where_none_is_named() -> None:
    assert load_history() == load_history(shipped_history())
    assert {"data", "trace", "made_with", "regenerate"} <= load_history().provenance.keys()


def content(**change: Any) -> dict[str, Any]:
    shape = {
        "memory_s": [7200.0, 5e5],
        "recurrence": [0.3, 0.2],
        "shared_memory_s": [60.0, 4e4],
        "shared": [0.1, 0.1],
        "base_rate": 1e-7,
    }
    return {"format": FORMAT, "shape": shape | change, "provenance": {}}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "is no JSON"),
        ("[]", "no history shape"),
        (json.dumps({"format": 99}), "no history shape of format 1"),
        (json.dumps({"format": FORMAT}), "no key 'shape'"),
        (json.dumps({"format": FORMAT, "shape": {}, "provenance": {}}), "no key 'memory_s'"),
        (json.dumps(content(base_rate="often")), "often"),
        (json.dumps(content(base_rate=0)), "above 0 and finite"),
        (json.dumps(content(recurrence=[0.9, 0.9])), "fewer than 1 in all"),
        (json.dumps(content(memory_s=7)), "not iterable"),
    ],
)
def test_a_file_that_is_no_shape_is_named_with_the_cure(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(WrongUse, match=why) as told:
        load_history(path)
    assert str(path) in str(told.value)
    assert "forestall lab history --fit FILE makes one" in str(told.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"nowhere\.json: cannot be read: No such file"):
        load_history(tmp_path / "nowhere.json")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="cannot be written: No such file"):
        save_history(ShapeFile(SHAPE, {}), tmp_path / "none" / "mine.json")
