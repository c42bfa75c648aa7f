"""The seed's Eq. 6, taken literally: migrate iff P(s'|s,a) > η, choosing the least L among what is admissible.

s' is ``failed`` and a is ``stay``: the node that is stayed on is the one that fails. L = λ₁·ResourceCost +
λ₂·FaultImpact, both in rank-seconds: what the action itself takes, and what a failure after it is expected to take.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.recovery.base import Choice, Suspicion
from models.recovery.chain import Move, health_state


@dataclass(frozen=True, slots=True)
class Paper:
    """Eq. 6 with η, the health states of Eq. 1 with θ, and λ₁, λ₂."""

    eta: float
    theta: float
    lambda1: float
    lambda2: float
    claim_weight: float
    name: str = "paper"

    def choose(self, suspicion: Suspicion) -> Choice:
        """Return whether to stay or to migrate, with P(s'|s,a) and L of both."""
        chances = {"stay": self._failed(suspicion, "stay"), "migrate": self._failed(suspicion, "migrate")}
        impact_s = suspicion.ranks * (suspicion.unsaved_s + suspicion.detection_s + suspicion.restart_s)
        resource_s = suspicion.ranks * suspicion.migration_s
        losses = {
            "stay": self.lambda2 * chances["stay"] * impact_s,
            "migrate": self.lambda1 * resource_s + self.lambda2 * chances["migrate"] * impact_s,
        }
        admissible = chances["stay"] > self.eta
        migrate = admissible and losses["migrate"] < losses["stay"]
        numbers = {
            "P": suspicion.probability,
            "eta": self.eta,
            "P(failed|s,stay)": chances["stay"],
            "P(failed|s,migrate)": chances["migrate"],
            "L(stay)": losses["stay"],
            "L(migrate)": losses["migrate"],
            "ResourceCost(migrate)": resource_s,
            "FaultImpact": impact_s,
            "unsaved_s": suspicion.unsaved_s,
        }
        rule = "paper: P(s'|s,a) > eta and L(migrate) < L(stay)"
        return Choice("migrate" if migrate else "stay", rule, numbers)

    def _failed(self, suspicion: Suspicion, move: Move) -> float:
        state = health_state(suspicion.probability, self.theta)
        claim = suspicion.probability if move == "stay" else suspicion.spare_probability
        return suspicion.chain.probability("failed", state, move, claim, self.claim_weight)
