"""What an operator may set about deciding: rates, thresholds, levels, bounds and priors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CheckpointName = Literal["hazard", "young", "daly", "paper", "lazy", "aupy", "overhead-bounded"]
MigrationName = Literal["break-even", "paper", "never"]
Level = Literal["observe", "checkpoint", "quarantine", "migrate"]
#: What forestall may do on its own, each level including the ones before it.
LEVELS: tuple[Level, ...] = ("observe", "checkpoint", "quarantine", "migrate")
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """Everything that a decision depends on beside the log.

    Parameters
    ----------
    checkpoint, migration:
        Names of the policies (``models.checkpointing``, ``models.recovery``).
    level:
        What may be done; ``observe`` issues no command.
    theta:
        θ of Eq. 1: a fault probability of at least θ is the health state ``failing``.
    alpha, beta:
        α and β of Eq. 2, in 1/s.
    eta:
        η of Eq. 6.
    lambda1, lambda2:
        Weights of ResourceCost and FaultImpact, both in rank-seconds.
    node_mtbf_days:
        Mean time between failures of one node, in days.
    checkpoint_cost_s, durable_s, migration_s, restart_s:
        Priors of what is measured later: blocking time of a checkpoint, time from then until it is durable, standstill
        of a planned migration, restart after an unforeseen failure (s).
    detection_s:
        How long an unforeseen failure goes unnoticed (s).
    lead_median_s, lead_sigma:
        The lognormal law of the time from an alarm to its failure, as claimed: median (s), at most half of the
        alarm's horizon, and σ. The median is stretched by the leads that are seen.
    min_gap_s, overhead_cap:
        Least time between checkpoints (s), and the largest share of time that scheduled ones may block.
    command_ttl_s, checkpoint_deadline_s:
        When a command expires, and when a checkpoint that is not durable at every rank is given up (s).
    stalled_after_s:
        A job whose ranks told no progress for this long (s) is not asked for scheduled checkpoints.
    claim_weight:
        How many observed transitions the calibrated claim of the predictor is worth in Eq. 6.
    elastic:
        Whether a job that declares ``min_nodes`` and ``replica_nodes`` goes on smaller where it would wait for a spare,
        and grows back.
    breaker_share, breaker_nodes, breaker_window_s:
        The breaker trips when more than this share of the fleet, and more than so many nodes, would be out within a
        window of so long (s); see ``models.brakes.breaker``.
    storm_incidents, storm_window_s, cool_down_s:
        So many new incidents on a job's nodes within so long (s) are a storm, over when none came for so long (s).
    warm_up_s:
        A node is not moved before it was known to its job for so long (s).
    retention_s:
        How long commands are retained (s); an event older than that is ignored, its id remembered twice as long.
    """

    checkpoint: CheckpointName = "hazard"
    migration: MigrationName = "break-even"
    level: Level = "observe"
    theta: float = 0.5
    alpha: float = 0.01
    beta: float = 0.001
    eta: float = 0.7
    lambda1: float = 1.0
    lambda2: float = 1.0
    node_mtbf_days: float = 264.0
    checkpoint_cost_s: float = 5.0
    durable_s: float = 20.0
    migration_s: float = 140.0
    restart_s: float = 180.0
    detection_s: float = 60.0
    lead_median_s: float = 720.0
    lead_sigma: float = 0.8
    min_gap_s: float = 10.0
    overhead_cap: float = 0.05
    command_ttl_s: float = 60.0
    checkpoint_deadline_s: float = 30.0
    stalled_after_s: float = 30.0
    claim_weight: float = 8.0
    elastic: bool = True
    breaker_share: float = 0.05
    breaker_nodes: int = 2
    breaker_window_s: float = 3600.0
    storm_incidents: int = 5
    storm_window_s: float = 300.0
    cool_down_s: float = 600.0
    warm_up_s: float = 60.0
    retention_s: float = 14 * DAY_S

    def allows(self, level: Level) -> bool:
        """Whether the level that is set includes ``level``.

        >>> PolicySettings(level="quarantine").allows("checkpoint")
        True
        >>> PolicySettings().allows("checkpoint")
        False
        """
        return LEVELS.index(self.level) >= LEVELS.index(level)
