"""What losing a node unforeseen would have cost: an estimate with its interval and its assumptions, never a fact."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.checkpointing import young_interval_s
from models.job_story import CommandStory, JobStory, job_story
from models.policy_settings import DAY_S, PolicySettings
from models.records import Event, Incident

#: The time to notice is a prior; the true one is taken to lie within this factor of it.
DETECTION_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, as the likely value and the interval that the assumptions leave open."""

    low_s: float
    likely_s: float
    high_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Counterfactual:
    """One node that was left in time, and what its job would have lost had it failed unforeseen.

    ``recomputed``, ``detection``, ``restart`` and ``waiting`` add up to ``total``. It is conditional on the failure;
    ``probability`` is what the predictor held of that.
    """

    node: str
    command: str
    at: float
    probability: float
    recomputed: Estimate
    detection: Estimate
    restart: Estimate
    waiting: Estimate
    total: Estimate
    assumptions: tuple[str, ...]


def counterfactuals(events: Iterable[Event], job: str, settings: PolicySettings) -> tuple[Counterfactual, ...]:
    """Estimate, for each node that ``job`` left by a MIGRATE that was done, what losing it would have cost.

    The numbers are the job's own where it has them: its blocking time of checkpoints, its restarts, when it last saved
    its work without an alarm. The checkpoints it would have written are those of Young's interval.
    """
    story = job_story(events, job)
    return tuple(
        _estimate(story, key, command, settings)
        for key, command in story.commands.items()
        if command.action == "MIGRATE" and command.done is not None
    )


def _estimate(story: JobStory, key: str, command: CommandStory, settings: PolicySettings) -> Counterfactual:
    at, node = command.outcomes[0].at, command.outcomes[0].node
    incident = _incident(story, node, at)
    horizon_s = incident.horizon_s if incident is not None else 0.0
    interval_s = young_interval_s(_cost_s(story, settings), _mtbf_s(story, settings))
    recomputed = _recomputed(at - _saved_before(story, incident, at), horizon_s, interval_s)
    detection_s = settings.detection_s
    detection = Estimate(detection_s / DETECTION_FACTOR, detection_s, detection_s * DETECTION_FACTOR)
    restart = _restart(story, settings)
    waiting = Estimate(0.0, 0.0, 0.0)
    parts = (recomputed, detection, restart, waiting)
    total = Estimate(
        sum(one.low_s for one in parts), sum(one.likely_s for one in parts), sum(one.high_s for one in parts)
    )
    return Counterfactual(
        node=node,
        command=key,
        at=at,
        probability=incident.probability if incident is not None else 0.0,
        recomputed=recomputed,
        detection=detection,
        restart=restart,
        waiting=waiting,
        total=total,
        assumptions=_assumptions(horizon_s, interval_s, settings),
    )


def _assumptions(horizon_s: float, interval_s: float, settings: PolicySettings) -> tuple[str, ...]:
    return (
        f"the node fails within the predictor's horizon of {horizon_s:.0f} s after the migration",
        f"without forestall the job writes a checkpoint every {interval_s:.0f} s (Young) and none on an alarm",
        f"the failure is noticed after {settings.detection_s:.0f} s, give or take a factor {DETECTION_FACTOR:.0f}",
        "a restart takes what the job's own restarts took, or the prior when it had none",
        "the spare that was free for the migration would have been free for the restart",
    )


def _incident(story: JobStory, node: str, at: float) -> Incident | None:
    told = [one for one in story.incidents if one.node == node and one.at <= at and one.state != "closed"]
    return told[-1] if told else None


def _saved_before(story: JobStory, incident: Incident | None, at: float) -> float:
    """Return when the job's work was last saved without an alarm, or when it began."""
    opened = [one.at for one in story.incidents if incident is not None and one.incident == incident.incident]
    before = min(opened, default=at)
    durable = [one.at("durable") for one in story.of("CHECKPOINT") if one.outcomes[0].at < before]
    begun = story.first_at if story.first_at is not None else at
    return max([begun, *(one for one in durable if one is not None and one < before)])


def _recomputed(unsaved_s: float, horizon_s: float, interval_s: float) -> Estimate:
    """Return the work lost when the node fails within the horizon, checkpoints coming each interval.

    >>> _recomputed(30.0, 60.0, 1000.0)
    Estimate(low_s=30.0, likely_s=60.0, high_s=90.0)
    >>> _recomputed(30.0, 600.0, 100.0)
    Estimate(low_s=0.0, likely_s=50.0, high_s=100.0)
    """
    unsaved_s = min(unsaved_s, interval_s)
    high_s = min(unsaved_s + horizon_s, interval_s)
    low_s = 0.0 if unsaved_s + horizon_s > interval_s else unsaved_s
    return Estimate(low_s, (low_s + high_s) / 2.0, high_s)


def _cost_s(story: JobStory, settings: PolicySettings) -> float:
    blocked = [
        max((one.seconds or 0.0 for one in command.outcomes if one.stage == "staged"), default=0.0)
        for command in story.of("CHECKPOINT")
    ]
    known = [one for one in blocked if one > 0]
    return sum(known) / len(known) if known else settings.checkpoint_cost_s


def _mtbf_s(story: JobStory, settings: PolicySettings) -> float:
    ranks = {one.rank for one in story.memberships if one.state == "running"}
    return settings.node_mtbf_days * DAY_S / max(1, len(ranks))


def _restart(story: JobStory, settings: PolicySettings) -> Estimate:
    took = [
        command.done.at - command.accepted_at
        for command in story.of("RESTORE")
        if command.done is not None and command.accepted_at is not None
    ]
    if not took:
        prior_s = settings.restart_s
        return Estimate(prior_s / DETECTION_FACTOR, prior_s, prior_s * DETECTION_FACTOR)
    return Estimate(min(took), sum(took) / len(took), max(took))
