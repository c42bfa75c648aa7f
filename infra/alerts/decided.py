"""The decide folds' states, from the workers' snapshots on and carried with the log: whether a breaker is open.

That it has tripped stands on no topic, only in the folds' state; so it is folded here again, by the workers' settings.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from infra.status.reading import Reading
from models.brakes.state import Trip
from models.decision_state import DecisionState
from models.decisions import decide, initial_state
from models.policy_settings import PolicySettings
from models.records import Cause, Event


@dataclass(slots=True)
class BreakerFold:
    """States by partition of the decision log, and the offset from which each goes on."""

    settings: PolicySettings
    states: dict[int, DecisionState] = field(default_factory=dict)
    begin: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, reading: Reading, settings: PolicySettings) -> BreakerFold:
        """From one look at the topics."""
        return cls(reading.decided_by() or settings, dict(reading.states), dict(reading.reached))

    def take(self, partition: int, offset: int, event: Event) -> None:
        """Carry a partition on; the commands that follow are the worker's to give."""
        if offset < self.begin.get(partition, 0):
            return
        state = self.states.get(partition)
        if state is None:
            state = initial_state(self.settings)
        self.states[partition], _ = decide(state, event, Cause(partition, offset))

    def trips(self) -> list[Trip]:
        """The breakers that are open."""
        return [state.brakes.tripped for state in self.states.values() if state.brakes.tripped is not None]

    def window_s(self) -> float:
        """The breaker's window."""
        return float(self.settings.breaker_window_s)
