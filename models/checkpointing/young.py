"""Young's interval (1974): T = √(2Cμ), the first-order optimum under a constant failure rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.checkpointing.base import Situation


def young_interval_s(cost_s: float, mtbf_s: float) -> float:
    """Return T = √(2Cμ), in seconds.

    >>> round(young_interval_s(5.0, 60.0), 1)
    24.5
    """
    return math.sqrt(2.0 * cost_s * mtbf_s)


@dataclass(frozen=True, slots=True)
class Young:
    """λ = 1/√(2Cμ), whatever the predictor says."""

    name: str = "young"

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second.

        >>> round(1 / Young().rate(Situation(cost_s=5.0, mtbf_s=60.0)), 1)
        24.5
        """
        return 1.0 / young_interval_s(situation.cost_s, situation.mtbf_s)
