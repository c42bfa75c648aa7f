"""A folder of recorded telemetry and its fault log, to train on.

Either the form that is replayed (``NAME.train.csv.gz`` and ``NAME.test.csv.gz``, see ``replay.py``), whose clock counts
seconds from the first row of train; or a file a node, ``NAME.csv`` or ``NAME.csv.gz``, with a header and a column ``t``
in seconds (without it, rows stand an interval of ``dataset.toml`` apart). ``faults.csv`` tells, on the same clock, when
which node was down: ``node,t_start,t_end``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from connectors.errors import WrongUse
from connectors.fault_log import Spans, read_fault_log
from connectors.history_recording import Gathering, HistoryRecording
from connectors.sources.replay import ORIGIN_TS, Replay, Table, interval_of
from models.telemetry import Schema

FAULTS: Final = "faults.csv"
_TIME: Final = "t"
_SUFFIXES: Final = (".csv.gz", ".csv")

#: Is told how many frames have been read.
Progress = Callable[[int], None]


def read_history(folder: Path, progress: Progress = lambda frames: None) -> HistoryRecording:
    """The recording of a folder.

    Raises
    ------
    WrongUse
        Naming file and line: a file is missing or malformed, or the fault log names a node or a time of which there is
        no telemetry.
    Failed
        There is too little to make a recording of.
    """
    interval_s = interval_of(folder)
    faults = read_fault_log(folder / FAULTS)
    gathered = Gathering()
    replayed = bool(list(folder.glob("*.train.csv.gz")) or list(folder.glob("*.test.csv.gz")))
    if replayed:
        _take_replay(gathered, Replay(folder), progress)
    else:
        _take_files(gathered, folder, interval_s, progress)
    recording = gathered.recording(faults)
    _check(folder / FAULTS, faults, recording)
    return recording


def _take_replay(gathered: Gathering, replay: Replay, progress: Progress) -> None:
    for moments in (replay.history(), replay.live(0.0)):
        for moment in moments:
            for frame in moment.take():
                gathered.add(frame.node, moment.ts - ORIGIN_TS, frame.schema, frame.row)  # type: ignore[union-attr]
            progress(len(gathered))


def _take_files(gathered: Gathering, folder: Path, interval_s: float, progress: Progress) -> None:
    files = {name: path for path in sorted(folder.iterdir()) if (name := _node(path)) is not None}
    if not files:
        raise WrongUse(f"{folder} holds neither NAME.csv(.gz) nor NAME.train.csv.gz and NAME.test.csv.gz")
    for name, path in files.items():
        table = Table.of(path, no_metrics=frozenset({"label"}), exact=True)
        metrics = [at for at, metric in enumerate(table.metrics) if metric != _TIME]
        timed = len(metrics) < len(table.metrics)
        if not metrics:
            raise WrongUse(f"{path}, line 1: no metric beside the column {_TIME}")
        schema = Schema.of_names(tuple(table.metrics[at] for at in metrics))
        line = 1
        for block in table.blocks():
            for row in block:
                line += 1
                ts = float(row[table.metrics.index(_TIME)]) if timed else (line - 2) * interval_s
                if not np.isfinite(ts):
                    raise WrongUse(f"{path}, line {line}: the column {_TIME} holds no number of seconds")
                gathered.add(name, ts, schema, row[metrics])
            progress(len(gathered))


def _node(path: Path) -> str | None:
    if path.name == FAULTS:
        return None
    return next((path.name.removesuffix(suffix) for suffix in _SUFFIXES if path.name.endswith(suffix)), None)


def _check(path: Path, faults: Spans, recording: HistoryRecording) -> None:
    """A label that no telemetry goes with is a slip: of the node's name, or of the clock."""
    unknown = [node for node in faults if node not in recording.nodes]
    if unknown:
        raise WrongUse(f"{path} names nodes without telemetry: {', '.join(unknown[:5])}; there are {_some(recording)}")
    first, last = recording.first_ts, recording.last_ts + recording.interval_s
    for node, spans in faults.items():
        for start, _ in spans:
            if not first <= start <= last:
                raise WrongUse(
                    f"{path}: {node} fails at {start:.12g} s, outside the telemetry, which goes from {first:.12g} to "
                    f"{last:.12g} s: is it another clock?"
                )


def _some(recording: HistoryRecording, most: int = 3) -> str:
    names = sorted(recording.nodes)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
