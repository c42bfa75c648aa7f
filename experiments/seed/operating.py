"""Experiments 1 and 2: what a threshold θ on the predictor, and Eq. 2 and 6 with fixed α and β, come to.

The predictor's recall and precision are measured on a fleet that it was not trained on; the policy simulator then runs
the job with a predictor of just these. It claims what is true of it, so nothing here is about trust.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from experiments.policy_lab.cases import Case, Phase
from experiments.policy_lab.policies import Settings
from experiments.policy_lab.profile import Profile
from experiments.policy_lab.runs import BUCKETS, Runs
from experiments.policy_lab.statistics import downtime, ratio, saved, waste_of
from experiments.seed.claims import DOWNTIME_SAVED, accuracy_claim, claim, cost_claim, of_readings
from experiments.seed.watching import Watched, figures, stuck

#: (profile, case, policies, seeds, what the paper leaves open) → runs.
Simulate = Callable[[Profile, Case, Sequence[str], Sequence[int], Settings], Runs]

THETA: Final = 0.5
THETAS: Final = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
FAILURES: Final = 100
SEEDS: Final = 20
#: Literal readings of α = β = .5 by the unit of time in which they might be meant.
READINGS: Final = {"s": "eq2+6-literal-s", "min": "eq2+6-literal-min", "h": "eq2+6-literal-h"}
YOUNG, DEFAULT, ACTING = "young", "hazard+break-even", "young+eq6"
#: η of Eq. 6 at which every alarm is acted upon, so that θ alone decides.
EVERY_ALARM: Final = 0.0
#: Below this a predictor has no recall, or no precision, to simulate with.
_LEAST: Final = 1e-3
_DAY_S: Final = 86_400.0
Progress = Callable[[int], None]


def fixed_threshold(profile: Profile, watched: Watched, seed: int, simulate: Simulate) -> dict[str, Any]:
    """Experiment 1: θ = .5, α = β = .5, a hundred failures in the mean a run, by reading of α's unit.

    Recovery time is what a fault costs until the job is back where it was: standstill, planned migrations included, and
    work done again. Faults are those that strike under Young, so that one which was left in time counts as well.
    """
    found = figures(watched, THETA)
    short = dataclasses.replace(profile, days=FAILURES * profile.mtbf_s / _DAY_S)
    policies = (YOUNG, *READINGS.values(), DEFAULT)
    runs = simulate(short, predictor_case(found), policies, range(seed, seed + SEEDS), Settings())
    units = {policy: unit for unit, policy in READINGS.items()}
    rows = [{**_row(profile, runs, policy), "alpha_per": units.get(policy), **found} for policy in policies]
    still = {unit: saved(downtime(runs, policy), downtime(runs, YOUNG)) for unit, policy in READINGS.items()}
    default = saved(downtime(runs, DEFAULT), downtime(runs, YOUNG))
    assumed = simulate(short, Case(name="assumed"), (YOUNG, DEFAULT), range(seed, seed + SEEDS), Settings())
    lost = {
        "predictor as measured": _lost(runs),
        f"predictor as assumed, recall {profile.recall:g} and precision {profile.precision:g}": _lost(assumed),
    }
    told = {unit: round(each.value, 4) for unit, each in still.items()}
    claims = [
        claim(
            "30 % less downtime, by Eq. 2 and 6 with α = β = .5",
            DOWNTIME_SAVED,
            told,
            of_readings(told, DOWNTIME_SAVED, "the unit of α and β, which is not stated"),
            "downtime is detection, restart, migration and waiting, against Young at the same failures; by unit of α",
        ),
        claim(
            "30 % less downtime, by the default policy",
            DOWNTIME_SAVED,
            round(default.value, 4),
            default.value >= DOWNTIME_SAVED,
            f"95 % interval {default.low:.3f} to {default.high:.3f}, with the recall and precision measured at θ = .5",
        ),
        claim(
            "30 % less downtime, read as time lost, by the default policy",
            DOWNTIME_SAVED,
            lost,
            of_readings(lost, DOWNTIME_SAVED, "how good the predictor is"),
            "planned migrations are standstill too: leaving a node in time saves work more than standstill",
        ),
        accuracy_claim(found["accuracy"], found["accuracy_of_never"]),
        cost_claim({row["policy"]: row["gpu_hours_lost_a_day"] for row in rows}),
    ]
    return {**_head(1, profile, watched), "seeds": SEEDS, "rows": rows, "claims": claims}


def thresholds(profile: Profile, watched: Watched, seed: int, simulate: Simulate) -> dict[str, Any]:
    """Experiment 2: θ from .3 to .8: precision and recall, operating costs, and the θ that costs least.

    Cost is told for the default policy and for acting on each alarm (Young with Eq. 6, η = 0); the least is asked of
    the latter, since θ is what decides there.
    """
    rows, costs = [], []
    for theta in THETAS:
        found = figures(watched, theta)
        case, settings = predictor_case(found), Settings(eta=EVERY_ALARM)
        runs = simulate(profile, case, (YOUNG, ACTING, DEFAULT), range(seed, seed + SEEDS), settings)
        costs.append(waste_of(runs, ACTING))
        told = {name: _row(profile, runs, policy) for name, policy in (("acting", ACTING), ("default", DEFAULT))}
        lost = {f"{name}_gpu_hours_lost_a_day": each["gpu_hours_lost_a_day"] for name, each in told.items()}
        rows.append({**found, **lost, **told})
    best = int(np.argmin([cost.mean() for cost in costs]))
    at_half = THETAS.index(THETA)
    more = ratio(costs[at_half] - costs[best], costs[best])
    claims = [
        claim(
            "θ = .5 is the threshold to take",
            THETA,
            {"cheapest_theta": THETAS[best], "extra_cost_at_half": round(more.value, 4)},
            more.low <= 0.0,
            f"θ = {THETAS[best]} costs least where each alarm is acted upon; at .5 the waste is {more.value:.1%} more "
            f"(95 % interval {more.low:.1%} to {more.high:.1%}); which θ is best hangs on what it costs to act",
        ),
        accuracy_claim(rows[at_half]["accuracy"], rows[at_half]["accuracy_of_never"]),
        cost_claim({f"{row['theta']:g}": row["acting"]["gpu_hours_lost_a_day"] for row in rows}),
    ]
    head = _head(2, profile, watched)
    return {
        **head,
        "seeds": SEEDS,
        "rows": rows,
        "curve": curve(watched),
        "cheapest_theta": THETAS[best],
        "claims": claims,
    }


def predictor_case(found: dict[str, Any]) -> Case:
    """A predictor with measured recall and precision, claiming both; without alarms where it has neither."""
    recall, precision = found["recall"], found["precision"]
    if recall < _LEAST or precision < _LEAST:
        return Case(name="measured", phases=(Phase(recall=0.0, false_per_hour=0.0),), claimed_recall=0.0)
    return Case(
        name="measured",
        phases=(Phase(recall=recall, precision=precision),),
        claimed_recall=recall,
        claimed_precision=precision,
    )


def curve(watched: Watched, points: int = 25) -> list[dict[str, float]]:
    """Precision against recall, from the lowest threshold to the highest."""
    levels = np.unique(np.quantile(watched.probability, 1 - np.geomspace(2e-5, 0.05, points)).round(4))
    return [
        {name: found[name] for name in ("theta", "recall", "precision", "false_per_node_day")}
        for found in (figures(watched, float(level)) for level in levels)
    ]


def _lost(runs: Runs) -> float:
    return round(saved(waste_of(runs, DEFAULT), waste_of(runs, YOUNG)).value, 4)


def _head(number: int, profile: Profile, watched: Watched) -> dict[str, Any]:
    return {
        "experiment": number,
        "profile": profile.name,
        "fleet": {
            "node_days": round(watched.node_hours / 24, 1),
            "failures": watched.failures,
            "stuck_at": stuck(watched.probability),
        },
    }


def _row(profile: Profile, runs: Runs, policy: str) -> dict[str, Any]:
    at = runs.policies.index(policy)
    faults = np.maximum(runs.counts["failures"][runs.policies.index(YOUNG)], 1.0)
    recovery = ratio(downtime(runs, policy) + runs.seconds[at][:, BUCKETS.index("recomputed")], faults)
    overhead = runs.seconds[at][:, BUCKETS.index("checkpoint")] / runs.wall_s
    estimate = saved(waste_of(runs, policy), waste_of(runs, YOUNG))
    waste = float(waste_of(runs, policy).mean())
    return {
        "policy": policy,
        "faults": round(float(faults.mean()), 2),
        "failures": round(float(runs.counts["failures"][at].mean()), 2),
        "checkpoint_overhead": round(float(overhead.mean()), 6),
        "recovery_s": round(recovery.value, 1),
        "recovery_ci95": [round(recovery.low, 1), round(recovery.high, 1)],
        "waste": round(waste, 6),
        "saved_vs_young": round(estimate.value, 6),
        "ci95": estimate.interval,
        "gpu_hours_lost_a_day": round(24.0 * waste * profile.nodes * profile.gpus_per_node, 1),
    }
