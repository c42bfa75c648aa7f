"""From a recording to labelled feature rows, through the very operator that the pipeline runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from models.cohort import Cohort, Observed
from models.training.recording import Part, Recording, require_apart

Floats = NDArray[np.float32]
Index = NDArray[np.intp]
Flags = NDArray[np.bool_]

#: The part whose rows need not be representative: of it, what tells of a failure is kept whatever else is left out.
TRAIN: Final = "train"


@runtime_checkable
class Telling(Protocol):
    """A recording that knows since when each failure was developing, as only a simulation does."""

    def onsets(self) -> dict[tuple[int, int], int]:
        """(row, step) of a failure → the step of its first sign, which is the failure's own if it is sudden."""


class FeaturesAlone(Cohort):
    """The pipeline's cohort without its anomaly detector, which no feature reads: a fifth less to compute."""

    def _judge(self, rows: Index, units: Floats, elapsed: NDArray[np.float64]) -> None:
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows of one part: ``features (n, features)``, ``failed (n,)`` within the horizon, and each row's node and step.

    ``failures`` are the (node, step) of the part's own failures, those that a predictor could have seen coming;
    ``later`` those within a horizon after its end, by which its last alarms are judged. ``developing (n,)`` says
    whether a failure was developing, where the recording knows: what a predictor can see, and so what it is fitted to.
    ``believed (n,)`` is P(failure within the horizon) to one who knows the laws of the fleet, and comes before both: it
    says how much of a fault shows by a row, which whether there is one does not.
    """

    features: Floats
    failed: Flags
    node: Index
    step: Index
    failures: tuple[tuple[int, int], ...]
    later: tuple[tuple[int, int], ...] = ()
    developing: Flags | None = None
    believed: Floats | None = None

    @property
    def target(self) -> Flags | Floats:
        """What a predictor is fitted to; its probabilities are calibrated to ``failed`` afterwards."""
        if self.believed is not None:
            return self.believed
        return self.failed if self.developing is None else self.developing


def side_by_side(parts: Sequence[Examples], nodes: int) -> Examples:
    """Rows of several recordings as one, the nodes of each counted ``nodes`` further on than those before."""

    def moved(name: str) -> tuple[tuple[int, int], ...]:
        return tuple((node + nodes * k, at) for k, part in enumerate(parts) for node, at in getattr(part, name))

    def of_all(name: str) -> NDArray[Any] | None:
        told = [getattr(part, name) for part in parts]
        return None if any(one is None for one in told) else np.concatenate(told)

    return Examples(
        np.concatenate([part.features for part in parts]),
        np.concatenate([part.failed for part in parts]),
        np.concatenate([part.node + nodes * k for k, part in enumerate(parts)]),
        np.concatenate([part.step for part in parts]),
        moved("failures"),
        moved("later"),
        of_all("developing"),
        of_all("believed"),
    )


def examples(
    recording: Recording,
    parts: Sequence[Part],
    horizon: int,
    gap: int,
    every: dict[str, int],
    kind: type[Cohort] = FeaturesAlone,
) -> Iterator[tuple[str, Examples]]:
    """Watch each part's nodes in its own time and label what was seen, once a node is warm.

    Parameters
    ----------
    horizon : a row is positive when its node fails after it, at most so many steps later.
    gap : steps between parts; at least ``horizon``.
    every : of a part, take each so-manieth step of a node; 1 where it is not named. The part ``train`` besides
        keeps all rows that tell of a failure: that are its target.
    kind : what watches; another than the pipeline's only to learn what its parts are worth.

    Yields
    ------
    A part's name and rows, in order of time.
    """
    if gap < horizon:
        raise ValueError(f"a gap of {gap} steps lets a label of one part, {horizon} steps ahead, look into the next")
    require_apart(parts, gap)
    samples = Samples(recording, max(part.end for part in parts) + horizon)
    for part in sorted(parts, key=lambda part: part.first):
        rows = _gather(recording, part, samples, every.get(part.name, 1), horizon, kind)
        yield part.name, _label(part, horizon, recording, rows)


class Samples:
    """The samples of a recording one by one."""

    def __init__(self, recording: Recording, steps: int) -> None:
        self._blocks = recording.blocks(steps)
        self._block: Floats = np.empty((0, 0, 0), np.float32)
        self._at, self.step = 0, 0

    def take(self) -> Floats:
        """The next sample, ``(nodes, metrics)``."""
        while self._at == len(self._block):
            self._block, self._at = next(self._blocks), 0
        self._at, self.step = self._at + 1, self.step + 1
        row: Floats = self._block[self._at - 1]
        return row

    def skip_to(self, step: int) -> None:
        """Pass over the samples before ``step``."""
        while self.step < step:
            self.take()


@dataclass(slots=True)
class _Rows:
    """Rows as they are seen, a step after the other; ``warm`` is each node's first step."""

    features: list[Floats] = field(default_factory=list)
    node: list[Index] = field(default_factory=list)
    step: list[Index] = field(default_factory=list)
    warm: dict[int, int] = field(default_factory=dict)
    thinned: int = 0

    def add(self, features: Floats, node: Index, step: int) -> None:
        self.features.append(features)
        self.node.append(node)
        self.step.append(np.full(len(node), step))
        for one in node.tolist():
            self.warm.setdefault(one, step)

    def thin(self, until: int, every: int, soon: Sequence[tuple[int, int]], spans: int | Sequence[int]) -> None:
        """Of the steps before ``until`` keep each so-manieth row of a node and those that tell of a failure."""
        place = self.thinned
        while place < len(self.step) and (not len(self.step[place]) or self.step[place][0] < until):
            place += 1
        these = slice(self.thinned, place)
        if not place > self.thinned:
            return
        node, step = np.concatenate(self.node[these]), np.concatenate(self.step[these])
        keep = ((step + node) % every == 0) | before(node, step, soon, spans)
        self.features[these] = [np.concatenate(self.features[these])[keep]]
        self.node[these], self.step[these] = [node[keep]], [step[keep]]
        self.thinned += 1


def watch(
    recording: Recording, part: Part, samples: Samples, kind: type[Cohort] = FeaturesAlone
) -> Iterator[tuple[int, Index, Observed]]:
    """Each step, the nodes of which a sample came, and what they show; silent ones are left out as in the pipeline."""
    cohort = kind(recording.metrics, recording.counters)
    rows = cohort.add(len(part.nodes))
    samples.skip_to(part.first)
    for step in range(part.first, part.end):
        values = samples.take()[part.nodes].astype(np.float64)
        told = ~np.isnan(values).all(axis=1)
        at = np.full(told.sum(), step * recording.interval_s)
        yield step, part.nodes[told], cohort.advance(rows[told], at, values[told])


def _gather(recording: Recording, part: Part, samples: Samples, every: int, horizon: int, kind: type[Cohort]) -> _Rows:
    """Features, node and step of what the part's nodes show."""
    seen = _Rows()
    for step, nodes, shown in watch(recording, part, samples, kind):
        keep = shown.warm if part.name == TRAIN else shown.warm & ((step + nodes) % every == 0)
        seen.add(shown.features[keep], nodes[keep], step)
        if part.name == TRAIN and (step - part.first) % horizon == 0:
            seen.thin(step - horizon, every, *_telling(recording, horizon))
    samples.skip_to(part.end + horizon)
    if part.name == TRAIN:
        seen.thin(part.end, every, *_telling(recording, horizon))
    return seen


def _telling(recording: Recording, horizon: int) -> tuple[list[tuple[int, int]], int | list[int]]:
    """Failures so far, and how many steps before each a row tells of it: since its first sign, where that is known."""
    failures = sorted(recording.failures())
    if not isinstance(recording, Telling):
        return failures, horizon
    onsets = recording.onsets()
    return failures, [at - onsets[row, at] for row, at in failures]


def before(node: Index, step: Index, failures: Sequence[tuple[int, int]], spans: int | Sequence[int]) -> Flags:
    """Which rows one of ``failures``, (node, step), follows within its span of steps.

    >>> before(np.array([0, 0, 0, 1]), np.array([3, 4, 5, 4]), [(0, 5)], 1).tolist()
    [False, True, False, False]
    """
    found = np.zeros(len(node), np.bool_)
    order = np.lexsort((step, node))
    key = node[order].astype(np.int64) << 32 | step[order]
    for (row, at), span in zip(failures, [spans] * len(failures) if isinstance(spans, int) else spans, strict=True):
        low, high = np.searchsorted(key, [(row << 32) + at - span, (row << 32) + at])
        found[order[low:high]] = True
    return found


def _label(part: Part, horizon: int, recording: Recording, rows: _Rows) -> Examples:
    """Mark the rows that a failure of their node follows within the horizon, and those with a failure developing."""
    features, node, step = np.concatenate(rows.features), np.concatenate(rows.node), np.concatenate(rows.step)
    failures, spans = _telling(recording, horizon)
    mine = [(row, at) for row, at in failures if row in rows.warm and rows.warm[row] < at]
    developing = None if isinstance(spans, int) else before(node, step, failures, spans)
    return Examples(
        features,
        before(node, step, failures, horizon),
        node,
        step,
        tuple((row, at) for row, at in mine if at <= part.end),
        tuple((row, at) for row, at in mine if part.end < at <= part.end + horizon),
        developing,
    )
