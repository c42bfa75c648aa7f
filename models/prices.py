"""What things cost a job: measured where they were measured, the operator's prior where not."""

from __future__ import annotations

from models.checkpointing import Situation, bounded_rate, checkpoint_policy
from models.job import Job, OpenIncident
from models.policy_settings import DAY_S, PolicySettings
from models.recovery import HealthChain, Suspicion


def checkpoint_situation(job: Job, settings: PolicySettings) -> Situation:
    """Return the job as a checkpoint policy sees it; P is that of the open incidents on its own nodes."""
    open_here = (one for one in job.incidents.values() if not one.history and job.rank_on(one.node) is not None)
    return Situation(
        cost_s=max(job.cost_s if job.cost_s is not None else settings.checkpoint_cost_s, 1e-6),
        mtbf_s=settings.node_mtbf_days * DAY_S / max(1, len(job.ranks)),
        probability=max((one.probability for one in open_here), default=0.0),
        load=job.load,
    )


def checkpoint_rate(situation: Situation, settings: PolicySettings) -> float:
    """Return the rate of the chosen policy (1/s) within the overhead cap."""
    rate = checkpoint_policy(settings).rate(situation)
    return bounded_rate(rate, situation.cost_s, settings.overhead_cap)


def checkpoint_numbers(job: Job, settings: PolicySettings) -> dict[str, float]:
    """Return what a checkpoint was ordered by: C, μ, P, I, λ, T = 1/λ where λ > 0, and the work that it saves."""
    situation = checkpoint_situation(job, settings)
    rate = checkpoint_rate(situation, settings)
    numbers = {
        "C": situation.cost_s,
        "mtbf_s": situation.mtbf_s,
        "P": situation.probability,
        "I": situation.load,
        "lambda": rate,
        "unsaved_s": job.unsaved_s,
        "unsaved_steps": float(job.unsaved_steps),
    }
    return {**numbers, "T": 1.0 / rate} if rate > 0.0 else numbers


def suspicion(job: Job, incident: OpenIncident, chain: HealthChain, settings: PolicySettings) -> Suspicion:
    """Return a node under suspicion as a recovery policy sees it."""
    migration_s = settings.migration_s
    if job.migrate_s is not None and job.restore_s is not None:
        migration_s = job.migrate_s + job.restore_s
    return Suspicion(
        chain=chain,
        probability=incident.probability,
        spare_probability=min(1.0, incident.horizon_s / (settings.node_mtbf_days * DAY_S)),
        ranks=max(1, len(job.ranks)),
        unsaved_s=job.unsaved_s,
        migration_s=migration_s,
        detection_s=settings.detection_s,
        restart_s=settings.restart_s if job.restore_s is None else job.restore_s,
    )
