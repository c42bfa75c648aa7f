"""When the next checkpoint is due: the integral of the rate, and the bounds that no policy may pass."""

from __future__ import annotations

from dataclasses import dataclass


def bounded_rate(rate: float, cost_s: float, overhead_cap: float) -> float:
    """Return ``rate``, or the rate at which checkpoints of ``cost_s`` block ``overhead_cap`` of all time.

    C/(T + C) ≤ cap gives T ≥ C(1 − cap)/cap.

    >>> bounded_rate(1.0, 5.0, 0.05) == 0.05 / (5.0 * 0.95)
    True
    """
    return min(rate, overhead_cap / (cost_s * (1.0 - overhead_cap)))


@dataclass(frozen=True, slots=True)
class Accrual:
    """∫λ dt since the last checkpoint, up to ``at``; ``at`` is None before the first tick."""

    integral: float = 0.0
    at: float | None = None

    def until(self, at: float, rate: float) -> Accrual:
        """Return the integral at ``at`` (s), the rate (1/s) having been ``rate`` since the last time.

        >>> Accrual(0.5, 100.0).until(102.0, 0.25)
        Accrual(integral=1.0, at=102.0)
        """
        passed = 0.0 if self.at is None else max(0.0, at - self.at)
        return Accrual(self.integral + rate * passed, at)

    @property
    def due(self) -> bool:
        """Whether ∫λ dt has reached 1."""
        return self.integral >= 1.0

    def reset(self, integral: float = 0.0) -> Accrual:
        """Begin anew, a checkpoint having been ordered; 1 makes the next one due at once."""
        return Accrual(integral, self.at)
