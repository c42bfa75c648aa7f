"""Where a job's time went: wall time split into buckets, each second in exactly one.

What each bucket is, and what has it when two could:

========== ============================================================================================
waiting    a rank is down and no spare is free
restart    from RESTORE or RESIZE accepted to the rank's first new step; the job's own start to its first step
migration  from MIGRATE accepted, or an unforeseen failure noticed, to RESTORE or RESIZE accepted
checkpoint training stands still for a checkpoint; ranks overlap, so the longest of a command counts
detection  from an unforeseen failure, or the last word of a job gone silent, until it is noticed
recomputed steps done again, up to the step reached before
degraded   what is beyond the job's normal pace so far where a step takes 1.25 times as long or longer
productive the rest
========== ============================================================================================
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models.job_account import Folds, account_of
from models.job_story import job_story
from models.records import Event
from models.spans import DOWNTIME, Bucket, by_bucket


@dataclass(frozen=True, slots=True)
class Ledger:
    """Seconds by bucket; they sum to ``wall_s`` exactly."""

    buckets: Mapping[Bucket, float]
    wall_s: float

    @property
    def waste_s(self) -> float:
        """Wall time that was not productive."""
        return self.wall_s - self.buckets["productive"]

    @property
    def downtime_s(self) -> float:
        """Detection, restart, migration and waiting."""
        return sum(self.buckets[name] for name in DOWNTIME)

    @property
    def ettr(self) -> float:
        """Effective training time ratio: productive / wall; 1 for a job that has not begun."""
        return self.buckets["productive"] / self.wall_s if self.wall_s > 0 else 1.0


def ledger(events: Iterable[Event], job: str, since: float = -math.inf, until: float = math.inf) -> Ledger:
    """Split the wall time of ``job``: from its first running member or progress to its last event.

    Parameters
    ----------
    events:
        Of any jobs, in any order; duplicates count once.
    since, until:
        The part of that time which is meant (s). The ledgers of adjoining parts add up to that of the whole, exactly.
    """
    return ledger_of(account_of(events, job, since, until))


def ledger_of(folds: Folds) -> Ledger:
    """Return the ledger of a job whose events were taken in already."""
    held, wall_s = folds.claims.shared()
    return Ledger(by_bucket(held), wall_s)


@dataclass(frozen=True, slots=True)
class JobSummary:
    """How far a job came, and what it did twice. ``lost_steps`` are those that were done again."""

    steps: int
    restarts: int
    resumed_from_step: int
    lost_steps: int


def job_summary(events: Iterable[Event], job: str) -> JobSummary:
    """Return steps reached, ranks restored, the step of the last restore, and the steps done again."""
    story = job_story(events, job)
    words: list[tuple[float, int, int]] = [(one.at, 1, one.step) for one in story.progress]
    for migrate in story.of("MIGRATE"):
        if migrate.done is not None and migrate.done.step is not None:
            words.append((migrate.done.at, 1, migrate.done.step))
    restored = [one.done for one in story.of("RESTORE") if one.done is not None]
    words += [(one.at, 0, one.step or 0) for one in restored]
    steps = reached = resumed = lost = 0
    for _, kind, step in sorted(words):
        if kind == 1:
            reached = max(reached, step)
            steps = max(steps, step)
        else:
            lost, resumed, reached = lost + max(0, reached - step), step, step
    return JobSummary(steps, len(restored), resumed, lost)
