"""A log of faults, CSV or gzip of it, read into a :class:`Trace`; what is wrong is named by file and line."""

from __future__ import annotations

import csv
import gzip
import io
import math
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn

import numpy as np

from connectors.fault_log import COLUMNS, Span, merged
from experiments.failure_trace.trace import Trace

_GZIP: Final = b"\x1f\x8b"

Fault = tuple[str, float, float]


def read_trace(path: Path, nodes: int) -> Trace:
    """Read a fault log with the columns ``node,t_start,t_end`` (seconds); others are ignored.

    Nodes are numbered in the order of their first faults (by name where those begin together), whatever the order of
    the rows. Overlapping faults of a node are made one and counted; so is one that begins as the last one ends, since
    the node was not up in between.

    Raises
    ------
    ValueError
        The file cannot be read, a column is missing, a time is reversed, negative or no number, or more nodes have
        faults than the fleet has: names file, line and cure.
    """
    if nodes < 1:
        raise ValueError(f"a fleet of {nodes} nodes: must be at least 1")
    faults = list(_faults(path, _text(path)))
    if not faults:
        raise ValueError(f"{path}: holds no fault; write one line {','.join(COLUMNS)} for each fault below the header")
    kept = _merged(faults)
    numbers = {name: i for i, name in enumerate(dict.fromkeys(name for name, _, _ in kept))}
    if len(numbers) > nodes:
        raise ValueError(f"{path}: {len(numbers)} nodes have faults, the fleet has {nodes}; give its size by --nodes")
    return Trace(
        nodes=nodes,
        node=np.array([numbers[name] for name, _, _ in kept], np.intp),
        start=np.array([start for _, start, _ in kept]),
        end=np.array([end for _, _, end in kept]),
        merged=len(faults) - len(kept),
    )


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise ValueError(f"{path}: is no text in UTF-8 (byte {fault.start}); save it as plain CSV") from fault
    except (OSError, EOFError, zlib.error) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise ValueError(f"{path}: cannot be read: {reason}; name a CSV file of faults, or a gzip of one") from fault


def _faults(path: Path, text: str) -> Iterator[Fault]:
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip() for name in next(lines, [])]
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            _refuse(path, 1, f"no column {', '.join(missing)}", f"begin with a header that names {','.join(COLUMNS)}")
        places = [header.index(name) for name in COLUMNS]
        for row in lines:
            if row:
                yield _fault(path, lines.line_num, row, places)
    except csv.Error as fault:
        _refuse(path, lines.line_num, str(fault), "save the log as plain CSV")


def _fault(path: Path, line: int, row: list[str], places: list[int]) -> Fault:
    if len(row) <= max(places):
        _refuse(path, line, f"{len(row)} fields", f"give each of {','.join(COLUMNS)} a value")
    name, *times = (row[place].strip() for place in places)
    if not name:
        _refuse(path, line, "node is empty", "name the node that failed")
    start, end = (_seconds(path, line, key, text) for key, text in zip(COLUMNS[1:], times, strict=True))
    if end < start:
        _refuse(path, line, f"t_end {end:g} is before t_start {start:g}", "a repair ends after its fault began")
    return name, start, end


def _seconds(path: Path, line: int, key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        _refuse(path, line, f"{key} is {text!r}", "write seconds, 0 or more, from any one origin")
    return value


def _refuse(path: Path, line: int, what: str, cure: str) -> NoReturn:
    raise ValueError(f"{path}, line {line}: {what}; {cure}")


def _merged(faults: list[Fault]) -> list[Fault]:
    """Faults by start, those of one node apart from each other."""
    of_node: dict[str, list[Span]] = defaultdict(list)
    for name, start, end in faults:
        of_node[name].append((start, end))
    kept = [(name, start, end) for name, spans in of_node.items() for start, end in merged(spans)]
    return sorted(kept, key=lambda fault: (fault[1], fault[0]))
