"""Hazard-driven checkpoints: Young's rule for a hazard that changes, λ = √(h/(2C)).

A checkpoint is due when ∫λ dt reaches 1. Over an interval T with hazard h the price of one is C, and the work that it
is expected to save h·T²/2: both are equal to first order when √(h/2C)·T = 1, which is Young for a constant h.
"""

from __future__ import annotations

import math


def hazard_rate_of_checkpoints(hazard: float, cost_s: float) -> float:
    """Return λ = √(h/(2C)), in 1/s.

    >>> round(1.0 / hazard_rate_of_checkpoints(1.0 / 60.0, 5.0), 1)
    24.5
    """
    return math.sqrt(hazard / (2.0 * cost_s))


def early_price_s(unsaved_s: float, interval_s: float, cost_s: float) -> float:
    """Return what a checkpoint costs that is not due yet: C·(1 − x)², x = min(1, U/T), to first order.

    One that is due (x = 1) costs nothing more than was to be paid anyway.

    >>> early_price_s(0.0, 600.0, 20.0), early_price_s(300.0, 600.0, 20.0), early_price_s(900.0, 600.0, 20.0)
    (20.0, 5.0, 0.0)
    """
    left = 1.0 - min(1.0, unsaved_s / interval_s)
    return cost_s * left * left


def early_saves(chance: float, unsaved_s: float, price_s: float) -> bool:
    """Whether an alarm is worth a checkpoint: P·S(a + C + W)·U > C·(1 − x)².

    Parameters
    ----------
    chance :
        That the node fails, and not before the checkpoint is durable: P·S(a + C + W).

    Examples
    --------
    >>> early_saves(0.1, 300.0, 5.0), early_saves(0.01, 300.0, 5.0), early_saves(0.0, 900.0, 0.0)
    (True, False, False)
    """
    return chance * unsaved_s > price_s
