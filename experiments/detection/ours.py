"""The product's own detector in stream order over machines side by side, with what it is told while it runs."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.detection.folder import Half, Machine
from experiments.detection.trials import KINDS, inject
from models.cohort import own_unit
from models.detector import Detector
from models.limits import BASELINE_FRAMES, UNITS_MAX

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]

LEARN_SHARE: Final = 0.7  # of the train half; the detector is told so
CHUNK: Final = 500  # rows between two words of progress


@dataclass(frozen=True, slots=True)
class Watched:
    """What the detector said of each row of a stretch."""

    score: Floats
    alarm: Flags
    opened: Flags  # an incident opened
    incident: NDArray[np.int64]  # the number of the incident that is open; 0 when none is


@dataclass(frozen=True, slots=True)
class Run:
    """A machine's way through the detector: the train half, then the test half as it is and with each lasting fault."""

    machine: Machine
    train: Watched
    test: Watched
    faulty: dict[str, Watched]  # by the kind of fault


def fit_rows(machine: Machine) -> int:
    """How many rows of the train half are learned from."""
    return int(LEARN_SHARE * len(machine.train.values))


def watch(machines: Sequence[Machine], interval_s: float, progress: Callable[[int], None]) -> list[Run]:
    """Run the detector over machines; those of like shape go side by side, which changes no result.

    ``progress`` is told how many rows were taken since it was told last.
    """
    groups: dict[tuple[int, int], list[Machine]] = defaultdict(list)
    for machine in machines:
        length = round(20 * math.log(len(machine.train.values)))
        groups[len(machine.metrics), length].append(machine)
    runs = [run for group in groups.values() for run in _watch_group(group, interval_s, progress)]
    order = {machine.name: at for at, machine in enumerate(machines)}
    return sorted(runs, key=lambda run: order[run.machine.name])


def _watch_group(machines: list[Machine], interval_s: float, progress: Callable[[int], None]) -> list[Run]:
    count, kinds = len(machines), len(KINDS)
    learn_s = float(np.mean([fit_rows(m) for m in machines]) * interval_s)
    units = [_own_units(m) for m in machines]
    detector = Detector(count, len(machines[0].metrics), learn_s)
    learned = [_in_units(m.train.values, *u, skip=BASELINE_FRAMES) for m, u in zip(machines, units, strict=True)]
    trained = _stream(detector, learned, [m.train for m in machines], progress)
    detector = detector.copied(1 + kinds)
    streams = [_in_units(m.test.values, *u) for m, u in zip(machines, units, strict=True)]
    for kind in KINDS:
        streams += [_in_units(inject(m, kind, interval_s), *u) for m, u in zip(machines, units, strict=True)]
    tested = _stream(detector, streams, [m.test for m in machines] * (1 + kinds), progress)
    return [
        Run(
            machine,
            trained[at],
            tested[at],
            {kind: tested[at + count * (1 + number)] for number, kind in enumerate(KINDS)},
        )
        for at, machine in enumerate(machines)
    ]


def _own_units(machine: Machine) -> tuple[Doubles, Doubles]:
    """Anchor and unit of each metric from its first values, as the pipeline takes them (``models/cohort.py``)."""
    first = [column[~np.isnan(column)][:BASELINE_FRAMES] for column in machine.train.values.T]
    pairs = [own_unit(values) if len(values) else (0.0, 1.0) for values in first]
    anchor, unit = zip(*pairs, strict=True)
    return np.array(anchor), np.array(unit)


def _in_units(values: Doubles, anchor: Doubles, unit: Doubles, skip: int = 0) -> Floats:
    units = np.clip((values - anchor) / unit, -UNITS_MAX, UNITS_MAX).astype(np.float32)
    units[:skip] = np.nan
    return units


def _stream(
    detector: Detector, streams: list[Floats], halves: list[Half], progress: Callable[[int], None]
) -> list[Watched]:
    """Take row after row of all streams; one that has ended is left out."""
    lengths = np.array([len(stream) for stream in streams])
    told: dict[str, NDArray[Any]] = {
        "score": np.zeros((lengths.max(), len(streams)), np.float32),
        "alarm": np.zeros((lengths.max(), len(streams)), np.bool_),
        "open": np.zeros((lengths.max(), len(streams)), np.bool_),
        "opened": np.zeros((lengths.max(), len(streams)), np.bool_),
    }
    held = detector.state["open"].copy()
    for at in range(lengths.max()):
        rows = np.flatnonzero(lengths > at)
        dt = np.array([halves[row].seconds[at] for row in rows])
        judged = detector.advance(rows, dt, np.stack([streams[row][at] for row in rows]))
        for name, array in told.items():
            array[at, rows] = getattr(judged, name)
        if (at + 1) % CHUNK == 0 or at + 1 == lengths.max():
            progress(at % CHUNK + 1)
    return [
        Watched(
            told["score"][:length, row],
            told["alarm"][:length, row],
            told["opened"][:length, row],
            np.where(told["open"][:length, row], np.cumsum(told["opened"][:length, row]) + held[row], 0),
        )
        for row, length in enumerate(lengths)
    ]
