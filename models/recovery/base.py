"""What every recovery policy is asked: should this rank leave its node?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from models.recovery.chain import HealthChain, Move


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What an open alarm is worth by the trust that its predictor has earned, and what break-even weighs beside it.

    Parameters
    ----------
    earned:
        Alarms of its kind by how they ended, by name.
    trusted:
        P, that this one is true.
    age_s, survival_now, survival_then:
        a, time since the alarm; S(a); and S at the time when the node would have been left.
    lead_mean_s:
        E[L], mean time from an alarm to its failure (s).
    cost_s, durable_s, interval_s:
        C, W, and T of Young (s).
    save_s:
        What the checkpoint before leaving still costs: C(1 − x)²; 0 where it is there already; the unsaved work
        where it was given up.
    free_spares:
        How many there are.
    horizon_s, mtbf_s:
        H, and μ of the job (s).
    nodes:
        How many run ranks.
    replica_nodes:
        How many nodes fewer a job goes on with where others wait for a spare; None for a job that waits.
    """

    earned: Mapping[str, float]
    trusted: float
    age_s: float
    survival_now: float
    survival_then: float
    lead_mean_s: float
    cost_s: float
    durable_s: float
    interval_s: float
    save_s: float
    free_spares: int
    horizon_s: float
    mtbf_s: float
    nodes: int = 1
    replica_nodes: int | None = None


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
    stakes:
        What the alarm is worth by earned trust; None where it is worth nothing, its horizon being over.
    """

    chain: HealthChain
    probability: float
    spare_probability: float
    ranks: int
    unsaved_s: float
    migration_s: float
    detection_s: float
    restart_s: float
    stakes: Stakes | None = None


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
