"""The last transitions of each metric of a node, and how probable each was under the node's own chain."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.cohort import RANGE_MARGIN, Cohort
from models.limits import MARKOV_INNER_STATES, MARKOV_STATES, MARKOV_WINDOW

States = NDArray[np.int8]
Bounds = tuple[float | None, float | None]
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Transition:
    """``p`` is p(s'|s) as the chain had it then; the ranges are in the metric's own measure, None: without end."""

    metric: str
    at: float
    source: int
    target: int
    p: float
    source_range: Bounds
    target_range: Bounds


class TransitionWatch:
    """Remembers between which states each metric of one node went.

    Call :meth:`begin` before a frame is taken in, :meth:`note` after it.
    """

    def __init__(self) -> None:
        self._before: tuple[tuple[str, ...], States] | None = None
        self._moves: dict[str, deque[tuple[float, int, int]]] = {}

    def begin(self, cohort: Cohort, row: int) -> None:
        """A frame is about to be taken in."""
        self._before = cohort.metrics, cohort.chains.last[row].copy()

    def note(self, cohort: Cohort, row: int, at: float) -> None:
        """A frame of time ``at``, newer than all before it, has been taken in."""
        if self._before is None:
            return
        metrics, states = self._before
        sources = dict(zip(metrics, states.tolist(), strict=True))
        for metric, target in zip(cohort.metrics, cohort.chains.last[row].tolist(), strict=True):
            source = sources.get(metric, UNKNOWN)
            if source != UNKNOWN and target != UNKNOWN:
                self._moves.setdefault(metric, deque(maxlen=MARKOV_WINDOW)).append((at, source, target))

    def most_improbable(self, cohort: Cohort, row: int, most: int) -> list[Transition]:
        """The transitions of the windows of all metrics, the least probable first, at most so many."""
        surprises = cohort.chains.surprises[row].astype(np.float64)
        found: list[tuple[float, float, int, int, int]] = []
        for column, metric in enumerate(cohort.metrics):
            moves = self._moves.get(metric, ())
            told = surprises[column, MARKOV_WINDOW - len(moves) :].tolist()
            found += [(-s, -at, column, source, target) for s, (at, source, target) in zip(told, moves, strict=True)]
        return [
            Transition(
                cohort.metrics[column],
                -before,
                source,
                target,
                float(np.exp(log_p)),
                state_range(cohort, row, column, source),
                state_range(cohort, row, column, target),
            )
            for log_p, before, column, source, target in sorted(found)[:most]
        ]


def state_range(cohort: Cohort, row: int, column: int, state: int) -> Bounds:
    """The values that a metric has in a state, in its own measure (a counter: its rate a second)."""
    low, high = (float(cohort.state[name][row, column]) for name in ("low", "high"))
    margin = max(float(RANGE_MARGIN) * (high - low), float(RANGE_MARGIN))
    low, high = low - margin, high + margin
    width = (high - low) / MARKOV_INNER_STATES
    anchor, unit = (float(cohort.state[name][row, column]) for name in ("anchor", "unit"))
    ends = [anchor + unit * (low + width * end) for end in range(MARKOV_INNER_STATES + 1)]
    if state == 0:
        return None, ends[0]
    return (ends[-1], None) if state == MARKOV_STATES - 1 else (ends[state - 1], ends[state])
