"""Policies whose rule is a function that the lab measures too, as the pipeline asks them."""

from __future__ import annotations

from dataclasses import dataclass

from models.checkpointing.aupy import aupy_interval_s
from models.checkpointing.base import Situation
from models.checkpointing.daly import daly_interval_s
from models.checkpointing.hazard import hazard_rate_of_checkpoints
from models.checkpointing.lazy import lazy_interval_s
from models.checkpointing.overhead_bounded import OVERHEAD_CAP, overhead_bounded_interval_s
from models.checkpointing.young import young_interval_s

#: Weibull shape of the times between failures, as measured on large fleets.
WEIBULL_SHAPE = 0.62


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


@dataclass(frozen=True, slots=True)
class Aupy:
    """λ = 1/√(2Cμ/(1 − r)), and one more on an alarm that is worth it; r and p are earned."""

    name: str = "aupy"

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second.

        >>> round(1 / Aupy().rate(Situation(cost_s=5.0, mtbf_s=60.0, recall=0.75)), 1)
        49.0
        """
        return 1.0 / aupy_interval_s(situation.cost_s, situation.mtbf_s, situation.recall)


@dataclass(frozen=True, slots=True)
class Lazy:
    """λ = 1/T of the lazy interval: the longer no node failed, the longer it is."""

    name: str = "lazy"

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second.

        >>> lazy, now = Lazy(), Situation(cost_s=5.0, mtbf_s=60.0, since_failure_s=1000.0)
        >>> round(1 / lazy.rate(Situation(cost_s=5.0, mtbf_s=60.0)), 1), round(1 / lazy.rate(now), 1)
        (24.5, 100.3)
        """
        interval_s = young_interval_s(situation.cost_s, situation.mtbf_s)
        return 1.0 / lazy_interval_s(interval_s, situation.since_failure_s, WEIBULL_SHAPE)


@dataclass(frozen=True, slots=True)
class OverheadBounded:
    """λ = 1/T of the shortest interval that keeps the overhead below its cap."""

    name: str = "overhead-bounded"

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second.

        >>> round(1 / OverheadBounded().rate(Situation(cost_s=20.0, mtbf_s=60.0)))
        551
        """
        return 1.0 / overhead_bounded_interval_s(situation.cost_s, OVERHEAD_CAP)
