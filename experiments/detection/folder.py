"""A folder of labelled telemetry: ``NAME.train.csv.gz``, ``NAME.test.csv.gz`` and ``NAME.events.csv`` a machine.

Both halves have a column ``t`` (a running number or time) and one for each metric; the test half has ``label`` too, 1
inside an anomaly. ``dataset.toml`` gives ``interval_s``, the seconds between two rows (60 without it). An empty cell or
``nan`` is a missing value. Whatever is wrong is named by file, line and column.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import tomllib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

TIME: Final = "t"
LABEL: Final = "label"
INTERVAL_S: Final = 60.0
ROWS_MIN: Final = 240  # of either half
PARTS: Final = (".train.csv.gz", ".test.csv.gz", ".events.csv")


@dataclass(frozen=True, slots=True)
class Half:
    """Rows of one half in time order; NaN where a value is missing."""

    values: Doubles  # (rows, metrics)
    seconds: Doubles  # (rows,): since the row before


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine: a half without labels to learn on, and one to be scored on."""

    name: str
    metrics: tuple[str, ...]
    train: Half
    test: Half
    label: NDArray[np.bool_]  # (rows of test,)


@dataclass(frozen=True, slots=True)
class Folder:
    """All machines of a folder, by name, and the seconds between two of their rows."""

    name: str
    interval_s: float
    machines: tuple[Machine, ...]


def read_folder(path: Path, progress: Callable[[int], None] = lambda done: None) -> Folder:
    """Read a folder; ``progress`` is told how many machines were read.

    Raises
    ------
    ValueError
        Not a folder of this form, a file is missing, a column is missing or differs between the halves, a cell is no
        number, there is no anomaly to find: names file, line, column and cure.
    """
    names = machine_names(path)
    name, interval_s = _about(path)
    machines = []
    for done, each in enumerate(names, start=1):
        machines.append(_machine(path, each, interval_s))
        progress(done)
    if not any(machine.label.any() for machine in machines):
        raise ValueError(f"{path}: no row of any test half has {LABEL} 1, so there is nothing to find")
    return Folder(name, interval_s, tuple(machines))


def machine_names(path: Path) -> list[str]:
    """Return the names of a folder's machines; each has all of its files."""
    if not path.is_dir():
        raise ValueError(f"{path}: is no folder; name one with {', '.join('NAME' + part for part in PARTS)}")
    found = {file.name.removesuffix(part) for part in PARTS for file in path.glob(f"*{part}")}
    if not found:
        raise ValueError(f"{path}: has no machine; there must be {', '.join('NAME' + part for part in PARTS)}")
    for name in sorted(found):
        for part in PARTS:
            if not (path / f"{name}{part}").is_file():
                raise ValueError(f"{path / (name + part)}: is missing; every machine has {', '.join(PARTS)}")
    return sorted(found)


def _about(path: Path) -> tuple[str, float]:
    file = path / "dataset.toml"
    if not file.exists():
        return path.name, INTERVAL_S
    try:
        told = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        raise ValueError(f"{file}: is no TOML: {wrong}") from wrong
    interval = told.get("interval_s", INTERVAL_S)
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 < interval < math.inf:
        raise ValueError(f"{file}: interval_s is {interval!r}; it must be seconds, above 0")
    return str(told.get("name", path.name)), float(interval)


def _machine(path: Path, name: str, interval_s: float) -> Machine:
    train_file, test_file, events_file = (path / f"{name}{part}" for part in PARTS)
    metrics, train = _table(train_file, labelled=False)
    tested, test = _table(test_file, labelled=True)
    if metrics != tested:
        odd = sorted(set(metrics) ^ set(tested)) or ["their order"]
        raise ValueError(f"{test_file}: its metrics differ from those of {train_file.name}: {', '.join(odd[:5])}")
    label = test[:, -1]
    if not np.isin(label, (0.0, 1.0)).all():
        line = int(np.flatnonzero(~np.isin(label, (0.0, 1.0)))[0]) + 2
        raise ValueError(f"{test_file}, line {line}: {LABEL} is {label[line - 2]:g}; it must be 0 or 1")
    _check_events(events_file)
    return Machine(
        name,
        metrics,
        Half(train[:, 1:], _seconds(train_file, train[:, 0], interval_s)),
        Half(test[:, 1:-1], _seconds(test_file, test[:, 0], interval_s)),
        label == 1.0,
    )


def _seconds(file: Path, t: Doubles, interval_s: float) -> Doubles:
    """Seconds since the row before, whatever unit ``t`` counts in: its usual step is one interval."""
    steps = np.diff(t)
    if not (steps > 0).all():
        line = int(np.flatnonzero(~(steps > 0))[0]) + 3
        raise ValueError(f"{file}, line {line}: {TIME} does not rise; rows must be in time order")
    return np.concatenate([[interval_s], steps / np.median(steps) * interval_s])


def _table(file: Path, *, labelled: bool) -> tuple[tuple[str, ...], Doubles]:
    """The names of the metrics, and ``t``, the metrics and (where ``labelled``) the label as columns."""
    text = _text(file)
    head, _, body = text.partition("\n")
    columns = [cell.strip() for cell in head.split(",")]
    wanted = {TIME, LABEL} if labelled else {TIME}
    for column in sorted(wanted - set(columns)):
        raise ValueError(f"{file}, line 1: there is no column {column!r}")
    metrics = tuple(column for column in columns if column not in {TIME, LABEL})
    if not metrics or len(set(columns)) < len(columns):
        raise ValueError(f"{file}, line 1: names {'no metric' if not metrics else 'a column twice'}")
    table = _numbers(file, body, columns)
    if len(table) < ROWS_MIN:
        raise ValueError(f"{file}: has {len(table)} rows; at least {ROWS_MIN} are needed to learn or to score")
    order = [columns.index(TIME), *(columns.index(m) for m in metrics), *([columns.index(LABEL)] if labelled else [])]
    table = table[:, order]
    return metrics, np.where(np.isinf(table), np.nan, table)


def _numbers(file: Path, body: str, columns: list[str]) -> Doubles:
    try:
        table: Doubles = np.loadtxt(io.StringIO(body), delimiter=",", ndmin=2, comments=None)
    except ValueError:
        table = _cell_by_cell(file, body, columns)
    if table.shape[1] != len(columns):
        raise ValueError(f"{file}, line 2: has {table.shape[1]} cells; the header names {len(columns)} columns")
    return table


def _cell_by_cell(file: Path, body: str, columns: list[str]) -> Doubles:
    """As :func:`numpy.loadtxt` would, but with missing cells, and naming the one that is no number."""
    rows = []
    for line, row in enumerate(csv.reader(io.StringIO(body)), start=2):
        if len(row) != len(columns):
            raise ValueError(f"{file}, line {line}: has {len(row)} cells; the header names {len(columns)} columns")
        rows.append([_number(file, line, name, cell) for name, cell in zip(columns, row, strict=True)])
    return np.array(rows, np.float64).reshape(len(rows), len(columns))


def _number(file: Path, line: int, column: str, cell: str) -> float:
    if not cell.strip() and column not in {TIME, LABEL}:
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{file}, line {line}, column {column}: {cell!r} is no number") from None


def _text(file: Path) -> str:
    try:
        return gzip.decompress(file.read_bytes()).decode()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as wrong:
        _unreadable(file, wrong)


def _unreadable(file: Path, wrong: Exception) -> NoReturn:
    raise ValueError(f"{file}: is no gzip of text: {wrong}") from wrong


def _check_events(file: Path) -> None:
    """The list of events is for people; the label column counts. Yet a broken list means a broken folder."""
    rows = list(csv.reader(io.StringIO(file.read_text())))
    if not rows or rows[0][:2] != ["start", "end"]:
        raise ValueError(f"{file}, line 1: the header must begin with start,end")
    for line, row in enumerate(rows[1:], start=2):
        first, last = (_number(file, line, name, cell) for name, cell in zip(("start", "end"), row[:2], strict=True))
        if not first < last:
            raise ValueError(f"{file}, line {line}: the event ends ({last:g}) before it starts ({first:g})")
