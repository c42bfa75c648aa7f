"""A fault log is read as it is meant; what is wrong with it is named by file and line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import WrongUse
from connectors.fault_log import merged, read_fault_log


def log(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "faults.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_spans_by_node_in_order_of_time(tmp_path: Path) -> None:
    path = log(tmp_path, "node,t_start,t_end,what\nb,30,40,x\na,5.5,6,\nb,1,2,y\n")
    assert read_fault_log(path) == {"a": ((5.5, 6.0),), "b": ((1.0, 2.0), (30.0, 40.0))}


def test_columns_may_stand_in_any_order_with_blanks(tmp_path: Path) -> None:
    assert read_fault_log(log(tmp_path, "t_end, node, t_start\n9, n 1, 8\n")) == {"n 1": ((8.0, 9.0),)}


def test_a_header_alone_is_no_fault(tmp_path: Path) -> None:
    assert read_fault_log(log(tmp_path, "node,t_start,t_end\n")) == {}


def test_a_fault_of_no_length_is_one(tmp_path: Path) -> None:
    assert read_fault_log(log(tmp_path, "node,t_start,t_end\na,5,5\n")) == {"a": ((5.0, 5.0),)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: there is no column node, t_start, t_end"),
        ("node,t_start\na,1\n", "line 1: there is no column t_end"),
        ("node,t_start,t_end\na,1,2\n,3,4\n", "line 3: no node is named"),
        ("node,t_start,t_end\na,soon,2\n", "line 2: t_start 'soon' is no number"),
        ("node,t_start,t_end\na,1\n", "line 2: t_end None is no number"),
        ("node,t_start,t_end\na,1,nan\n", "line 2: t_end 'nan' is no number"),
        ("node,t_start,t_end\na,1,inf\n", "line 2: t_end 'inf' is no number"),
        ("node,t_start,t_end\na,1,2\nb,9,3\n", "line 3: t_end 3 is before t_start 9"),
    ],
)
def test_what_is_wrong_is_named_by_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(WrongUse, match=message) as told:
        read_fault_log(log(tmp_path, text))
    assert "faults.csv" in str(told.value)


def test_a_missing_log_says_what_it_should_hold(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match=r"there is no such file.*node,t_start,t_end"):
        read_fault_log(tmp_path / "faults.csv")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "faults.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongUse, match="cannot be read"):
        read_fault_log(path)


_TIME = st.integers(0, 50)


@given(st.lists(st.tuples(_TIME, _TIME).map(lambda pair: (float(min(pair)), float(max(pair)))), max_size=12))
def test_merged_spans_cover_the_same_and_lie_apart(spans: list[tuple[float, float]]) -> None:
    whole = merged(spans)
    for at in range(51):
        assert any(a <= at <= b for a, b in spans) == any(a <= at <= b for a, b in whole)
    assert all(before[1] < after[0] for before, after in pairwise(whole))
