"""Shadow policies: candidates that fold the decision log as it grows, and command nothing.

A shadow has no commands to read: those of a fold under the policy in use, beside it, are the log's. It begins where the
log does, and what it holds follows from the log alone; who observes and starts anew folds it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from models.backtest.beside import Beside
from models.backtest.comparison import Comparison, Tally
from models.policy_settings import PolicySettings
from models.records import Event

#: So many differences of a candidate are kept for each partition; all are counted.
KEPT_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class ShadowPolicy:
    """How a candidate compares for one job so far.

    ``commands`` are those that it would have given, ``differences`` where it parts from what was commanded, ``seconds``
    what these would have saved the job (+) or cost it (−), by expectation (``models.backtest.worth``).
    """

    job: str
    policy: str
    commands: int
    differences: int
    seconds: float


class ShadowPolicies:
    """Any number of candidates beside the policy in use, over all partitions of the decision log.

    Parameters
    ----------
    own : PolicySettings
        What the workers decide with.
    candidates : mapping
        Each by the name that it is told of by.
    """

    def __init__(self, own: PolicySettings, candidates: Mapping[str, PolicySettings]) -> None:
        self._own, self._candidates = own, dict(candidates)
        self._folds: dict[int, Beside] = {}
        self._next: dict[int, int] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The candidates, in the order in which they were named."""
        return tuple(self._candidates)

    def take(self, partition: int, offset: int, event: Event) -> None:
        """Fold one event; those of a partition come in order, and one that was taken before changes nothing."""
        if offset < self._next.get(partition, 0):
            return
        self._next[partition] = offset + 1
        fold = self._folds.get(partition)
        if fold is None:
            compared = {
                name: Comparison(candidate, partition, kept_max=KEPT_MAX)
                for name, candidate in self._candidates.items()
            }
            fold = self._folds[partition] = Beside(self._own, partition, compared)
        fold.take(offset, event)

    def compared(self) -> list[ShadowPolicy]:
        """Each candidate for each job that the log has told of, by job and then in the candidates' order."""
        found = []
        jobs = {job: fold for fold in self._folds.values() for job in fold.state.jobs}
        for job in sorted(jobs):
            for name, comparison in jobs[job].comparisons.items():
                tally = comparison.tallies.get(job, Tally())
                found.append(ShadowPolicy(job, name, tally.commands, tally.differences, tally.seconds))
        return found
