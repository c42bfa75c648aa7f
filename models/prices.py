"""What things cost a job, measured where they were measured, else the operator's prior; and what alarms are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from models.checkpointing import Situation, bounded_rate, checkpoint_policy, young_interval_s
from models.checkpointing.aupy import aupy_saves
from models.checkpointing.hazard import early_price_s, early_saves
from models.hazard_rate import alarm_hazard, base_hazard, still_to_come
from models.job import Alarm, Job, OpenIncident
from models.lead import lead_density, lead_mean_s, lead_survival
from models.policy_settings import DAY_S, PolicySettings
from models.recovery import HealthChain, Stakes, Suspicion
from models.recovery.resize import growth_gain_s, whole_replicas
from models.trust import Counts, believed, believed_recall, stretch

#: The claimed median of lead times is at most this share of the horizon within which the failure is claimed.
MEDIAN_SHARE_MAX = 0.5
#: How the checkpoint before leaving stands: just durable, one to be written first, or given up.
Checkpoint = Literal["durable", "older", "given up"]
#: Ages below this are no age: the law of leads is not asked for the chance of a microsecond.
_AGE_MIN_S = 1e-6


def checkpoint_cost_s(job: Job, settings: PolicySettings) -> float:
    """Return C, above 0."""
    return max(job.cost_s if job.cost_s is not None else settings.checkpoint_cost_s, 1e-6)


def durable_s(job: Job, settings: PolicySettings) -> float:
    """Return W."""
    return max(job.durable_s if job.durable_s is not None else settings.durable_s, 0.0)


def migration_s(job: Job, settings: PolicySettings) -> float:
    """Return M."""
    if job.migrate_s is not None and job.restore_s is not None:
        return job.migrate_s + job.restore_s
    return settings.migration_s


def mtbf_s(job: Job, settings: PolicySettings) -> float:
    """Return μ of the job."""
    return settings.node_mtbf_days * DAY_S / max(1, len(job.ranks))


def claimed_median_s(settings: PolicySettings, horizon_s: float | None) -> float:
    """Return L̂, the median lead as claimed: a failure within the horizon is claimed, so it lies well within it.

    >>> claimed_median_s(PolicySettings(), 3600.0), claimed_median_s(PolicySettings(), 180.0)
    (720.0, 90.0)
    """
    if horizon_s is None:
        return settings.lead_median_s
    return max(1.0, min(settings.lead_median_s, MEDIAN_SHARE_MAX * horizon_s))


def lead_median_s(job: Job, settings: PolicySettings, horizon_s: float | None) -> float:
    """Return the median lead as learned: the claimed one, stretched by the leads that were seen."""
    return claimed_median_s(settings, horizon_s) * stretch(job.trust)


def trusted(job: Job, alarm: Alarm) -> float:
    """Return P, that an alarm is true: earned, never claimed."""
    return believed(_counts(job, alarm), alarm.dense)


def _counts(job: Job, alarm: Alarm) -> Counts:
    return job.trust.dense if alarm.dense else job.trust.sparse


def coming(job: Job, alarm: Alarm, at: float, seconds: float, settings: PolicySettings) -> float:
    """Return the chance that the node of an alarm fails, and not within the next ``seconds``."""
    median_s, sigma, age_s = lead_median_s(job, settings, alarm.horizon_s), settings.lead_sigma, _age_s(alarm, at)
    now, then = lead_survival(age_s, median_s, sigma), lead_survival(age_s + seconds, median_s, sigma)
    return still_to_come(trusted(job, alarm), now, then)


def _age_s(alarm: Alarm, at: float) -> float:
    age_s = at - alarm.at
    return age_s if age_s > _AGE_MIN_S else 0.0


def open_alarms(job: Job) -> Sequence[Alarm]:
    """Return the alarms that stand: suspicion lasts, the rank is still there, and the horizon is not over."""
    return [alarm for key, alarm in job.alarms.items() if key in job.incidents and not alarm.left]


def unforeseen_hazard(job: Job, settings: PolicySettings) -> float:
    """Return (1 − r·S(C+W))/μ, in 1/s."""
    ahead_s = checkpoint_cost_s(job, settings) + durable_s(job, settings)
    helped = lead_survival(ahead_s, lead_median_s(job, settings, job.horizon_s), settings.lead_sigma)
    return base_hazard(believed_recall(job.trust), helped, mtbf_s(job, settings))


def hazard(job: Job, settings: PolicySettings, at: float) -> float:
    """Return h of the job at a time, in 1/s: what comes unforeseen, and what each open alarm foretells."""
    ahead_s = checkpoint_cost_s(job, settings) + durable_s(job, settings)
    total = unforeseen_hazard(job, settings)
    for alarm in open_alarms(job):
        chance = trusted(job, alarm)
        if chance > 0.0:
            law = _age_s(alarm, at) + ahead_s, lead_median_s(job, settings, alarm.horizon_s), settings.lead_sigma
            total += alarm_hazard(chance, lead_density(*law), lead_survival(*law))
    return total


def checkpoint_situation(job: Job, settings: PolicySettings, at: float) -> Situation:
    """Return the job as a checkpoint policy sees it; P is the claim of the open incidents on its own nodes."""
    open_here = (one for one in job.incidents.values() if not one.history and job.rank_on(one.node) is not None)
    return Situation(
        cost_s=checkpoint_cost_s(job, settings),
        mtbf_s=mtbf_s(job, settings),
        probability=max((one.probability for one in open_here), default=0.0),
        load=job.load,
        hazard=hazard(job, settings, at),
        recall=believed_recall(job.trust),
        since_failure_s=0.0 if job.failed_at is None else max(0.0, at - job.failed_at),
    )


def checkpoint_rate(situation: Situation, settings: PolicySettings) -> float:
    """Return the rate of the chosen policy (1/s) within the overhead cap."""
    rate = checkpoint_policy(settings).rate(situation)
    return bounded_rate(rate, situation.cost_s, settings.overhead_cap)


def checkpoint_numbers(job: Job, settings: PolicySettings, at: float) -> dict[str, float]:
    """Return what a checkpoint was ordered by: C, μ, P, I, λ, T = 1/λ where λ > 0, and the work that it saves.

    Under ``hazard`` P is earned; then h, r, W and the median lead stand there, and I does not.
    """
    situation = checkpoint_situation(job, settings, at)
    rate = checkpoint_rate(situation, settings)
    numbers = {"C": situation.cost_s, "mtbf_s": situation.mtbf_s, "P": situation.probability, "I": situation.load}
    if settings.checkpoint == "hazard":
        numbers = {**_hazard_numbers(job, settings, situation), "C": situation.cost_s, "mtbf_s": situation.mtbf_s}
    numbers |= {"lambda": rate, "unsaved_s": job.unsaved_s, "unsaved_steps": float(job.unsaved_steps)}
    return {**numbers, "T": 1.0 / rate} if rate > 0.0 else numbers


def _hazard_numbers(job: Job, settings: PolicySettings, situation: Situation) -> dict[str, float]:
    return {
        "P": max((trusted(job, alarm) for alarm in open_alarms(job)), default=0.0),
        "h": situation.hazard,
        "h_unforeseen": unforeseen_hazard(job, settings),
        "r": believed_recall(job.trust),
        "W": durable_s(job, settings),
        "lead_median_s": lead_median_s(job, settings, job.horizon_s),
    }


def aupy_checkpoint(job: Job, alarm: Alarm | None, settings: PolicySettings) -> dict[str, float] | None:
    """Return the numbers by which Aupy's rule finds an alarm worth a checkpoint now, None when it is not: U > C/p."""
    chance, unsaved_s = 0.0 if alarm is None else trusted(job, alarm), job.unsaved_s
    if not aupy_saves(unsaved_s, checkpoint_cost_s(job, settings), chance):
        return None
    return {"P": chance, "U": unsaved_s}


def early_checkpoint(job: Job, alarm: Alarm | None, settings: PolicySettings, at: float) -> dict[str, float] | None:
    """Return the numbers by which an alarm is worth a checkpoint now, None when it is not: P·S(a+C+W)·U > C(1 − x)²."""
    if alarm is None:
        return None
    cost_s, unsaved_s = checkpoint_cost_s(job, settings), job.unsaved_s
    interval_s = young_interval_s(cost_s, mtbf_s(job, settings))
    chance = coming(job, alarm, at, cost_s + durable_s(job, settings), settings)
    price_s = early_price_s(unsaved_s, interval_s, cost_s)
    if not early_saves(chance, unsaved_s, price_s):
        return None
    return {
        "P": trusted(job, alarm),
        "saves_s": chance * unsaved_s,
        "C(1-x)2": price_s,
        "P·S(a+C+W)": chance,
        **_counts(job, alarm)._asdict(),
        "a": _age_s(alarm, at),
        "T_young": interval_s,
    }


def expected_loss_s(job: Job, incident: str | None, settings: PolicySettings, at: float) -> float:
    """Return how much is expected to be lost if a node under suspicion is stayed on: P(it fails) · what that costs (s).

    P is earned, or claimed where the policy believes claims; a rank that is down already is not asked about.
    """
    known, alarm = job.incidents.get(incident or ""), job.alarms.get(incident or "")
    if settings.migration == "paper":
        chance = 0.0 if known is None else known.probability
    else:
        chance = 0.0 if alarm is None else coming(job, alarm, at, 0.0, settings)
    restart_s = settings.restart_s if job.restore_s is None else job.restore_s
    return chance * (job.unsaved_s + durable_s(job, settings) + settings.detection_s + restart_s)


def may_shrink(job: Job, settings: PolicySettings, fewer: int) -> bool:
    """Whether a job may go on with so many fewer nodes than run now: whole replicas, and no fewer than it declares."""
    if not settings.elastic or job.min_nodes is None or job.replica_nodes is None:
        return False
    return whole_replicas(len(job.ranks) - fewer, job.replica_nodes) >= job.min_nodes


def growth_pays(job: Job, settings: PolicySettings, more: int, full_world: int) -> bool:
    """Whether growing by so many nodes now is worth a planned standstill, the next restart bringing it for nothing."""
    cost_s, until_s = checkpoint_cost_s(job, settings), mtbf_s(job, settings)
    early_s = early_price_s(job.unsaved_s, young_interval_s(cost_s, until_s), cost_s)
    return growth_gain_s(more, full_world, until_s) > migration_s(job, settings) + early_s


def suspicion(
    job: Job,
    key: str,
    chain: HealthChain,
    settings: PolicySettings,
    *,
    at: float,
    checkpoint: Checkpoint,
    free_spares: int,
) -> Suspicion:
    """Return a node under suspicion as a recovery policy sees it; ``key`` names its open incident."""
    incident: OpenIncident = job.incidents[key]
    alarm = job.alarms.get(key)
    return Suspicion(
        chain=chain,
        probability=incident.probability,
        spare_probability=min(1.0, incident.horizon_s / (settings.node_mtbf_days * DAY_S)),
        ranks=max(1, len(job.ranks)),
        unsaved_s=job.unsaved_s,
        migration_s=0.0 if job.down else migration_s(job, settings),
        detection_s=settings.detection_s,
        restart_s=settings.restart_s if job.restore_s is None else job.restore_s,
        stakes=None if alarm is None else _stakes(job, alarm, settings, at, checkpoint, free_spares),
    )


def _stakes(
    job: Job, alarm: Alarm, settings: PolicySettings, at: float, checkpoint: Checkpoint, free_spares: int
) -> Stakes:
    """A checkpoint that is there, or was given up, takes no time any more; nor does leaving while the job stands."""
    cost_s, age_s = checkpoint_cost_s(job, settings), _age_s(alarm, at)
    interval_s = young_interval_s(cost_s, mtbf_s(job, settings))
    median_s, sigma = lead_median_s(job, settings, alarm.horizon_s), settings.lead_sigma
    standstill_s = 0.0 if job.down else migration_s(job, settings)
    ahead_s = standstill_s + (cost_s if checkpoint == "older" else 0.0)
    to_pay_s = {
        "durable": 0.0,
        "older": early_price_s(job.unsaved_s, interval_s, cost_s),
        "given up": job.unsaved_s,
    }
    return Stakes(
        earned=_counts(job, alarm)._asdict(),
        trusted=trusted(job, alarm),
        age_s=age_s,
        survival_now=lead_survival(age_s, median_s, sigma),
        survival_then=lead_survival(age_s + ahead_s, median_s, sigma),
        lead_mean_s=lead_mean_s(median_s, sigma),
        cost_s=cost_s,
        durable_s=durable_s(job, settings),
        interval_s=interval_s,
        save_s=to_pay_s[checkpoint],
        free_spares=free_spares,
        horizon_s=alarm.horizon_s,
        mtbf_s=mtbf_s(job, settings),
        nodes=max(1, len(job.ranks)),
        replica_nodes=job.replica_nodes if may_shrink(job, settings, 1) else None,
    )
