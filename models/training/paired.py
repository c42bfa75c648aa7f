"""Two predictors on the same nodes: differences of their figures with paired intervals.

Rows of one node resemble each other, so nodes, not rows, are drawn: a bootstrap over nodes, the same draw for both
(Efron and Tibshirani 1993, chapter 8). Every figure follows from sums that each node adds to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.training.examples import Examples
from models.training.scores import USABLE_LEAD, Alarms, within_budget

Doubles = NDArray[np.float64]

DRAWS: Final = 2_000
_BINS: Final = 15
_RANKS: Final = 512
#: Of each figure whether more of it is better.
MORE_IS_BETTER: Final = {"usable_recall": True, "auc": True, "brier": False, "ece": False}


@dataclass(frozen=True, slots=True)
class Sums:
    """What each node adds to a predictor's figures; the first axis is the node."""

    rows: Doubles
    squared: Doubles
    gaps: Doubles
    positive: Doubles
    negative: Doubles
    foreseen: Doubles
    failures: Doubles
    threshold: float


def sums(
    probability: Doubles,
    seen: Examples,
    nodes: NDArray[np.intp],
    horizon: int,
    budget: float,
    usable_lead: int = USABLE_LEAD,
) -> Sums:
    """Sums by node of a predictor's probabilities; its threshold is the lowest within ``budget`` false episodes."""
    place = np.searchsorted(nodes, seen.node)
    count = len(nodes)

    def by_node(values: Doubles, at: NDArray[np.intp], size: int) -> Doubles:
        added: Doubles = np.asarray(np.bincount(place * size + at, values, count * size), np.float64)
        return added.reshape(count, size)

    none = np.zeros(len(place), np.intp)
    bins = np.minimum((probability * _BINS).astype(np.intp), _BINS - 1)
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, _RANKS + 1)))
    ranks = np.searchsorted(edges, probability).astype(np.intp)
    failed = seen.failed.astype(np.float64)
    found = within_budget(probability, seen, budget, horizon)
    foreseen, failures = _foreseen(found, nodes, usable_lead)
    return Sums(
        rows=by_node(np.ones(len(place)), none, 1)[:, 0],
        squared=by_node((probability - failed) ** 2, none, 1)[:, 0],
        gaps=by_node(probability - failed, bins, _BINS),
        positive=by_node(failed, ranks, len(edges)),
        negative=by_node(1 - failed, ranks, len(edges)),
        foreseen=foreseen,
        failures=failures,
        threshold=found.threshold,
    )


def _foreseen(found: Alarms, nodes: NDArray[np.intp], usable_lead: int) -> tuple[Doubles, Doubles]:
    """By node: failures with an alarm at least ``usable_lead`` intervals ahead, and all of them."""
    place = np.searchsorted(nodes, np.array([node for node, _ in found.leads], np.intp))
    usable = np.array([lead >= usable_lead for _, lead in found.leads], np.float64)
    failures = np.bincount(place, minlength=len(nodes)).astype(np.float64)
    return np.asarray(np.bincount(place, usable, len(nodes)), np.float64), failures


def node_draws(nodes: int, draws: int, random: np.random.Generator) -> Doubles:
    """How often each node is drawn, ``(draws, nodes)``: as many nodes as there are, with replacement."""
    return random.multinomial(nodes, np.full(nodes, 1 / nodes), draws).astype(np.float64)


def figures(found: Sums, weights: Doubles) -> dict[str, Doubles]:
    """The figures of each draw; ``weights (draws, nodes)`` says how often each node was drawn."""
    rows = weights @ found.rows
    positive, negative = weights @ found.positive, weights @ found.negative
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return {
        "usable_recall": weights @ found.foreseen / np.maximum(weights @ found.failures, 1),
        "auc": (positive * below).sum(axis=1) / np.maximum(pairs, 1),
        "brier": weights @ found.squared / rows,
        "ece": np.abs(weights @ found.gaps).sum(axis=1) / rows,
    }


def compared(a: Sums, b: Sums, random: np.random.Generator) -> dict[str, dict[str, Any]]:
    """Each figure of both, ``a`` minus ``b``, its 95 % interval, and which is better; None where it cannot be told."""
    count = len(a.rows)
    draws = node_draws(count, DRAWS, random)
    once = np.ones((1, count))
    result = {}
    whole, drawn = [figures(one, once) for one in (a, b)], [figures(one, draws) for one in (a, b)]
    for name, more in MORE_IS_BETTER.items():
        low, high = np.quantile(drawn[0][name] - drawn[1][name], [0.025, 0.975]).tolist()
        better = None if low <= 0 <= high else "a" if (low > 0) == more else "b"
        values = [float(one[name][0]) for one in whole]
        result[name] = {
            "a": round(values[0], 5),
            "b": round(values[1], 5),
            "difference": round(values[0] - values[1], 5),
            "ci95": [round(low, 5), round(high, 5)],
            "better": better,
        }
    return result
