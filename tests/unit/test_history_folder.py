"""A folder of recordings and its fault log: both forms, one clock, and every slip named by file, node or line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from connectors.errors import Failed, WrongUse
from connectors.sources.history_folder import read_history


def table(rows: int, since: float = 0.0, every: float = 10.0, timed: bool = True) -> str:
    head = "t,temp_c,errors_total,label\n" if timed else "temp_c,errors_total\n"
    lines = []
    for k in range(rows):
        cells = [f"{since + every * k:.3f}"] if timed else []
        lines.append(",".join([*cells, str(50 + k), str(k), *(["0"] if timed else [])]))
    return head + "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "n1.csv").write_text(table(20))
    (tmp_path / "n2.csv.gz").write_bytes(gzip.compress(table(20).encode()))
    (tmp_path / "faults.csv").write_text("node,t_start,t_end\nn2,100,150\n")
    (tmp_path / "notes.txt").write_text("not telemetry")
    return tmp_path


def test_a_file_a_node_with_its_own_times(folder: Path) -> None:
    seen: list[int] = []
    recording = read_history(folder, seen.append)
    assert set(recording.nodes) == {"n1", "n2"}
    assert recording.metrics == ("errors_total", "temp_c"), "neither t nor label is a metric"
    assert recording.counters == (True, False)
    assert (recording.interval_s, recording.steps) == (10.0, 20)
    [(row, step)] = recording.failures()
    assert (recording.nodes[row], step) == ("n2", 10)
    assert seen == [20, 40]


def test_unix_times_keep_their_seconds(folder: Path) -> None:
    for name in ("n1", "n2"):
        (folder / f"{name}.csv").write_text(table(20, since=1_763_942_400.25))
    (folder / "n2.csv.gz").unlink()
    (folder / "faults.csv").write_text("node,t_start,t_end\nn1,1763942500,1763942530\n")
    recording = read_history(folder)
    assert (recording.first_ts, recording.interval_s) == (1_763_942_400.25, 10.0)
    assert recording.failures() == [(0, 10)]


def test_without_times_rows_stand_an_interval_apart(folder: Path) -> None:
    (folder / "n2.csv.gz").unlink()
    for name in ("n1", "n2"):
        (folder / f"{name}.csv").write_text(table(20, timed=False))
    (folder / "dataset.toml").write_text("interval_s = 30\n")
    recording = read_history(folder)
    assert recording.interval_s == 30.0
    assert recording.failures() == [(0, 4)]


def test_a_folder_that_is_replayed_counts_from_its_first_row(tmp_path: Path) -> None:
    for name in ("m1", "m2"):
        for half, since in (("train", 0), ("test", 0)):
            text = table(30, since, 1.0)
            (tmp_path / f"{name}.{half}.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "faults.csv").write_text("node,t_start,t_end\nm2,2400,2500\n")
    recording = read_history(tmp_path)
    assert (recording.interval_s, recording.steps) == (60.0, 60)
    [(row, step)] = recording.failures()
    assert (recording.nodes[row], step) == ("m2", 40)
    assert np.isnan(np.concatenate(list(recording.blocks(60)))[40, row]).all()


def test_a_folder_without_labels_says_where_they_stand(folder: Path) -> None:
    (folder / "faults.csv").unlink()
    with pytest.raises(WrongUse, match=r"faults\.csv: there is no such file; the labels stand there"):
        read_history(folder)


def test_a_fault_of_an_unknown_node_is_a_slip(folder: Path) -> None:
    (folder / "faults.csv").write_text("node,t_start,t_end\nn7,100,150\n")
    with pytest.raises(WrongUse, match="names nodes without telemetry: n7; there are n1, n2"):
        read_history(folder)


@pytest.mark.parametrize("start", [-50, 201, 1_763_942_500])
def test_a_fault_on_another_clock_is_a_slip(folder: Path, start: int) -> None:
    (folder / "faults.csv").write_text(f"node,t_start,t_end\nn1,{start},{start + 10}\n")
    with pytest.raises(WrongUse, match=f"n1 fails at {start} s, outside the telemetry.*another clock"):
        read_history(folder)


def test_a_row_without_a_time_is_named(folder: Path) -> None:
    (folder / "n1.csv").write_text("t,temp_c\n1,5\n,6\n")
    with pytest.raises(WrongUse, match=r"n1\.csv, line 3: the column t holds no number"):
        read_history(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t\n1\n", "no metric beside the column t"),
        ("t,a,a\n1,2,3\n", "metric names"),
        ("t,a\n1,2,3\n", "line 2: 3 columns"),
        ("t,a\n1,hot\n", "line 2"),
    ],
)
def test_a_malformed_file_is_named(folder: Path, text: str, message: str) -> None:
    (folder / "n1.csv").write_text(text)
    with pytest.raises(WrongUse, match=message) as told:
        read_history(folder)
    assert "n1.csv" in str(told.value)


def test_a_folder_without_telemetry_says_what_it_should_hold(tmp_path: Path) -> None:
    (tmp_path / "faults.csv").write_text("node,t_start,t_end\n")
    with pytest.raises(WrongUse, match=r"holds neither NAME\.csv"):
        read_history(tmp_path)


def test_a_header_alone_gives_nothing_to_learn(tmp_path: Path) -> None:
    (tmp_path / "faults.csv").write_text("node,t_start,t_end\n")
    (tmp_path / "n1.csv").write_text("t,temp_c\n")
    with pytest.raises(Failed, match="no frames"):
        read_history(tmp_path)
