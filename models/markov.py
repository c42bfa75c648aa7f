"""Markov transition deviation (seed, Eq. 3): how improbable a node's recent transitions are under its own chain.

Each metric is quantised to equal-width states over the node's learned range plus one state below and one above it.
A chain keeps transition counts with Dirichlet smoothing and exponential forgetting. All arrays are batched over rows
(nodes) and metrics; each row depends on its own history alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.limits import (
    DEVIATION_MAX,
    DEVIATION_WORST_METRICS,
    MARKOV_INNER_STATES,
    MARKOV_MEMORY_VISITS,
    MARKOV_PRIOR,
    MARKOV_SD_MIN,
    MARKOV_STATES,
    MARKOV_WINDOW,
)

Floats = NDArray[np.float32]
Index = NDArray[np.intp]


def quantise(values: Floats, low: Floats, high: Floats) -> NDArray[np.int8]:
    """States 0…9 of ``values``: 0 below ``low``, 1…8 in equal widths, 9 above ``high``, −1 where missing.

    >>> quantise(np.float32([[-1, 0, 0.99, 2, np.nan]]), np.float32([[0]]), np.float32([[1]])).tolist()
    [[0, 1, 8, 9, -1]]
    """
    with np.errstate(invalid="ignore"):
        scaled = (values - low) / (high - low) * np.float32(MARKOV_INNER_STATES)
        state = np.clip(np.floor(scaled), -1, MARKOV_INNER_STATES) + 1
        state = np.where(values == high, MARKOV_INNER_STATES, state)
    return np.where(np.isnan(scaled), -1, state).astype(np.int8)


@dataclass(slots=True)
class Chains:
    """The chains of ``rows`` nodes and ``metrics`` metrics, and the surprises of their last transitions (nats).

    Examples
    --------
    A metric that always went up and down between two states, and then stays:

    >>> chains, row = Chains.empty(rows=1, metrics=1), np.array([0])
    >>> for step in range(400):
    ...     chains.advance(row, np.int8([[3 + step % 2]]))
    >>> calm = chains.deviation(row)[0, 0]
    >>> for step in range(3):
    ...     chains.advance(row, np.int8([[4]]))
    >>> round(float(calm), 1), round(float(chains.deviation(row)[0, 0]), 1)
    (-0.1, 1.5)
    """

    counts: Floats  # (rows, metrics, states, states)
    visits: Floats  # (rows, metrics, states): sums of the rows of counts
    expected: Floats  # (rows, metrics, states): entropy of each state's row
    variance: Floats  # (rows, metrics, states): variance of −log p in each state's row
    surprises: Floats  # (rows, metrics, window), newest last
    last: NDArray[np.int8]  # (rows, metrics), −1 when unknown

    @classmethod
    def empty(cls, rows: int, metrics: int) -> Chains:
        """Chains that have seen nothing: every transition equally probable."""
        states = MARKOV_STATES
        entropy = np.float32(np.log(states))
        return cls(
            counts=np.zeros((rows, metrics, states, states), np.float32),
            visits=np.zeros((rows, metrics, states), np.float32),
            expected=np.full((rows, metrics, states), entropy, np.float32),
            variance=np.zeros((rows, metrics, states), np.float32),
            surprises=np.full((rows, metrics, MARKOV_WINDOW), np.nan, np.float32),
            last=np.full((rows, metrics), -1, np.int8),
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state by field name; each array's first axis is the row."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def advance(self, rows: Index, states: NDArray[np.int8]) -> None:
        """Count one transition of each of ``rows`` to ``states (len(rows), metrics)`` and note its surprise."""
        last = self.last[rows]
        moved = (last >= 0) & (states >= 0)
        self.last[rows] = states
        at_row, at_metric = np.nonzero(moved)
        if not len(at_row):
            return
        row, source, target = rows[at_row], last[moved].astype(np.intp), states[moved].astype(np.intp)
        counts = self.counts[row, at_metric, source]
        each = np.arange(len(row))
        total = counts.sum(axis=-1)
        p = (counts[each, target] + np.float32(MARKOV_PRIOR)) / (total + np.float32(MARKOV_PRIOR * MARKOV_STATES))
        self._note(row, at_metric, -np.log(p))
        full = total >= MARKOV_MEMORY_VISITS
        counts = np.where(full[:, None], counts * np.float32(1 - 1 / MARKOV_MEMORY_VISITS), counts)
        counts[each, target] += np.float32(1.0)
        self.counts[row, at_metric, source] = counts
        self.visits[row, at_metric, source] = counts.sum(axis=-1)
        self.expected[row, at_metric, source], self.variance[row, at_metric, source] = _row_moments(counts)

    def _note(self, row: Index, metric: Index, surprise: Floats) -> None:
        window = self.surprises[row, metric]
        window[:, :-1] = window[:, 1:]
        window[:, -1] = surprise
        self.surprises[row, metric] = window

    def deviation(self, rows: Index) -> Floats:
        """Deviation of each metric of ``rows``, ``(len(rows), metrics)``, in the chain's standard deviations.

        The windowed mean of −log p(s'|s) minus the chain's entropy rate, over the chain's standard deviation of
        −log p (floored), clipped to ±``DEVIATION_MAX``; 0 until the window is full.
        """
        visits = self.visits[rows]
        total = visits.sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            share = np.where(total[..., None] > 0, visits / total[..., None], np.float32(0.0))
        rate = (share * self.expected[rows]).sum(axis=-1)
        sd = np.sqrt((share * self.variance[rows]).sum(axis=-1))
        score = (self.surprises[rows].mean(axis=-1) - rate) / np.maximum(sd, np.float32(MARKOV_SD_MIN))
        score = np.where(np.isnan(score), np.float32(0.0), score)
        return np.clip(score, -DEVIATION_MAX, DEVIATION_MAX).astype(np.float32)


def _row_moments(counts: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of −log p over each row of smoothed counts ``(transitions, states)``."""
    smooth = counts + np.float32(MARKOV_PRIOR)
    p = smooth / smooth.sum(axis=-1)[:, None]
    surprise = -np.log(p)
    mean = (p * surprise).sum(axis=-1)
    return mean, np.maximum((p * surprise * surprise).sum(axis=-1) - mean * mean, np.float32(0.0))


def node_deviation(deviation: Floats) -> Floats:
    """A node's deviation: the mean over its worst few metrics; ``(rows, metrics) → (rows,)``.

    >>> node_deviation(np.float32([[1.0, 9.0, -4.0, 6.0, 3.0]])).tolist()
    [6.0]
    """
    worst = np.sort(deviation, axis=-1)[:, -DEVIATION_WORST_METRICS:]
    mean: Floats = np.ascontiguousarray(worst).mean(axis=-1)
    return mean
