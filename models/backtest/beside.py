"""The log's own fold, and any number of candidates beside it, over one partition of the decision log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.backtest.comparison import Comparison
from models.decision_state import DecisionState
from models.decisions import decide, initial_state
from models.policy_settings import PolicySettings
from models.records import Cause, Command, Event, NodeFate


class Beside:
    """Takes the events of one partition in order.

    Parameters
    ----------
    own : PolicySettings
        What the log was decided with; prices, hazard and earned trust are those of its fold.
    comparisons : mapping
        The candidates by name. One that is ``exact`` has the log's fold for its own, until the log holds something else
        than that gives.
    """

    def __init__(self, own: PolicySettings, partition: int, comparisons: Mapping[str, Comparison]) -> None:
        self.partition = partition
        self.comparisons = dict(comparisons)
        self.state: DecisionState = initial_state(own)
        for one in self.comparisons.values():
            if one.exact and one.settings == own:
                one.state = self.state

    def take(self, offset: int, event: Event, given: Sequence[Command] | None = None) -> tuple[Command, ...]:
        """Take in one record and the commands that the log holds for it; None: those that its own fold gives.

        Returns what the log's own fold gives.
        """
        return self.take_apart(offset, event, event, given)

    def take_apart(
        self, offset: int, event: Event | None, instead: Event | None, given: Sequence[Command] | None = None
    ) -> tuple[Command, ...]:
        """The same, where the candidates are told something else than the log; None: nothing."""
        if instead is not event:
            for one in self.comparisons.values():
                one.part_from(self.state)
        if isinstance(event, NodeFate):
            for one in self.comparisons.values():
                one.foresee(event, self.state)
        own: tuple[Command, ...] = ()
        if event is not None:
            self.state, own = decide(self.state, event, Cause(self.partition, offset))
        for one in self.comparisons.values():
            one.take(offset, instead, own if given is None else given, self.state, own)
        return own
