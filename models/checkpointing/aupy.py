"""Checkpointing with predictions (Aupy, Robert, Vivien et al. 2013): a longer period, and one more on an alarm."""

from __future__ import annotations

import math


def aupy_interval_s(cost_s: float, mtbf_s: float, recall: float) -> float:
    """Return √(2Cμ/(1 − r)), in seconds; infinite when every failure is foreseen.

    >>> round(aupy_interval_s(20.0, 11124.0, 0.6))
    1055
    """
    return math.sqrt(2.0 * cost_s * mtbf_s / (1.0 - recall)) if recall < 1.0 else math.inf


def aupy_saves(unsaved_s: float, cost_s: float, precision: float) -> bool:
    """Whether an alarm is worth a checkpoint: U > C/p.

    >>> aupy_saves(26.0, 20.0, 0.8), aupy_saves(24.0, 20.0, 0.8)
    (True, False)
    """
    return unsaved_s * precision > cost_s
