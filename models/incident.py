"""Incidents: when suspicion of a node opens, changes and closes, with hysteresis (seed, Eq. 1 with θ).

An incident opens after ``open_frames`` assessments in a row with P ≥ θ, and closes after ``close_frames`` in a row
with P below half of θ. Between these it is latched, so that a wavering probability is one incident. It opens, too, when
the anomaly detector has latched, for that reason alone; the reason turns to the probability when that rises, and back
when it falls while the anomaly lasts, so that all of it is one incident.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.records import IncidentReason

Transition = Literal["opened", "changed", "closed"]


@dataclass(frozen=True, slots=True)
class IncidentSettings:
    """θ, how many assessments in a row open and close, and the change of P that is worth telling."""

    theta: float = 0.5
    open_frames: int = 3
    close_frames: int = 30
    change_min: float = 0.1


@dataclass(slots=True)
class Latch:
    """The suspicion of one node: the incident that is open, if any, and the run of frames towards a change.

    Examples
    --------
    >>> latch, settings = Latch(), IncidentSettings(theta=0.5, open_frames=2, close_frames=2)
    >>> [latch.advance(probability, settings) for probability in (0.9, 0.3, 0.9, 0.9)]
    [None, None, None, 'opened']
    >>> latch.incident = "the caller names it"
    >>> [latch.advance(probability, settings) for probability in (0.9, 0.3, 0.2, 0.2)]
    [None, 'changed', None, 'closed']
    """

    incident: str | None = None
    run: int = 0
    told: float = 0.0
    serial: int = 0
    reason: IncidentReason = "probability"

    def advance(self, probability: float, settings: IncidentSettings, *, anomalous: bool = False) -> Transition | None:
        """Take one assessment; says what became of the incident. The caller names an opened one."""
        if self.incident is None or self.reason == "anomaly":
            self.run = self.run + 1 if probability >= settings.theta else 0
            if self.run >= settings.open_frames:
                return self._because("probability", probability)
            if self.incident is None:
                return self._because("anomaly", probability) if anomalous else None
            if not anomalous:
                return self.close(probability)
        else:
            self.run = self.run + 1 if probability < settings.theta / 2 else 0
            if self.run >= settings.close_frames:
                return self._because("anomaly", probability) if anomalous else self.close(probability)
        if abs(probability - self.told) >= settings.change_min:
            self.told = probability
            self.serial += 1
            return "changed"
        return None

    def close(self, probability: float) -> Transition:
        """End the incident that is open; the caller takes its name away once it is told."""
        return self._turn("closed", probability)

    def _because(self, reason: IncidentReason, probability: float) -> Transition:
        """Open for a reason, or go on for it."""
        self.reason = reason
        return self._turn("opened" if self.incident is None else "changed", probability)

    def _turn(self, transition: Transition, probability: float) -> Transition:
        self.run, self.told = 0, probability
        self.serial = 0 if transition == "opened" else self.serial + 1
        return transition
