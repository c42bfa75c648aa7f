"""What nodes have shown in the past, as a recording to train on: frames of any time and schema on one grid.

The grid's interval is the nodes' usual one. Of several frames of a node in a step the last counts; a step without one
is missing. While a node was down, whatever was told of it is left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from connectors.errors import Failed
from connectors.fault_log import Spans
from models.limits import METRICS_MAX
from models.telemetry import Schema

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Index = NDArray[np.intp]

_BLOCK_STEPS: Final = 256
_PACK_FRAMES: Final = 4_096
#: Steps of a grid at most: 35 days at one a second. Far more than that is a clock that was wrong.
STEPS_MAX: Final = 3_000_000

Packed = tuple[Index, Doubles, Floats]


class _Frames:
    """Frames of one schema as they came: node number, source time and values, packed now and then."""

    def __init__(self) -> None:
        self.node: list[int] = []
        self.ts: list[float] = []
        self.values: list[Floats] = []
        self._packed: list[Packed] = []
        self.count = 0

    def add(self, node: int, ts: float, values: Floats) -> None:
        self.node.append(node)
        self.ts.append(ts)
        self.values.append(values)
        self.count += 1
        if len(self.ts) >= _PACK_FRAMES:
            self._pack()

    def all(self) -> Packed:
        """Node numbers, times and values of all of them."""
        if self.ts:
            self._pack()
        nodes, times, values = zip(*self._packed, strict=True)
        return np.concatenate(nodes), np.concatenate(times), np.concatenate(values)

    def _pack(self) -> None:
        self._packed.append((np.array(self.node, np.intp), np.array(self.ts, np.float64), np.stack(self.values)))
        self.node, self.ts, self.values = [], [], []


class Gathering:
    """Takes frames in any order and makes the recording of them.

    Counters are kept as what they grew since a node's first frame: the sum itself may be too large for float32.
    """

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        self._frames: dict[Schema, _Frames] = {}
        self._bases: dict[tuple[int, Schema], Doubles] = {}
        self._first: dict[tuple[int, str], float] = {}

    def __len__(self) -> int:
        return sum(frames.count for frames in self._frames.values())

    @property
    def nodes(self) -> Sequence[str]:
        """The nodes of which frames have come."""
        return list(self._number)

    def add(self, node: str, ts: float, schema: Schema, values: NDArray[np.floating]) -> None:
        """One frame; ``values`` in the order of the schema, NaN where missing."""
        number = self._number.setdefault(node, len(self._number))
        frames = self._frames.get(schema)
        if frames is None:
            frames = self._frames[schema] = _Frames()
        base = self._bases.get((number, schema))
        if base is None:
            base = self._bases[number, schema] = self._base(number, schema, values)
        with np.errstate(over="ignore"):
            frames.add(number, ts, (values - base).astype(np.float32))

    def _base(self, number: int, schema: Schema, values: NDArray[np.floating]) -> Doubles:
        """What to take off a node's values: of a counter the first that was told, of a gauge nothing."""
        base = np.zeros(len(values))
        for at, (metric, counter) in enumerate(zip(schema.metrics, schema.counters, strict=True)):
            if counter and values[at] == values[at]:
                base[at] = self._first.setdefault((number, metric), float(values[at]))
        return base

    def recording(self, down: Spans) -> HistoryRecording:
        """The recording of what was gathered; ``down`` says when nodes were down, on the frames' own clock.

        Raises
        ------
        Failed
            There are no frames, no interval can be seen, or nodes have more metrics than are read.
        """
        if not len(self):
            raise Failed("there are no frames to learn from")
        kinds = {m: c for schema in self._frames for m, c in zip(schema.metrics, schema.counters, strict=True)}
        if len(kinds) > METRICS_MAX:
            raise Failed(f"the nodes have {len(kinds)} metrics together; {METRICS_MAX} are read")
        ordered = sorted(self._number, key=lambda name: (name not in down, _shuffled(name)))
        row = np.zeros(len(ordered), np.intp)
        row[[self._number[name] for name in ordered]] = np.arange(len(ordered))
        metrics = tuple(sorted(kinds))
        column = {metric: at for at, metric in enumerate(metrics)}
        groups = []
        for schema, frames in self._frames.items():
            node, ts, values = frames.all()
            groups.append(_Group(row[node], ts, values, np.array([column[m] for m in schema.metrics], np.intp)))
        return HistoryRecording(ordered, metrics, tuple(kinds[m] for m in metrics), groups, down)


def _shuffled(name: str) -> str:
    """A place for a node that its name alone decides, so that it stays in its part when others come and go."""
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass(slots=True)
class _Group:
    """Frames of one schema: rows of the recording, times, values, and the recording's columns of these."""

    row: Index
    ts: Doubles
    values: Floats
    columns: Index


class HistoryRecording:
    """A ``Recording`` (models/training/recording.py) of frames that were gathered.

    Parameters
    ----------
    nodes : names in the order of the rows: those that failed first, each kind shuffled by name.
    down : spans in which a node was down, on the frames' clock.
    """

    def __init__(
        self,
        nodes: Sequence[str],
        metrics: tuple[str, ...],
        counters: tuple[bool, ...],
        groups: Sequence[_Group],
        down: Spans,
    ) -> None:
        self.nodes, self.metrics, self.counters = tuple(nodes), metrics, counters
        self.interval_s = _interval(groups)
        self.first_ts = min(float(group.ts.min()) for group in groups)
        self.last_ts = max(float(group.ts.max()) for group in groups)
        self.steps = int(np.rint((self.last_ts - self.first_ts) / self.interval_s)) + 1
        if self.steps > STEPS_MAX:
            raise Failed(
                f"the frames go from {self.first_ts:.12g} to {self.last_ts:.12g} s, {self.steps:,} intervals of "
                f"{self.interval_s:g} s; {STEPS_MAX:,} are read: was a clock wrong, or are two pasts on one log?"
            )
        self.frames = sum(len(group.ts) for group in groups)
        self._down = {row: down[name] for row, name in enumerate(self.nodes) if name in down}
        self._sorted = [_in_order(group, self._alive(group)) for group in groups]
        self._at = [np.rint((group.ts - self.first_ts) / self.interval_s).astype(np.intp) for group in self._sorted]

    def blocks(self, steps: int) -> Iterator[Floats]:
        """The first ``steps`` samples in blocks ``(steps, nodes, metrics)``; beyond the last frame all is missing."""
        for first in range(0, steps, _BLOCK_STEPS):
            end = min(first + _BLOCK_STEPS, steps)
            block = np.full((end - first, len(self.nodes), len(self.metrics)), np.nan, np.float32)
            for group, at in zip(self._sorted, self._at, strict=True):
                low, high = np.searchsorted(at, [first, end])
                some = slice(int(low), int(high))
                block[at[some, None] - first, group.row[some, None], group.columns] = group.values[some]
            yield block

    def failures(self) -> list[tuple[int, int]]:
        """(row, step) of every failure that lies within the time of the frames."""
        found = [
            (row, int(np.ceil((start - self.first_ts) / self.interval_s)))
            for row, spans in self._down.items()
            for start, _ in spans
        ]
        return sorted((row, step) for row, step in found if 0 < step <= self.steps)

    def _alive(self, group: _Group) -> NDArray[np.bool_]:
        alive = np.ones(len(group.ts), np.bool_)
        order = np.argsort(group.row, kind="stable")
        bounds = np.searchsorted(group.row[order], np.arange(len(self.nodes) + 1))
        for row, spans in self._down.items():
            own = order[bounds[row] : bounds[row + 1]]
            for start, end in spans:
                alive[own[(group.ts[own] >= start) & (group.ts[own] < end)]] = False
        return alive


def _in_order(group: _Group, keep: NDArray[np.bool_]) -> _Group:
    order = np.flatnonzero(keep)[np.argsort(group.ts[keep], kind="stable")]
    return _Group(group.row[order], group.ts[order], group.values[order], group.columns)


def _interval(groups: Sequence[_Group]) -> float:
    """The median over nodes of each one's median step between frames."""
    row = np.concatenate([group.row for group in groups])
    ts = np.concatenate([group.ts for group in groups])
    order = np.lexsort((ts, row))
    same, apart = np.diff(row[order]) == 0, np.diff(ts[order])
    steps = np.where(same & (apart > 0), apart, np.nan)
    owners = np.split(steps, np.flatnonzero(np.diff(row[order][1:])) + 1)
    usual = [np.nanmedian(own) for own in owners if not np.isnan(own).all()]
    if not usual:
        raise Failed("no node has two frames of different times: there is no interval to be seen")
    return float(np.median(usual))
