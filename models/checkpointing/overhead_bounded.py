"""Overhead-bounded checkpoints (CheckFreq, FAST 2021): as often as a cap on the overhead allows."""

from __future__ import annotations

#: CheckFreq's cap on the share of time that checkpoints block.
OVERHEAD_CAP = 0.035


def overhead_bounded_interval_s(cost_s: float, cap: float) -> float:
    """Return the shortest T with C/(T + C) ≤ cap, in seconds.

    >>> round(overhead_bounded_interval_s(20.0, 0.035))
    551
    """
    return cost_s * (1.0 - cap) / cap
