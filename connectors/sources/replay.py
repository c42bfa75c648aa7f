"""Recorded telemetry of a folder, replayed with its original source times.

A folder holds ``NAME.train.csv.gz`` and ``NAME.test.csv.gz`` for each machine and ``dataset.toml`` with ``name`` and
``interval_s`` (60 where the file is missing). Each CSV has a header; the columns ``t`` and ``label`` are no metrics, an
empty cell is a missing value. Row r of a machine, test following train, has the source time 2020-01-01T00:00Z + r ×
interval.

The machines are merged in order of time. Where their train halves differ in length, history ends with the shortest:
from there on every machine is live, so that no test row is taken for history and time never goes back.
"""

from __future__ import annotations

import gzip
import tomllib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import numpy as np
from numpy.typing import NDArray

from connectors.errors import WrongUse
from connectors.ports import Moment, RowFrame
from models.limits import METRIC_NAME_CHARS_MAX, METRICS_MAX, NODE_NAME_CHARS_MAX
from models.telemetry import Schema

ORIGIN_TS: Final = 1_577_836_800.0  # 2020-01-01T00:00Z
INTERVAL_S: Final = 60.0
NO_METRICS: Final = frozenset({"t", "label"})
#: Bytes of text parsed at once: about a thousand rows of 38 metrics, so that the first rows flow at once.
BLOCK_BYTES: Final = 1 << 18
_TRAIN, _TEST = ".train.csv.gz", ".test.csv.gz"

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Table:
    """One CSV file: its metric names in order and the columns in which they stand."""

    path: Path
    metrics: tuple[str, ...]
    columns: tuple[int, ...]
    width: int
    exact: bool = False

    @classmethod
    def of(cls, path: Path, *, no_metrics: frozenset[str] = NO_METRICS, exact: bool = False) -> Table:
        """Read and check the header; raises :class:`WrongUse` that names the file.

        Values are float32, or with ``exact`` float64, as times need it.
        """
        try:
            with _opened(path) as file:
                head = file.readline().decode().strip().split(",")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as fault:
            raise WrongUse(f"{path} cannot be read: {_why(fault)}") from None
        chosen = [(name.strip(), column) for column, name in enumerate(head) if name.strip() not in no_metrics]
        names = tuple(name for name, _ in chosen)
        lengths = {0 < len(name) <= METRIC_NAME_CHARS_MAX for name in names}
        if not 0 < len(names) <= METRICS_MAX or len(set(names)) < len(names) or lengths != {True}:
            raise WrongUse(
                f"{path}, line 1: a header of 1 to {METRICS_MAX} metric names is needed, which differ and have 1 to "
                f"{METRIC_NAME_CHARS_MAX} characters"
            )
        return cls(path, names, tuple(column for _, column in chosen), len(head), exact)

    def blocks(self) -> Iterator[NDArray[Any]]:
        """Rows, a block at a time: ``(rows, metrics)``; raises :class:`WrongUse` naming file and line."""
        line = 2
        try:
            with _opened(self.path) as file:
                file.readline()
                while texts := file.readlines(BLOCK_BYTES):
                    yield self._parse(texts, line)
                    line += len(texts)
        except (OSError, EOFError, zlib.error) as fault:
            raise WrongUse(f"{self.path}, after line {line - 1}: cannot be read: {_why(fault)}") from None

    def _parse(self, texts: list[bytes], line: int) -> NDArray[Any]:
        if all(map(bytes.strip, texts)):
            try:
                rows = np.loadtxt(texts, np.float64, comments=None, delimiter=",", ndmin=2)
            except ValueError:
                rows = None
            if rows is not None and rows.shape == (len(texts), self.width):
                return self._narrow(rows)
        return self._narrow(np.array([self._row(text, line + n) for n, text in enumerate(texts)], np.float64))

    def _row(self, text: bytes, line: int) -> list[float]:
        """One row by itself: slower, but it knows what is wrong with it."""
        cells = text.decode("latin-1").strip("\r\n").split(",")
        if len(cells) != self.width:
            raise WrongUse(f"{self.path}, line {line}: {len(cells)} columns, the header has {self.width}")
        try:
            return [float(cell) if cell.strip() else np.nan for cell in cells]
        except ValueError as fault:
            raise WrongUse(f"{self.path}, line {line}: {fault}") from None

    def _narrow(self, rows: NDArray[np.float64]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(rows[:, self.columns], np.float64 if self.exact else np.float32)


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if path.suffix == ".gz" else path.open("rb")


@dataclass(frozen=True, slots=True)
class _Reading:
    """Where one machine stands: its row at this moment, and whether that is a row of its test half."""

    row: Floats
    live: bool


class Machine:
    """One machine's rows in order, train then test."""

    def __init__(self, name: str, train: Table, test: Table) -> None:
        if train.metrics != test.metrics:
            raise WrongUse(f"{test.path} has other metrics than {train.path.name}")
        if not 0 < len(name) <= NODE_NAME_CHARS_MAX:
            raise WrongUse(f"{train.path}: a machine's name has 1 to {NODE_NAME_CHARS_MAX} characters")
        self.name = name
        self.schema = Schema(train.metrics, (False,) * len(train.metrics))
        self._halves = train, test

    def readings(self) -> Iterator[_Reading]:
        """Every row once, read lazily."""
        for half, live in zip(self._halves, (False, True), strict=True):
            for block in half.blocks():
                for row in block:
                    yield _Reading(row, live)


class Replay:
    """A folder as a :class:`connectors.ports.Source`: train halves as history, then test halves at ``speed``.

    Parameters
    ----------
    folder : the folder
    speed : seconds of source time a second of wall time, above 0

    Raises
    ------
    WrongUse
        The folder or a file of it is missing or malformed; bad rows are found when they are reached.
    """

    brings_ticks = True
    flows_while_waiting = False
    repeatable = True

    def __init__(self, folder: Path, speed: float = 1.0) -> None:
        self.interval_s = interval_of(folder)
        self.machines = _machines(folder)
        self.schemas: Sequence[Schema] = list({machine.schema: None for machine in self.machines})
        self._speed = speed
        self._rows = self._merged()
        self._first_live: _Merged | None = None

    def history(self) -> Iterator[Moment]:
        """Moments until the first machine reaches its test half."""
        for merged in self._rows:
            if merged.live:
                self._first_live = merged
                return
            yield self._moment(merged, 0.0)

    def live(self, start: float) -> Iterator[Moment]:
        """The rest, each moment due by its distance from the first; ``start`` does not matter to recorded times."""
        for _ in self.history() if self._first_live is None else ():
            pass
        first = self._first_live
        if first is not None:
            yield self._moment(first, 0.0)
            for merged in self._rows:
                yield self._moment(merged, (merged.number - first.number) * self.interval_s / self._speed)

    def release(self) -> None:
        """Recorded telemetry has nothing in store that would wait."""

    def _merged(self) -> Iterator[_Merged]:
        going = [(machine, machine.readings()) for machine in self.machines]
        number = 0
        while True:
            found = [(machine, readings, next(readings, None)) for machine, readings in going]
            here = [(machine, reading) for machine, _, reading in found if reading is not None]
            if not here:
                return
            going = [(machine, readings) for machine, readings, reading in found if reading is not None]
            yield _Merged(number, [(m, r.row) for m, r in here], any(r.live for _, r in here))
            number += 1

    def _moment(self, merged: _Merged, due_s: float) -> Moment:
        ts = ORIGIN_TS + merged.number * self.interval_s
        frames = [RowFrame(machine.name, ts, merged.number, machine.schema, row) for machine, row in merged.rows]
        return Moment(ts, due_s, lambda: frames)


@dataclass(frozen=True, slots=True)
class _Merged:
    """The rows that all machines have at one row number, and whether a test row is among them."""

    number: int
    rows: list[tuple[Machine, Floats]]
    live: bool


def interval_of(folder: Path) -> float:
    """The folder's sampling interval in seconds; raises :class:`WrongUse`."""
    if not folder.is_dir():
        raise WrongUse(f"there is no folder {folder}")
    path = folder / "dataset.toml"
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("interval_s", INTERVAL_S)
    except FileNotFoundError:
        return INTERVAL_S
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise WrongUse(f"{path} cannot be read: {_why(fault)}") from None
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < np.inf:
        raise WrongUse(f"{path}: interval_s is {found!r}, must be a number of seconds above 0")
    return float(found)


def _machines(folder: Path) -> list[Machine]:
    names = {suffix: {p.name.removesuffix(suffix) for p in folder.glob(f"*{suffix}")} for suffix in (_TRAIN, _TEST)}
    if not (names[_TRAIN] or names[_TEST]):
        raise WrongUse(f"{folder} holds no NAME{_TRAIN} and NAME{_TEST}")
    lacking = [name + _TRAIN for name in names[_TEST] - names[_TRAIN]]
    lacking += [name + _TEST for name in names[_TRAIN] - names[_TEST]]
    if lacking:
        raise WrongUse(f"{folder} lacks {', '.join(sorted(lacking))}")
    return [
        Machine(name, Table.of(folder / f"{name}{_TRAIN}"), Table.of(folder / f"{name}{_TEST}"))
        for name in sorted(names[_TRAIN])
    ]


def _why(fault: Exception) -> str:
    return getattr(fault, "strerror", None) or str(fault) or type(fault).__name__
