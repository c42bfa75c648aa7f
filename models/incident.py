"""Incidents: when suspicion of a node opens, changes and closes, with hysteresis (seed, Eq. 1 with θ).

An incident opens after ``open_frames`` assessments in a row with P ≥ θ, and closes after ``close_frames`` in a row
with P below half of θ. Between these it is latched, so that a wavering probability is one incident.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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

    def advance(self, probability: float, settings: IncidentSettings) -> Transition | None:
        """Take one assessment; says what became of the incident. The caller names an opened one."""
        if self.incident is None:
            self.run = self.run + 1 if probability >= settings.theta else 0
            return self._turn("opened", probability) if self.run >= settings.open_frames else None
        self.run = self.run + 1 if probability < settings.theta / 2 else 0
        if self.run >= settings.close_frames:
            return self.close(probability)
        if abs(probability - self.told) >= settings.change_min:
            self.told = probability
            self.serial += 1
            return "changed"
        return None

    def close(self, probability: float) -> Transition:
        """End the incident that is open; the caller takes its name away once it is told."""
        return self._turn("closed", probability)

    def _turn(self, transition: Transition, probability: float) -> Transition:
        self.run, self.told = 0, probability
        self.serial = 0 if transition == "opened" else self.serial + 1
        return transition
