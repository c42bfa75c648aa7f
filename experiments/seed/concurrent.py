"""Experiment 3: two and three concurrent node failures against pools of 0 to 8 spares."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from experiments.policy_lab.profile import Profile
from experiments.policy_lab.sizing import cheapest
from experiments.policy_lab.statistics import mean
from experiments.seed.claims import claim
from experiments.seed.standing import Standing, draws, incidents

CONCURRENT: Final = (2, 3)
POOLS: Final = range(9)
SEEDS: Final = 40
INCIDENTS: Final = 100


def experiment(profile: Profile, seed: int) -> dict[str, Any]:
    """Rows of every pool and what is recommended: the pool with the least idle and standstill cost together.

    Idle cost is what healthy unused spares could have computed, standstill cost what the job could have, both in
    GPU-hours a day.
    """
    rows, claims = [], []
    for concurrent in CONCURRENT:
        paired = [draws(profile, concurrent, INCIDENTS, seed + number) for number in range(SEEDS)]
        of_pool = [[incidents(profile, spares, concurrent, one) for one in paired] for spares in POOLS]
        told = [_row(profile, concurrent, spares, runs) for spares, runs in zip(POOLS, of_pool, strict=True)]
        best, as_good = cheapest([np.array([_cost(profile, run) for run in runs]) for runs in of_pool])
        rows += [{**row, "recommended": at == best} for at, row in enumerate(told)]
        claims.append(_claim(concurrent, told, best, [POOLS[at] for at in as_good]))
    return {"experiment": 3, "profile": profile.name, "incidents": SEEDS * INCIDENTS, "rows": rows, "claims": claims}


def _cost(profile: Profile, run: Standing) -> float:
    """GPU-hours a day: what unused spares and a job at a standstill could have computed."""
    return 24.0 * profile.gpus_per_node * (run.idle_nodes + run.still_share * profile.nodes)


def _row(profile: Profile, concurrent: int, spares: int, runs: list[Standing]) -> dict[str, Any]:
    recovery = mean(np.array([run.recovery_s.mean() for run in runs]))
    cost = mean(np.array([_cost(profile, run) for run in runs]))
    idle = float(np.mean([run.idle_nodes for run in runs]))
    idle_cost = 24.0 * profile.gpus_per_node * idle
    return {
        "concurrent": concurrent,
        "spares": spares,
        "contention": round(float(np.mean([run.contended for run in runs])), 4),
        "recovery_s": round(recovery.value, 1),
        "recovery_ci95": [round(recovery.low, 1), round(recovery.high, 1)],
        "idle_nodes": round(idle, 3),
        "idle_gpu_hours_a_day": round(idle_cost, 1),
        "standstill_gpu_hours_a_day": round(cost.value - idle_cost, 1),
        "cost_gpu_hours_a_day": round(cost.value, 1),
        "cost_ci95": [round(cost.low, 1), round(cost.high, 1)],
    }


def _claim(concurrent: int, rows: list[dict[str, Any]], best: int, as_good: list[int]) -> dict[str, Any]:
    chosen, least = rows[best], rows[concurrent]
    return claim(
        f"backup nodes take {concurrent} concurrent failures over without contention",
        None,
        {
            "recommended_spares": chosen["spares"],
            "as_good": as_good,
            "contention": chosen["contention"],
            "recovery_s": chosen["recovery_s"],
        },
        "depends on the size of the pool",
        f"no figure is claimed. With {concurrent} spares {least['contention']:.0%} of the incidents still find too "
        f"few: earlier failures are in repair. {chosen['spares']} cost least, idle and standstill counted together",
    )
