"""How many spares a job's cluster should keep: what waiting for one wastes, against what a spare costs.

A spare costs a node that trains nothing, idle or in repair. So of a fleet of the job's nodes and its spares, the cost
of a pool is the nodes' worth of wasted time plus the spares, in nodes; what cannot be told from the least at 95 % is
as good.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from experiments.policy_lab.profile import Profile
from experiments.policy_lab.statistics import Doubles, Estimate, mean

SIZES: Final = range(33)

#: (seeds,) share of the time that is lost, of a profile with a pool of its own.
Lost = Callable[[Profile], Doubles]


def cheapest(costs: Sequence[Doubles]) -> tuple[int, list[int]]:
    """Which of several (seeds,) paired costs is the least in the mean, and all that cannot be told from it at 95 %.

    >>> cheapest([np.array([3.0, 2.0]), np.array([1.0, 3.0]), np.array([9.0, 9.1])])
    (1, [0, 1])
    """
    best = int(np.argmin([cost.mean() for cost in costs]))
    return best, [at for at, cost in enumerate(costs) if mean(cost - costs[best]).low <= 0.0]


def sized(profile: Profile, lost: Lost, sizes: Sequence[int] = SIZES) -> dict[str, Any]:
    """Rows of every size, the recommended one, and those that are as good."""
    shares = [lost(dataclasses.replace(profile, spares=size)) for size in sizes]
    costs = [profile.nodes * share + size for share, size in zip(shares, sizes, strict=True)]
    best, as_good = cheapest(costs)
    return {
        "recommended": sizes[best],
        "as_good": [sizes[at] for at in as_good],
        "rows": [
            _row(profile, size, mean(share), mean(cost)) for size, share, cost in zip(sizes, shares, costs, strict=True)
        ],
    }


def _row(profile: Profile, size: int, lost: Estimate, cost: Estimate) -> dict[str, Any]:
    day = 24.0 * profile.gpus_per_node
    return {
        "spares": size,
        "lost": round(lost.value, 6),
        "lost_ci95": lost.interval,
        "lost_gpu_hours_a_day": round(day * profile.nodes * lost.value, 1),
        "idle_gpu_hours_a_day": round(day * size, 1),
        "cost_gpu_hours_a_day": round(day * cost.value, 1),
        "cost_ci95": [round(day * cost.low, 1), round(day * cost.high, 1)],
    }
