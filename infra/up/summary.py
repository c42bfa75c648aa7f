"""What a run came to, as the one JSON object that ``forestall up --json`` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from infra.observer.job import JobView
from infra.observer.view import COUNTED, FATES, View
from infra.up.tallies import Tallies
from models.ledger import job_summary
from models.records import Counts


@dataclass(frozen=True, slots=True)
class Baseline:
    """What had been counted before this run, on a log that it goes on with."""

    counts: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of_counts(cls, newest: Iterable[Counts]) -> Baseline:
        """The sum of each partition's newest counts."""
        newest = list(newest)
        return cls({name: sum(int(getattr(counts, name)) for counts in newest) for name in COUNTED})

    def of(self, name: str) -> int:
        """One count."""
        return self.counts.get(name, 0)


def frames(view: View, tallies: Tallies, before: Baseline) -> dict[str, Any]:
    """What became of the frames.

    ``lost`` is what was produced and is neither assessed nor counted as late, duplicate or dead letter, the past
    included: a frame that one side takes for the last of the past and the other for the first of the present is
    not lost.
    """
    counted = {name: number - before.of(name) for name, number in view.counted().items()}
    produced, past = tallies.total("produced") + tallies.total("restored"), tallies.total("history")
    accounted = sum(counted[name] for name in FATES)
    return {
        "frames_produced": produced,
        "frames_assessed": counted["assessed"],
        "history": {"produced": past, "assessed": counted["history"]},
        "dead_letters": counted["dead_letters"],
        "duplicates": counted["duplicates"],
        "late": counted["late"],
        "lost": produced + past - accounted,
        "not_sent": tallies.dropped(),
    }


def commands(view: View) -> list[dict[str, Any]]:
    """Every command that was issued, in order."""
    found = [one.to_json() for job in view.jobs.values() for one in job.commands.values()]
    keys = ("id", "action", "job", "node", "spare", "ranks", "step", "incident", "issued_at", "latency_ms", "reason")
    return [{key: one[key] for key in keys} for one in sorted(found, key=lambda one: float(one["issued_at"]))]


def job_of(job: JobView) -> dict[str, int]:
    """How far the job came and what it did twice."""
    return asdict(job_summary(job.events, job.job))
