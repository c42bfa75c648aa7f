"""What every recovery policy is asked: should this rank leave its node?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from models.recovery.chain import HealthChain, Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """One rank on a node under suspicion, and what each way on would cost its job.

    Parameters
    ----------
    probability:
        The calibrated claim P(the node fails within the horizon).
    spare_probability:
        The same for the spare, from its mean time between failures.
    ranks:
        How many ranks stand still when one does.
    unsaved_s:
        Work that is in no durable checkpoint (s).
    migration_s, detection_s, restart_s:
        Standstill of a planned migration; of noticing and of restarting after an unforeseen failure (s).
    """

    chain: HealthChain
    probability: float
    spare_probability: float
    ranks: int
    unsaved_s: float
    migration_s: float
    detection_s: float
    restart_s: float


@dataclass(frozen=True, slots=True)
class Choice:
    """What to do, by which rule, and every number that it was chosen by."""

    move: Move
    rule: str
    numbers: Mapping[str, float] = field(default_factory=dict)


class RecoveryPolicy(Protocol):
    """One rule for leaving a node."""

    @property
    def name(self) -> str:
        """The name by which settings choose it."""

    def choose(self, suspicion: Suspicion) -> Choice:
        """Return whether to stay or to migrate."""
