"""Folders of recorded telemetry, made for a test."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path

Halves = tuple[Sequence[str], Sequence[str]]


def write_folder(
    folder: Path, machines: Mapping[str, Halves], metrics: int = 2, interval_s: float | None = None
) -> Path:
    """A folder in the form that replay reads; each half is a list of rows without ``t`` (and, in test, label)."""
    folder.mkdir(parents=True, exist_ok=True)
    if interval_s is not None:
        (folder / "dataset.toml").write_text(f'name = "made"\ninterval_s = {interval_s}\n')
    head = ",".join(["t", *(f"m{column:02d}" for column in range(metrics))])
    for name, (train, test) in machines.items():
        write_half(folder / f"{name}.train.csv.gz", head, [f"{n},{row}" for n, row in enumerate(train)])
        write_half(folder / f"{name}.test.csv.gz", head + ",label", [f"{n},{row},1" for n, row in enumerate(test)])
    return folder


def write_half(path: Path, head: str, rows: Sequence[str]) -> None:
    """One CSV file, compressed."""
    path.write_bytes(gzip.compress("".join(line + "\n" for line in (head, *rows)).encode(), mtime=0))


def numbered(rows: int, metrics: int = 2, first: int = 0) -> list[str]:
    """Rows whose every value is the row's number."""
    return [",".join([str(first + row)] * metrics) for row in range(rows)]
