"""A folder of labelled telemetry: what is read, and what is refused by file, line, column and cure."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiments.detection.folder import ROWS_MIN, read_folder

ROWS = ROWS_MIN + 10


def write_machine(folder: Path, name: str = "a", rows: int = ROWS, metrics: int = 3) -> None:
    draw = np.random.default_rng(1)
    head = ",".join(f"m{at}" for at in range(metrics))
    for part, extra in (("train", ""), ("test", ",label")):
        lines = [f"t,{head}{extra}"]
        for row in range(rows):
            label = f",{int(100 <= row < 110)}" if extra else ""
            lines.append(f"{row}," + ",".join(f"{v:.4f}" for v in draw.normal(size=metrics)) + label)
        write(folder / f"{name}.{part}.csv.gz", lines)
    (folder / f"{name}.events.csv").write_text("start,end,metrics\n100,110,m0\n")


def write(file: Path, lines: list[str]) -> None:
    file.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))


def change(file: Path, line: int, turn: Callable[[str], str]) -> None:
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    lines[line - 1] = turn(lines[line - 1])
    write(file, lines)


def cell(column: int, text: str) -> Callable[[str], str]:
    def turn(line: str) -> str:
        cells = line.split(",")
        cells[column] = text
        return ",".join(cells)

    return turn


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_machine(tmp_path)
    (tmp_path / "dataset.toml").write_text('name = "mine"\ninterval_s = 300\n')
    return tmp_path


def test_halves_metrics_labels_and_interval_are_read(folder: Path) -> None:
    write_machine(folder, "b", metrics=5)
    read = read_folder(folder)
    assert (read.name, read.interval_s) == ("mine", 300.0)
    assert [machine.name for machine in read.machines] == ["a", "b"]
    machine = read.machines[0]
    assert machine.metrics == ("m0", "m1", "m2")
    assert machine.train.values.shape == machine.test.values.shape == (ROWS, 3)
    assert np.flatnonzero(machine.label).tolist() == list(range(100, 110))
    assert set(machine.test.seconds.tolist()) == {300.0}


def test_without_dataset_toml_a_row_is_a_minute(folder: Path) -> None:
    (folder / "dataset.toml").unlink()
    assert read_folder(folder).interval_s == 60.0


def test_progress_is_told_machine_by_machine(folder: Path) -> None:
    write_machine(folder, "b")
    told: list[int] = []
    read_folder(folder, told.append)
    assert told == [1, 2]


@pytest.mark.parametrize("text", ["", "nan", "NaN", "inf", "-inf"])
def test_an_empty_cell_and_nan_are_missing_values(folder: Path, text: str) -> None:
    change(folder / "a.train.csv.gz", 7, cell(2, text))
    values = read_folder(folder).machines[0].train.values
    assert np.argwhere(np.isnan(values)).tolist() == [[5, 1]]


def test_t_may_count_in_any_unit_and_skip(folder: Path) -> None:
    file = folder / "a.test.csv.gz"
    for line in range(2, ROWS + 2):
        row = line - 2 + (5 if line >= 100 else 0)
        change(file, line, cell(0, str(row * 7)))
    seconds = read_folder(folder).machines[0].test.seconds
    assert seconds[98] == 6 * 300.0
    assert np.delete(seconds, 98).tolist() == [300.0] * (ROWS - 1)


@pytest.mark.parametrize("part", ["a.train.csv.gz", "a.test.csv.gz", "a.events.csv"])
def test_a_missing_file_is_named(folder: Path, part: str) -> None:
    (folder / part).unlink()
    with pytest.raises(ValueError, match=rf"{part}: is missing"):
        read_folder(folder)


def test_a_folder_without_a_machine_and_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no machine"):
        read_folder(tmp_path)
    with pytest.raises(ValueError, match="nowhere: is no folder"):
        read_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("part", "line", "column", "text", "words"),
    [
        ("train", 1, 0, "time", r"a.train.csv.gz, line 1: there is no column 't'"),
        ("test", 1, 4, "truth", r"a.test.csv.gz, line 1: there is no column 'label'"),
        ("train", 1, 2, "m0", r"a.train.csv.gz, line 1: names a column twice"),
        ("test", 1, 2, "other", r"metrics differ from those of a.train.csv.gz: m1, other"),
        ("train", 9, 2, "hot", r"a.train.csv.gz, line 9, column m1: 'hot' is no number"),
        ("train", 9, 2, "1,2", r"a.train.csv.gz, line 9: has 5 cells; the header names 4 columns"),
        ("test", 12, 4, "2", r"a.test.csv.gz, line 12: label is 2; it must be 0 or 1"),
        ("test", 12, 4, "", r"a.test.csv.gz, line 12, column label: '' is no number"),
        ("test", 12, 0, "3", r"a.test.csv.gz, line 12: t does not rise"),
    ],
)
def test_a_fault_in_a_table_is_named_by_line_and_column(
    folder: Path, part: str, line: int, column: int, text: str, words: str
) -> None:
    change(folder / f"a.{part}.csv.gz", line, cell(column, text))
    with pytest.raises(ValueError, match=words):
        read_folder(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("begin,end\n1,2\n", "a.events.csv, line 1: the header must begin with start,end"),
        ("start,end\n1,2\n9,3\n", "a.events.csv, line 3: the event ends"),
        ("start,end\n1,soon\n", "a.events.csv, line 2, column end: 'soon' is no number"),
    ],
)
def test_a_broken_list_of_events_is_named(folder: Path, content: str, words: str) -> None:
    (folder / "a.events.csv").write_text(content)
    with pytest.raises(ValueError, match=words):
        read_folder(folder)


@pytest.mark.parametrize("value", ["0", "-60", "true", '"60"', "inf"])
def test_an_interval_must_be_seconds(folder: Path, value: str) -> None:
    (folder / "dataset.toml").write_text(f"interval_s = {value}\n")
    with pytest.raises(ValueError, match=r"dataset.toml: interval_s is"):
        read_folder(folder)


def test_broken_toml_and_broken_gzip_are_named(folder: Path) -> None:
    (folder / "dataset.toml").write_text("interval_s = = 3")
    with pytest.raises(ValueError, match=r"dataset.toml: is no TOML"):
        read_folder(folder)
    (folder / "dataset.toml").unlink()
    (folder / "a.train.csv.gz").write_bytes(b"plain text")
    with pytest.raises(ValueError, match=r"a.train.csv.gz: is no gzip of text"):
        read_folder(folder)


def test_too_few_rows_and_nothing_to_find(folder: Path) -> None:
    write_machine(folder, rows=100)
    with pytest.raises(ValueError, match="has 100 rows; at least"):
        read_folder(folder)
    write_machine(folder)
    for line in range(102, 112):
        change(folder / "a.test.csv.gz", line, cell(4, "0"))
    with pytest.raises(ValueError, match="nothing to find"):
        read_folder(folder)
