"""What the same job would have lost under static Young, set against what it did lose: an estimate with its interval.

Two things are unknown: whether a node that was left would have failed, and where in Young's interval a failure falls.
The first is a chance, the second uniform; the interval is that of their sum, computed, not drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.counterfactual import Counterfactual, Estimate, counterfactuals_of, interval_of
from models.job_account import Folds
from models.policy_settings import PolicySettings
from models.spans import DOWNTIME, by_bucket

#: The interval holds what is true with this chance, as far as the assumptions go.
LEVEL = 0.9
#: The losses are laid out on so many steps from none to the largest possible.
STEPS = 1024


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss that comes with a chance: the sum of independent ``parts``, the likely value of each its median."""

    chance: float
    parts: tuple[Estimate, ...]

    @property
    def mean_s(self) -> float:
        """What is to be expected (s)."""
        return self.chance * sum((one.low_s + 2.0 * one.likely_s + one.high_s) / 4.0 for one in self.parts)

    @property
    def high_s(self) -> float:
        """The most that it can be (s)."""
        return sum(one.high_s for one in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """Seconds of the job's wall time against static Young: below 0, forestall has cost more than it saved.

    ``cost_s`` is what the job lost: all that was not productive, its own start and slow steps apart. ``young_s`` is
    what static Young is expected to lose over the same work: ``young_checkpoint_s`` by writing, the rest by failures.
    """

    low_s: float
    likely_s: float
    high_s: float
    level: float
    cost_s: float
    young_s: float
    young_checkpoint_s: float
    interval_s: float
    assumptions: tuple[str, ...]


def own_start_s(folds: Folds) -> float:
    """Seconds from the job's first running member to its first step: no doing of forestall's."""
    claims = folds.claims
    if claims.first_at is None or claims.first_step_at is None:
        return 0.0
    return max(0.0, min(claims.first_step_at, claims.until) - max(claims.first_at, claims.since))


def acting_cost_s(folds: Folds) -> float:
    """What was not productive, its own start and slow steps apart: checkpoints, moves, waiting, work done again."""
    held, wall_s = folds.claims.shared()
    buckets = by_bucket(held)
    return max(0.0, wall_s - buckets["productive"] - buckets["degraded"] - own_start_s(folds))


def saved_against_young(folds: Folds, settings: PolicySettings) -> Saved:
    """Estimate what forestall has saved the job, from its own events."""
    held, _ = folds.claims.shared()
    interval_s = interval_of(folds, settings)
    lefts = [one for one in counterfactuals_of(folds, settings) if folds.claims.since <= one.at <= folds.claims.until]
    writing_s = _writing_s(folds, settings, by_bucket(held)["productive"], interval_s)
    failed = [one for one in folds.losses.failed if folds.claims.since <= one[1] <= folds.claims.until]
    nodes = {node for node, _ in failed}
    down_s = sum(seconds for (bucket, owner), seconds in held.items() if bucket in DOWNTIME and owner in nodes)
    losses = [*(loss_of(one) for one in lefts), *(_redone(folds, at, interval_s) for _, at in failed)]
    low_s, high_s = quantiles(losses, ((1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0))
    cost_s, sure_s = acting_cost_s(folds), writing_s + down_s
    likely_s = sum(loss.mean_s for loss in losses)
    return Saved(
        low_s=sure_s + low_s - cost_s,
        likely_s=sure_s + likely_s - cost_s,
        high_s=sure_s + high_s - cost_s,
        level=LEVEL,
        cost_s=cost_s,
        young_s=sure_s + likely_s,
        young_checkpoint_s=writing_s,
        interval_s=interval_s,
        assumptions=_assumptions(lefts, len(failed), interval_s, settings),
    )


def loss_of(left: Counterfactual) -> Loss:
    """Return what leaving a node has spared: known where it has failed since, or was given back; else a chance."""
    chance = left.probability if left.failed is None else float(left.failed)
    return Loss(chance, (left.recomputed, left.detection, left.restart, left.waiting))


def _redone(folds: Folds, at: float, interval_s: float) -> Loss:
    """What a failure that did come would have had done again: anything up to an interval, or to all that was done."""
    begun_at = folds.claims.first_at if folds.claims.first_at is not None else at
    most_s = max(0.0, min(interval_s, at - begun_at))
    return Loss(1.0, (Estimate(0.0, most_s / 2.0, most_s),))


def quantiles(losses: Sequence[Loss], shares: Sequence[float]) -> list[float]:
    """Return quantiles of the sum of independent losses (s), each to a step of the largest sum possible.

    >>> half = Loss(0.5, (Estimate(10.0, 10.0, 10.0),))
    >>> [round(one, 6) for one in quantiles([half], (0.4, 0.6))]
    [0.0, 10.0]
    """
    most_s = sum(loss.high_s for loss in losses)
    if most_s <= 0.0:
        return [0.0 for _ in shares]
    step_s = most_s / STEPS
    length = 2 * STEPS
    whole = np.ones(length // 2 + 1, dtype=np.complex128)
    for loss, times in Counter(losses).items():
        whole *= _transform(loss, step_s, length) ** times
    chances = np.clip(np.fft.irfft(whole, length)[: STEPS + 1], 0.0, None)
    below = np.cumsum(chances) / chances.sum()
    return [float(np.searchsorted(below, share) * step_s) for share in shares]


def _transform(loss: Loss, step_s: float, length: int) -> NDArray[np.complex128]:
    """The Fourier transform of a loss's chances, one for each step."""
    found: NDArray[np.complex128] = np.full(length // 2 + 1, loss.chance, dtype=np.complex128)
    for part in loss.parts:
        halves = 0.5 * _uniform(part.low_s, part.likely_s, step_s) + 0.5 * _uniform(part.likely_s, part.high_s, step_s)
        found *= np.fft.rfft(halves, length)
    return found + (1.0 - loss.chance)


def _uniform(low_s: float, high_s: float, step_s: float) -> NDArray[np.float64]:
    """The chances of a uniform value at each step, shared between the two steps beside it: its mean is kept exactly."""
    at = np.arange(-1, STEPS + 3) * step_s
    width = high_s - low_s
    if width <= 1e-9 * step_s:
        sums = np.maximum(0.0, at - low_s)
    else:
        inside = np.clip(at - low_s, 0.0, width)
        sums = inside * inside / (2.0 * width) + np.maximum(0.0, at - high_s)
    found: NDArray[np.float64] = (sums[2:] - 2.0 * sums[1:-1] + sums[:-2]) / step_s
    return found


def _writing_s(folds: Folds, settings: PolicySettings, productive_s: float, interval_s: float) -> float:
    cost_s = folds.claims.cost_s
    return productive_s / interval_s * (settings.checkpoint_cost_s if cost_s is None else cost_s)


def _assumptions(
    lefts: Sequence[Counterfactual], failures: int, interval_s: float, settings: PolicySettings
) -> tuple[str, ...]:
    known = [one for one in lefts if one.failed is not None]
    open_ = len(lefts) - len(known)
    found = [
        f"static Young writes a checkpoint every {interval_s:.0f} s, for the work that was done, and none on an alarm",
        f"a failure falls anywhere in that interval alike, and is noticed after {settings.detection_s:.0f} s or so",
        "a restart takes what the job's own restarts took, or the prior when it had none",
    ]
    if known:
        true = sum(one.failed is True for one in known)
        found.append(f"of the nodes left {true} failed afterwards, and {len(known) - true} were given back unharmed")
    if open_:
        found.append(
            f"of {open_} of the nodes left nothing is known since: each would have failed with the P told of it"
        )
    if failures:
        found.append(f"the {failures} failures that did come would have held the job up as long under Young")
    return tuple(found)
