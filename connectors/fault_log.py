"""A fault log: which node was down from when to when, as a CSV file ``node,t_start,t_end`` in seconds."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from connectors.errors import WrongUse

COLUMNS: Final = ("node", "t_start", "t_end")
Span = tuple[float, float]
Spans = Mapping[str, tuple[Span, ...]]


def read_fault_log(path: Path) -> Spans:
    """Spans of each node in order of time, those that overlap made one.

    Raises
    ------
    WrongUse
        The file is missing, has no such columns, or a line of it has no node, no number, or ends before it starts.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise WrongUse(
            f"{path}: there is no such file; the labels stand there, a line a fault: {','.join(COLUMNS)} (seconds)"
        ) from None
    except (OSError, UnicodeDecodeError) as wrong:
        raise WrongUse(f"{path} cannot be read: {wrong}") from None
    found: dict[str, list[Span]] = {}
    for node, span in _lines(path, csv.DictReader(text.splitlines(), skipinitialspace=True)):
        found.setdefault(node, []).append(span)
    return {node: merged(spans) for node, spans in sorted(found.items())}


def _lines(path: Path, rows: csv.DictReader[str]) -> Iterator[tuple[str, Span]]:
    lacking = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if lacking:
        raise WrongUse(
            f"{path}, line 1: there is no column {', '.join(lacking)}; a header {','.join(COLUMNS)} is needed"
        )
    for row in rows:
        where = f"{path}, line {rows.line_num}"
        node = (row["node"] or "").strip()
        if not node:
            raise WrongUse(f"{where}: no node is named")
        start, end = _seconds(where, "t_start", row["t_start"]), _seconds(where, "t_end", row["t_end"])
        if end < start:
            raise WrongUse(f"{where}: t_end {end:g} is before t_start {start:g}")
        yield node, (start, end)


def _seconds(where: str, name: str, text: str | None) -> float:
    try:
        seconds = float(text or "")
    except ValueError:
        raise WrongUse(f"{where}: {name} {text!r} is no number of seconds") from None
    if not math.isfinite(seconds):
        raise WrongUse(f"{where}: {name} {text!r} is no number of seconds")
    return seconds


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in order of time; what overlaps or touches is one.

    >>> merged([(5.0, 9.0), (1.0, 2.0), (8.0, 12.0)])
    ((1.0, 2.0), (5.0, 12.0))
    """
    whole: list[Span] = []
    for start, end in sorted(spans):
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], end)
        else:
            whole.append((start, end))
    return tuple(whole)
