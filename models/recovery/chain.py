"""The joint chain over health states: P(s'|s,a) of Eq. 6, learned from how incidents end.

One transition is one horizon of the predictor, or an incident that ended before it. The state is the level of the
node's fault probability; the action is whether the rank stays on the node or migrates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

State = Literal["ok", "suspect", "failing", "failed"]
Move = Literal["stay", "migrate"]
STATES: tuple[State, ...] = get_args(State)


def health_state(probability: float, theta: float) -> State:
    """Return the level of a fault probability: ``failing`` from θ on, ``suspect`` from θ/2 on (Eq. 1 with θ).

    >>> health_state(0.1, 0.5), health_state(0.3, 0.5), health_state(0.5, 0.5)
    ('ok', 'suspect', 'failing')
    """
    if probability >= theta:
        return "failing"
    return "suspect" if probability >= theta / 2.0 else "ok"


@dataclass(frozen=True, slots=True)
class HealthChain:
    """Transition counts by ``state|move|next state``, with the predictor's calibrated claim as pseudo-counts."""

    counts: Mapping[str, float] = field(default_factory=dict)

    def learned(self, state: State, move: Move, following: State) -> HealthChain:
        """Return the chain after one more observed transition."""
        key = f"{state}|{move}|{following}"
        return HealthChain({**self.counts, key: self.counts.get(key, 0.0) + 1.0})

    def probability(self, following: State, state: State, move: Move, claim: float, weight: float) -> float:
        """Return P(s'|s,a), the mean of the Dirichlet posterior.

        Parameters
        ----------
        claim:
            What the predictor says of ``failed``; the rest of its claim is ``ok``.
        weight:
            How many observed transitions the claim is worth; with 0 the counts stand alone.

        Examples
        --------
        >>> chain = HealthChain().learned("failing", "stay", "failed")
        >>> chain.probability("failed", "failing", "stay", claim=0.5, weight=0.0)  # a deterministic chain
        1.0
        >>> chain.probability("failed", "failing", "stay", claim=0.5, weight=1.0)
        0.75
        """
        prior = {"failed": claim, "ok": 1.0 - claim}.get(following, 0.0)
        seen = [self.counts.get(f"{state}|{move}|{one}", 0.0) for one in STATES]
        total = sum(seen) + weight
        if total == 0.0:
            return prior
        return (seen[STATES.index(following)] + weight * prior) / total
