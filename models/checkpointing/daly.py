"""Daly's interval (2006): the optimum to higher order, for checkpoints that are not short beside the failures."""

from __future__ import annotations

import math


def daly_interval_s(cost_s: float, mtbf_s: float) -> float:
    """Return T = √(2Cμ)·[1 + ⅓√(C/2μ) + (1/9)(C/2μ)] − C for C < 2μ, else μ, in seconds.

    >>> round(daly_interval_s(5.0, 60.0), 1), daly_interval_s(200.0, 60.0)
    (21.3, 60.0)
    """
    if cost_s >= 2.0 * mtbf_s:
        return mtbf_s
    ratio = cost_s / (2.0 * mtbf_s)
    return math.sqrt(2.0 * cost_s * mtbf_s) * (1.0 + math.sqrt(ratio) / 3.0 + ratio / 9.0) - cost_s
