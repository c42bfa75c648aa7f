"""Never leave a node because of an alarm: what a job without a predictor does, which is what is compared against."""

from __future__ import annotations

from dataclasses import dataclass

from models.recovery.base import Choice, Suspicion


@dataclass(frozen=True, slots=True)
class Never:
    """Stay, whatever is claimed; ranks that are lost are restored all the same."""

    name: str = "never"

    def choose(self, suspicion: Suspicion) -> Choice:
        """Return to stay, with the claim that was passed over."""
        return Choice("stay", "never: alarms move nothing", {"P": suspicion.probability})
