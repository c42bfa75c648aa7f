"""What losing a node unforeseen would have cost: an estimate with its interval and its assumptions, never a fact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from models.checkpointing import young_interval_s
from models.job_account import Folds, account_of
from models.losses import Left, Suspected
from models.policy_settings import DAY_S, PolicySettings
from models.records import Event

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

    ``recomputed``, ``detection``, ``restart`` and ``waiting`` add up to ``total``. It is conditional on the failure:
    ``probability`` is what the predictor held of it, and ``failed`` whether it came after all, where that is known.
    """

    node: str
    command: str
    at: float
    probability: float
    failed: bool | None
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
    return counterfactuals_of(account_of(events, job), settings)


def counterfactuals_of(folds: Folds, settings: PolicySettings) -> tuple[Counterfactual, ...]:
    """Return the same of a job whose events were taken in already."""
    lefts = [left for left in folds.losses.lefts.values() if left.done]
    if not lefts:
        return ()
    held, _ = folds.claims.shared()
    times = Counter(left.node for left in lefts)
    return tuple(
        _estimate(folds, left, held.get(("waiting", left.node), 0.0) / times[left.node], settings) for left in lefts
    )


def _estimate(folds: Folds, left: Left, waited_s: float, settings: PolicySettings) -> Counterfactual:
    suspected = left.suspected
    horizon_s = 0.0 if suspected is None else suspected.horizon_s
    interval_s = interval_of(folds, settings)
    recomputed = _recomputed(left.at - _saved_before(folds, suspected, left.at), horizon_s, interval_s)
    detection_s = settings.detection_s
    detection = Estimate(detection_s / DETECTION_FACTOR, detection_s, detection_s * DETECTION_FACTOR)
    parts = (recomputed, detection, _restart(folds, settings), _waiting(waited_s, horizon_s))
    return Counterfactual(
        node=left.node,
        command=left.command,
        at=left.at,
        probability=0.0 if suspected is None else suspected.probability,
        failed=left.failed,
        recomputed=recomputed,
        detection=detection,
        restart=parts[2],
        waiting=parts[3],
        total=Estimate(*(sum(getattr(one, key) for one in parts) for key in ("low_s", "likely_s", "high_s"))),
        assumptions=_assumptions(horizon_s, interval_s, settings),
    )


def interval_of(folds: Folds, settings: PolicySettings) -> float:
    """Return Young's interval for the job, T = √(2·C·μ), by its measured C where it has one (s)."""
    cost_s = folds.claims.cost_s
    mtbf_s = settings.node_mtbf_days * DAY_S / max(1, len(folds.losses.ranks))
    return young_interval_s(settings.checkpoint_cost_s if cost_s is None else cost_s, mtbf_s)


def _assumptions(horizon_s: float, interval_s: float, settings: PolicySettings) -> tuple[str, ...]:
    return (
        f"the node fails within the predictor's horizon of {horizon_s:.0f} s after the migration",
        f"without forestall the job writes a checkpoint every {interval_s:.0f} s (Young) and none on an alarm",
        f"the failure is noticed after {settings.detection_s:.0f} s, give or take a factor {DETECTION_FACTOR:.0f}",
        "a restart takes what the job's own restarts took, or the prior when it had none",
        "a spare is free for the restart at the time at which one was free for the migration",
    )


def _saved_before(folds: Folds, suspected: Suspected | None, at: float) -> float:
    """Return when the job's work was last saved without an alarm, or when it began."""
    saved_at = folds.losses.saved_at if suspected is None else suspected.saved_at
    begun = folds.claims.first_at if folds.claims.first_at is not None else at
    return begun if saved_at is None else min(at, max(begun, saved_at))


def _waiting(waited_s: float, horizon_s: float) -> Estimate:
    """Return how long a failure would have waited for the spare that the migration waited for.

    It comes anywhere within the horizon, and the spare when it came: the later the failure, the shorter the wait.

    >>> _waiting(30.0, 60.0)
    Estimate(low_s=0.0, likely_s=7.5, high_s=30.0)
    >>> _waiting(100.0, 60.0)
    Estimate(low_s=40.0, likely_s=70.0, high_s=100.0)
    """
    low_s = max(0.0, waited_s - horizon_s)
    if horizon_s <= 0.0 or low_s > 0.0:
        return Estimate(low_s, (low_s + waited_s) / 2.0, waited_s)
    return Estimate(low_s, waited_s * waited_s / (2.0 * horizon_s), waited_s)


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


def _restart(folds: Folds, settings: PolicySettings) -> Estimate:
    took = folds.losses.restarts
    if not took.number:
        prior_s = settings.restart_s
        return Estimate(prior_s / DETECTION_FACTOR, prior_s, prior_s * DETECTION_FACTOR)
    return Estimate(took.least_s, took.sum_s / took.number, took.most_s)
