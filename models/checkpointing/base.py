"""What every checkpoint policy is asked: how often is it worth the price now?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A job as a checkpoint policy sees it.

    Parameters
    ----------
    cost_s:
        C, measured blocking time of a checkpoint (s), above 0.
    mtbf_s:
        μ, the job's mean time between failures (s), above 0.
    probability:
        P, the largest fault probability of the job's open incidents; 0 when there is none.
    load:
        I, the load of the job's machines in 0…1.
    hazard:
        h, the rate of failures that a checkpoint written now can help against, in 1/s.
    recall:
        r, the share of failures that alarms foretell, as earned.
    since_failure_s:
        Time since the job last lost a node (s); 0 where it never did.
    """

    cost_s: float
    mtbf_s: float
    probability: float = 0.0
    load: float = 0.0
    hazard: float = 0.0
    recall: float = 0.0
    since_failure_s: float = 0.0


class CheckpointPolicy(Protocol):
    """One rule for the rate of checkpoints; a checkpoint is due when ∫λ dt reaches 1."""

    @property
    def name(self) -> str:
        """The name by which settings choose it."""

    def rate(self, situation: Situation) -> float:
        """Return λ, in checkpoints a second."""
