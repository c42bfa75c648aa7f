"""The seed's Eq. 2, taken literally: λ = α·P + β·I."""

from __future__ import annotations

from dataclasses import dataclass

from models.checkpointing.base import Situation


@dataclass(frozen=True, slots=True)
class Paper:
    """The rate grows with the fault probability P and the load I; ``alpha`` and ``beta`` are in 1/s."""

    alpha: float
    beta: float
    name: str = "paper"

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second.

        >>> Paper(alpha=0.01, beta=0.001).rate(Situation(cost_s=5.0, mtbf_s=60.0, probability=0.5, load=1.0))
        0.006
        """
        return self.alpha * situation.probability + self.beta * situation.load
