"""How sure the figures of a predictor are, and whether what it says comes: intervals over nodes, reliability by bin."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.training.examples import Examples
from models.training.paired import DRAWS, figures, node_draws, sums

Doubles = NDArray[np.float64]

#: False episodes a node-day at which the recall's interval is told.
BUDGET: Final = 0.05
_BINS: Final = 10


def uncertainty(probability: Doubles, seen: Examples, horizon: int, random: np.random.Generator) -> dict[str, Any]:
    """``ci95`` of figures by a bootstrap over nodes, and ``reliability``: what each bin said and what came of it."""
    nodes = np.unique(seen.node)
    found = sums(probability, seen, nodes, horizon, BUDGET)
    draws = node_draws(len(nodes), DRAWS, random)
    bounds = {
        name: [round(bound, 5) for bound in np.quantile(drawn, [0.025, 0.975]).tolist()]
        for name, drawn in figures(found, draws).items()
    }
    return {"ci95": bounds, "reliability": reliability(probability, seen.failed)}


def reliability(probability: Doubles, failed: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """Ten bins of equal width: the mean of what was said, the share that came, and the rows; None in an empty one.

    >>> reliability(np.array([0.02, 0.04, 0.95]), np.array([False, True, True]))[::9]
    [{'said': 0.03, 'came': 0.5, 'rows': 2}, {'said': 0.95, 'came': 1.0, 'rows': 1}]
    """
    place = np.minimum((probability * _BINS).astype(np.intp), _BINS - 1)
    rows = np.bincount(place, minlength=_BINS)
    said, came = np.bincount(place, probability, _BINS), np.bincount(place, failed.astype(np.float64), _BINS)
    return [
        {
            "said": round(float(said[bin_] / rows[bin_]), 5) if rows[bin_] else None,
            "came": round(float(came[bin_] / rows[bin_]), 5) if rows[bin_] else None,
            "rows": int(rows[bin_]),
        }
        for bin_ in range(_BINS)
    ]
