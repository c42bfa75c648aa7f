"""What a difference is worth, in seconds of the job, by the log's own prices and by the trust that its alarms earned.

A checkpoint more costs C at once. From then on the candidate has less unsaved work than the log, U′ < U, and saves

    ∫ h·(U − U′) dt

until the job's next difference, h being the hazard of what runs (``models.prices.hazard``). To leave a node saves the
expected loss of staying less the price of leaving, both as break-even finds them (``models.recovery.leaving``), the
checkpoint before it apart. What the log did and the candidate would not counts the other way round; what both did, at
another time, costs both the same at once. So the seconds of all differences add up to the difference in expected waste.

Beside that, what really failed: at each node that failed under a rank, the work that was unsaved, the time to notice
and the restart, under either policy, for the ranks that either still had there.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.decision_state import DecisionState
from models.job import Job
from models.policy_settings import PolicySettings
from models.prices import checkpoint_cost_s, hazard, migration_s, suspicion
from models.records import Command
from models.recovery.leaving import BreakEven


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A node that really failed, and what it cost (s): under the log's policy, and under the candidate's."""

    at: float
    job: str
    node: str
    was_s: float
    would_s: float

    @property
    def seconds(self) -> float:
        """What the candidate would have saved (+) or lost (−) by it."""
        return self.was_s - self.would_s


def at_once_s(command: Command, log: DecisionState) -> float:
    """What a command saves (+) or costs (−) as it is given, by what the log's fold knew then.

    RESTORE and RESIZE follow from what happened, and QUARANTINE and DRAIN take nothing from the job: 0.
    """
    job = log.jobs.get(command.job, Job(name=command.job))
    if command.action == "CHECKPOINT":
        return -checkpoint_cost_s(job, log.settings)
    if command.action == "MIGRATE":
        return _leaving_s(command, job, log)
    return 0.0


def _leaving_s(command: Command, job: Job, log: DecisionState) -> float:
    if command.incident not in job.incidents:
        return -migration_s(job, log.settings)
    stands = suspicion(
        job,
        str(command.incident),
        log.chain,
        log.settings,
        at=command.issued_at,
        checkpoint="durable",
        free_spares=sum(place.state == "spare" for place in job.places.values()),
    )
    numbers = BreakEven().choose(stands).numbers
    if "staying_s" not in numbers:
        return -stands.migration_s
    return numbers["staying_s"] - numbers["leaving_s"]


def exposure_s(log: Job, candidate: Job, settings: PolicySettings, at: float, seconds: float) -> float:
    """h·(U − U′)·dt: what less unsaved work under the candidate was expected to save in the last ``seconds``."""
    apart_s = log.unsaved_s - candidate.unsaved_s
    return hazard(log, settings, at) * apart_s * seconds if apart_s else 0.0


def loss_s(job: Job | None, node: str, log: Job, settings: PolicySettings) -> float:
    """What a failure of ``node`` costs a job that may have a rank there: U + D + R (s); 0 where it has none."""
    if job is None or job.rank_on(node) is None:
        return 0.0
    restart_s = settings.restart_s if log.restore_s is None else log.restore_s
    return job.unsaved_s + settings.detection_s + restart_s
