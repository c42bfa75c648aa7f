"""A pool of spares under failures of several nodes at once: who waits, for how long, and what stands idle.

Fleet = the job's nodes + the spares, all alike. The job needs all of its nodes. Incidents strike while it runs, each
taking ``concurrent`` nodes at once; those go to repair and come back to the pool. The job goes on after detection and
restart as soon as it has its nodes again. Nothing is assumed of checkpoints: what is lost to recomputation does not
depend on the pool.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.policy_lab.profile import Profile

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Standing:
    """What a run of incidents showed.

    Parameters
    ----------
    contended : share of the incidents that found fewer spares than they needed.
    recovery_s : (incidents,) from the failure to the job's going on.
    idle_nodes : healthy spares that nobody used, in the mean over time.
    still_share : share of the time in which the job stood still.
    """

    contended: float
    recovery_s: Doubles
    idle_nodes: float
    still_share: float


def incidents(profile: Profile, spares: int, concurrent: int, draws: tuple[Doubles, Doubles]) -> Standing:
    """Run a job through incidents, one after the other.

    Parameters
    ----------
    draws : (incidents,) seconds of running before each, and (incidents, concurrent) seconds of repair; the same draws
        for another pool make a paired run.
    """
    running, repairs = draws
    repairing: list[float] = []
    now, free, idle_s, contended = 0.0, spares, 0.0, 0
    recovery = np.empty(len(running))

    def until(then: float) -> None:
        """Let time pass: whoever is repaired joins the pool."""
        nonlocal now, free, idle_s
        while repairing and repairing[0] <= then:
            back = heapq.heappop(repairing)
            idle_s += free * (back - now)
            now, free = back, free + 1
        idle_s += free * (then - now)
        now = then

    for at in range(len(running)):
        until(now + running[at])
        struck = now
        for seconds in repairs[at]:
            heapq.heappush(repairing, struck + float(seconds))
        contended += free < concurrent
        missing = concurrent
        while missing:
            if free == 0:
                until(repairing[0])
            taken = min(free, missing)
            free, missing = free - taken, missing - taken
        until(max(now, struck + profile.detection_s) + profile.restart_s)
        recovery[at] = now - struck
    return Standing(contended / len(running), recovery, idle_s / now, float(recovery.sum()) / now)


def draws(profile: Profile, concurrent: int, count: int, seed: int) -> tuple[Doubles, Doubles]:
    """Times between incidents (exponential, mean μ) and of repair (lognormal), the same for every pool."""
    random = np.random.default_rng([seed, concurrent])
    running = random.exponential(profile.mtbf_s, count)
    return running, profile.repair_median_s * np.exp(profile.repair_sigma * random.standard_normal((count, concurrent)))
