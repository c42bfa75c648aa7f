"""Checkpoint policies: how often a job should write a checkpoint; one policy a file."""

from __future__ import annotations

from models.checkpointing.accrual import Accrual, bounded_rate
from models.checkpointing.base import CheckpointPolicy, Situation
from models.checkpointing.driven import Aupy, Daly, Hazard, Lazy, OverheadBounded
from models.checkpointing.paper import Paper
from models.checkpointing.young import Young, young_interval_s
from models.policy_settings import PolicySettings

__all__ = [
    "Accrual",
    "Aupy",
    "CheckpointPolicy",
    "Daly",
    "Hazard",
    "Lazy",
    "OverheadBounded",
    "Paper",
    "Situation",
    "Young",
    "bounded_rate",
    "checkpoint_policy",
    "young_interval_s",
]


def checkpoint_policy(settings: PolicySettings) -> CheckpointPolicy:
    """Return the policy that the settings name."""
    match settings.checkpoint:
        case "hazard":
            return Hazard()
        case "daly":
            return Daly()
        case "paper":
            return Paper(settings.alpha, settings.beta)
        case "lazy":
            return Lazy()
        case "aupy":
            return Aupy()
        case "overhead-bounded":
            return OverheadBounded()
        case "young":
            return Young()
