"""A log of faults is read as it is meant, and whatever is wrong with it is named by file, line and cure."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from experiments.failure_trace.reading import read_trace

REAL = Path(__file__).parents[1] / "data" / "infinitehbd" / "faults-days-0-174.csv.gz"


def log(tmp_path: Path, *rows: str, header: str = "node,t_start,t_end") -> Path:
    path = tmp_path / "faults.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def faults(path: Path, nodes: int = 10) -> list[tuple[int, float, float]]:
    trace = read_trace(path, nodes)
    return [(int(n), float(s), float(e)) for n, s, e in zip(trace.node, trace.start, trace.end, strict=True)]


def test_the_real_log_is_read_whole() -> None:
    trace = read_trace(REAL, 400)
    assert (trace.nodes, len(trace.node), trace.merged) == (400, 312, 0)
    assert len(set(trace.node.tolist())) == 159
    assert (np.diff(trace.start) >= 0).all()
    assert (trace.end >= trace.start).all()
    assert trace.start[0] == 336_571
    assert trace.end.max() == 174 * 86_400


def test_gzip_and_plain_are_the_same(tmp_path: Path) -> None:
    plain = tmp_path / "plain.csv"
    plain.write_bytes(gzip.decompress(REAL.read_bytes()))
    assert faults(plain, 400) == faults(REAL, 400)


def test_rows_in_any_order_and_further_columns_do_not_matter(tmp_path: Path) -> None:
    given = log(tmp_path, "disk,9,b,5", ",7,a,3.5", header="class,t_end,node, t_start ")
    assert faults(given) == [(0, 3.5, 7.0), (1, 5.0, 9.0)]


def test_numbers_are_names_too_and_an_empty_line_is_none(tmp_path: Path) -> None:
    assert faults(log(tmp_path, "4711,0,1", "", "17,2,3", "4711,4,5")) == [(0, 0, 1), (1, 2, 3), (0, 4, 5)]


def test_a_mark_of_byte_order_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "faults.csv"
    path.write_bytes(b"\xef\xbb\xbfnode,t_start,t_end\r\na,1,2\r\n")
    assert faults(path) == [(0, 1, 2)]


def test_a_fault_may_last_no_time(tmp_path: Path) -> None:
    assert faults(log(tmp_path, "a,5,5")) == [(0, 5, 5)]


@pytest.mark.parametrize(
    ("rows", "kept", "merged"),
    [
        (["a,0,10", "a,5,20"], [(0, 0, 20)], 1),
        (["a,0,30", "a,5,20"], [(0, 0, 30)], 1),
        (["a,0,10", "a,10,20"], [(0, 0, 20)], 1),
        (["a,5,5", "a,5,5"], [(0, 5, 5)], 1),
        (["a,0,10", "a,5,20", "a,15,30"], [(0, 0, 30)], 2),
        (["a,0,10", "a,11,20"], [(0, 0, 10), (0, 11, 20)], 0),
        (["a,0,10", "b,5,20"], [(0, 0, 10), (1, 5, 20)], 0),
    ],
)
def test_faults_of_one_node_that_overlap_are_made_one_and_counted(
    tmp_path: Path, rows: list[str], kept: list[tuple[int, float, float]], merged: int
) -> None:
    path = log(tmp_path, *rows)
    assert faults(path) == kept
    assert read_trace(path, 10).merged == merged


def test_what_was_merged_once_is_not_merged_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    starts = rng.integers(0, 500, 60)
    rows = [f"n{rng.integers(5)},{start},{start + rng.integers(0, 40)}" for start in starts]
    once = read_trace(log(tmp_path, *rows), 5)
    again = log(tmp_path, *(f"n{n},{s},{e}" for n, s, e in zip(once.node, once.start, once.end, strict=True)))
    assert once.merged > 0
    assert read_trace(again, 5).merged == 0
    assert faults(again) == [(int(n), s, e) for n, s, e in zip(once.node, once.start, once.end, strict=True)]


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ("a,20,10", "t_end 10 is before t_start 20"),
        ("a,-1,10", "t_start is '-1'"),
        ("a,1,many", "t_end is 'many'"),
        ("a,1,", "t_end is ''"),
        ("a,nan,1", "t_start is 'nan'"),
        ("a,1,inf", "t_end is 'inf'"),
        ("a,1", "2 fields"),
        (" ,1,2", "node is empty"),
        ('"a,1,2', "unexpected end of data"),
    ],
)
def test_a_wrong_row_is_named_by_file_line_and_cure(tmp_path: Path, row: str, what: str) -> None:
    path = log(tmp_path, "a,1,2", row)
    with pytest.raises(ValueError, match="line 3: ") as told:
        read_trace(path, 10)
    assert str(path) in str(told.value)
    assert what in str(told.value)
    assert "; " in str(told.value)


@pytest.mark.parametrize(("text", "missing"), [("", "node, t_start, t_end"), ("node,start,t_end\na,1,2\n", "t_start")])
def test_a_missing_column_is_named(tmp_path: Path, text: str, missing: str) -> None:
    path = tmp_path / "faults.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"line 1: no column {missing}; begin with a header"):
        read_trace(path, 10)


def test_a_log_without_faults_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no fault"):
        read_trace(log(tmp_path), 10)


def test_more_nodes_than_the_fleet_has_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 nodes have faults, the fleet has 1; give its size by --nodes"):
        read_trace(log(tmp_path, "a,1,2", "b,3,4"), 1)


def test_a_fleet_needs_a_node(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a fleet of 0 nodes"):
        read_trace(log(tmp_path, "a,1,2"), 0)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file"),
        (b"\x1f\x8b\x08broken", "cannot be read"),
        (gzip.compress(b"node,t_start,t_end\n", mtime=0)[:10] + b"\xff" * 40, "cannot be read"),
        (b"node,t_start,t_end\n\xff,1,2\n", "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    path = tmp_path / "faults.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=why) as told:
        read_trace(path, 10)
    assert str(told.value).startswith(str(path))


def test_a_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: Is a directory"):
        read_trace(tmp_path, 10)
