"""What paired runs show: how much less is wasted than under Young, how sure that is, and where the seconds went.

The failures of a seed are the same under every policy, so differences are taken seed by seed. Saved is 1 − the ratio
of the two mean wastes; a mean of ratios would favour whoever is lucky in quiet runs. The interval is the delta method's
for a ratio of means (Cochran 1977, section 6.4) with Student's quantile; it covers the noise between seeds, nothing
else. Part of that noise is a run's own phase, for a failure may strike right after a checkpoint or right before one:
``noise`` tells the standard deviation of a single run, below which none can be held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.policy_lab.runs import BUCKETS, Runs

Doubles = NDArray[np.float64]

#: Runs without which there is no interval.
SEEDS_MIN: Final = 2
#: Buckets in which a job stands still, nobody computing anything: the ledger's downtime.
DOWNTIME: Final = ("detection", "restart", "migration", "waiting")
CONFIDENCE: Final = 0.95
#: Decimals of a told share and of a told second.
_SHARE, _SECOND = 6, 3


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the ends of its 95 % interval, and ``noise``, the standard deviation of a single run's."""

    value: float
    low: float
    high: float
    noise: float

    @property
    def interval(self) -> list[float]:
        """[low, high] as told."""
        return [round(self.low, _SHARE), round(self.high, _SHARE)]


def mean(values: Doubles) -> Estimate:
    """The mean of (seeds,) values.

    >>> mean(np.array([1.0, 1.0, 1.0]))
    Estimate(value=1.0, low=1.0, high=1.0, noise=0.0)
    """
    return ratio(values, np.ones_like(values))


def ratio(above: Doubles, below: Doubles) -> Estimate:
    """Ratio of two paired means.

    Parameters
    ----------
    above, below : (seeds,) paired values; the mean of ``below`` is not 0.

    Raises
    ------
    ValueError
        When there are fewer than two seeds, or ``below`` is 0 in the mean.

    Examples
    --------
    >>> ratio(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    Estimate(value=0.5, low=0.5, high=0.5, noise=0.0)
    """
    if len(above) < SEEDS_MIN:
        raise ValueError(f"{len(above)} seed gives no interval; take at least {SEEDS_MIN}")
    level = float(below.mean())
    if level == 0.0:
        raise ValueError("nothing to compare with: the mean of what stands below is 0")
    value = float(above.mean()) / level
    noise = float((above - value * below).std(ddof=1)) / abs(level)
    half = _student(len(above) - 1) * noise / float(np.sqrt(len(above)))
    return Estimate(value, value - half, value + half, noise)


def saved(waste: Doubles, reference: Doubles) -> Estimate:
    """Share of the reference's waste that was not wasted: 1 − mean waste / mean reference.

    >>> saved(np.array([0.05, 0.06]), np.array([0.10, 0.12])).value
    0.5
    """
    kept = ratio(waste, reference)
    return Estimate(1.0 - kept.value, 1.0 - kept.high, 1.0 - kept.low, kept.noise)


def share_of_gain(waste: Doubles, best: Doubles, reference: Doubles) -> Estimate:
    """What part of the best policy's gain over the reference was gained.

    >>> share_of_gain(np.array([0.08, 0.08]), np.array([0.06, 0.06]), np.array([0.10, 0.10])).value
    0.5
    """
    return ratio(reference - waste, reference - best)


def waste_of(runs: Runs, policy: str) -> Doubles:
    """(seeds,) waste of one policy, by its name."""
    row: Doubles = runs.waste[runs.policies.index(policy)]
    return row


def rows(runs: Runs, reference: str = "young") -> list[dict[str, Any]]:
    """One row a policy, as JSON values: waste, saved and its interval, the mean ledger and the mean counts.

    The ledger's seconds are means over the seeds and sum to the wall time of a run.
    """
    against = waste_of(runs, reference)
    return [_row(runs, at, saved(runs.waste[at], against)) for at in range(len(runs.policies))]


def _row(runs: Runs, at: int, estimate: Estimate) -> dict[str, Any]:
    seconds = runs.seconds[at].mean(axis=0)
    return {
        "name": runs.policies[at],
        "waste": round(float(runs.waste[at].mean()), _SHARE),
        "saved_vs_young": round(estimate.value, _SHARE),
        "ci95": estimate.interval,
        "noise": round(estimate.noise, _SHARE),
        "ledger": {bucket: round(float(value), _SECOND) for bucket, value in zip(BUCKETS, seconds, strict=True)},
        "counts": {name: round(float(each[at].mean()), _SECOND) for name, each in runs.counts.items()},
    }


def downtime(runs: Runs, policy: str) -> Doubles:
    """(seeds,) seconds of standstill under one policy: :data:`DOWNTIME`."""
    columns = [BUCKETS.index(bucket) for bucket in DOWNTIME]
    still: Doubles = runs.seconds[runs.policies.index(policy)][:, columns].sum(axis=1)
    return still


def _student(freedom: int) -> float:
    """Two-sided 95 % quantile of Student's t; scipy's special functions, for its statistics take long to import."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2.0))
