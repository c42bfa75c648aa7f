"""Policies whose rule is a function that the lab measures too, as the pipeline asks them."""

from __future__ import annotations

from dataclasses import dataclass

from models.checkpointing.base import Situation
from models.checkpointing.daly import daly_interval_s
from models.checkpointing.hazard import hazard_rate_of_checkpoints


@dataclass(frozen=True, slots=True)
class Hazard:
    """λ = √(h/(2C)), h the hazard of the job now: what comes unforeseen, and what open alarms foretell."""

    name: str = "hazard"

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second.

        >>> round(1 / Hazard().rate(Situation(cost_s=5.0, mtbf_s=60.0, hazard=1 / 60)), 1)
        24.5
        """
        return hazard_rate_of_checkpoints(situation.hazard, situation.cost_s)


@dataclass(frozen=True, slots=True)
class Daly:
    """λ = 1/T of Daly's formula, whatever the predictor says."""

    name: str = "daly"

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second.

        >>> round(1 / Daly().rate(Situation(cost_s=5.0, mtbf_s=60.0)), 1)
        21.3
        """
        return 1.0 / daly_interval_s(situation.cost_s, situation.mtbf_s)
