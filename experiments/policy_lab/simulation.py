"""One run: what a profile, a case and a seed make of the compiled simulator's world, and its checked ledger."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.failure_trace.trace import Trace
from experiments.policy_lab.cases import DAY_S, Case
from experiments.policy_lab.draws import Draws, Faults, draw, drawn_faults, traced_faults
from experiments.policy_lab.profile import Profile
from experiments.policy_lab.rule import Rule
from experiments.policy_lab.state import (
    ALARM,
    ENDLESS,
    SECONDS,
    SLOT,
    STATE,
    Run,
    World,
    record,
)

#: How early the full oracle knows of a failure (s), beside what a migration or a checkpoint takes.
FORESIGHT_S: Final = 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of a comparison have in common; faults that a trace gives are the same for every seed."""

    profile: Profile
    case: Case
    wall_s: float
    traced: Faults | None = None

    def draws(self, seed: int) -> Draws:
        """Draw the chances of one seed."""
        faults = drawn_faults(self.profile, self.wall_s, seed) if self.traced is None else self.traced
        return draw(self.profile, self.case, faults, self.wall_s, seed)


def setting_of(profile: Profile, case: Case, trace: Trace | None = None) -> Setting:
    """Return what runs have in common; a trace brings its own nodes, length and mean time between failures.

    Raises
    ------
    ValueError
        If the trace spans no time.
    """
    if trace is None:
        return Setting(profile, case, profile.days * DAY_S)
    if trace.start.size == 0 or trace.start.max() <= trace.start.min():
        raise ValueError("the trace has no two faults at different times: there is no time for a job to run in")
    faults, wall_s = traced_faults(trace)
    traced = dataclasses.replace(
        profile,
        nodes=trace.nodes,
        mtbf_s=wall_s / faults.at.size,
        days=wall_s / DAY_S,
        weibull_shape=weibull_shape(np.diff(faults.at)),
        min_nodes=None,
        replica_nodes=None,
    )
    return Setting(traced, case, wall_s, faults)


def weibull_shape(gaps: NDArray[np.float64]) -> float:
    """Return the most likely Weibull shape of times between failures; 1 where there are too few to tell."""
    logs = np.log(np.maximum(gaps, 1.0))
    if gaps.size < 10 or np.ptp(logs) == 0.0:
        return 1.0
    low, high = 0.05, 20.0
    for _ in range(60):
        shape = 0.5 * (low + high)
        powers = np.exp(shape * (logs - logs.max()))
        excess = float(powers @ logs / powers.sum() - 1.0 / shape - logs.mean())
        low, high = (shape, high) if excess < 0.0 else (low, shape)
    return round(0.5 * (low + high), 6)


def run_once(world: World, rule: Rule, draws: Draws) -> np.void:
    """Simulate one run and return its last state; the buckets are known to sum to its wall time."""
    from experiments.policy_lab.kernel import simulate_run

    states = np.zeros(1, STATE)
    simulate_run(record(world), record(rule), states, new_run(world, draws))
    check(states[0], world.wall_s)
    last: np.void = states[0]
    return last


def check(state: np.void, wall_s: float) -> None:
    """Refuse a ledger that does not sum to wall time, or has a negative bucket."""
    seconds = [float(state[name]) for name in SECONDS]
    if not abs(sum(seconds) - wall_s) <= 1e-6 * wall_s or min(seconds) < -1e-6:
        raise ArithmeticError(f"the ledger {seconds} does not split {wall_s} s")


def new_run(world: World, draws: Draws) -> Run:
    """Return the arrays of a run; what the run changes is its own."""
    out = 1 if world.spares >= ENDLESS else world.nodes + world.spares + 1
    slots = np.zeros(world.nodes, SLOT)
    return Run(slots, draws.faults.copy(), draws.alarms.copy(), draws.phases, np.zeros(out))


def known(draws: Draws) -> Draws:
    """Return the draws with an alarm for every fault and no other, as the full oracle has them."""
    alarms = np.zeros(draws.faults.size, ALARM)
    alarms["at"] = np.maximum(draws.faults["at"] - FORESIGHT_S, 0.0)
    alarms["slot"], alarms["fault"] = draws.faults["slot"], np.arange(draws.faults.size)
    alarms["found"], alarms["truth"] = True, 1.0
    return draws._replace(alarms=alarms)


def world_of(setting: Setting, in_memory: bool) -> World:
    """Return the numbers of a profile and a case for the simulator.

    A job that saves to its peers' memory has that as its first kind of checkpoint, and storage as its second.
    """
    profile = setting.profile
    recall, precision = setting.case.claims(profile)
    return World(
        wall_s=float(setting.wall_s),
        nodes=profile.nodes,
        mtbf_s=float(profile.mtbf_s),
        cost_s=float(profile.memory_cost_s if in_memory else profile.cost_s),
        durable_s=0.0 if in_memory else float(profile.durable_s),
        keep_cost_s=float(profile.cost_s),
        keep_durable_s=float(profile.durable_s),
        memory_lost=float(profile.memory_lost) if in_memory else 0.0,
        detection_s=float(profile.detection_s),
        restart_s=float(profile.restart_s),
        migration_s=float(profile.migration_s),
        spares=ENDLESS if profile.spares is None else profile.spares,
        burn_in_s=float(profile.burn_in_s),
        horizon_s=float(profile.horizon_s),
        idle_fails=setting.traced is not None,
        min_nodes=profile.min_nodes or profile.nodes,
        replica_nodes=profile.replica_nodes or 1,
        claimed_recall=float(recall),
        claimed_precision=float(precision),
        claimed_median_s=float(profile.lead_median_s),
        true_scale=float(setting.case.lead_scale),
        sigma=float(profile.lead_sigma),
    )
