"""Recovery policies: whether a rank should leave a node under suspicion; one policy a file."""

from __future__ import annotations

from models.policy_settings import PolicySettings
from models.recovery.base import Choice, RecoveryPolicy, Stakes, Suspicion
from models.recovery.chain import HealthChain, Move, State, health_state
from models.recovery.leaving import BreakEven
from models.recovery.never import Never
from models.recovery.paper import Paper

__all__ = [
    "BreakEven",
    "Choice",
    "HealthChain",
    "Move",
    "Never",
    "Paper",
    "RecoveryPolicy",
    "Stakes",
    "State",
    "Suspicion",
    "health_state",
    "recovery_policy",
]


def recovery_policy(settings: PolicySettings) -> RecoveryPolicy:
    """Return the policy that the settings name."""
    match settings.migration:
        case "break-even":
            return BreakEven()
        case "paper":
            return Paper(settings.eta, settings.theta, settings.lambda1, settings.lambda2, settings.claim_weight)
        case "never":
            return Never()
