"""Runs of many policies and seeds, side by side, on two threads: compiled code does not hold the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.failure_trace.trace import Trace
from experiments.policy_lab.cases import Case
from experiments.policy_lab.names import KNOWS_TRUTH, POLICIES
from experiments.policy_lab.policies import Settings, saves_to_memory
from experiments.policy_lab.profile import Profile
from experiments.policy_lab.rule import Rule
from experiments.policy_lab.runs import BUCKETS, Runs
from experiments.policy_lab.simulation import Setting, known, run_once, setting_of, world_of
from experiments.policy_lab.state import COUNTS, SECONDS, World
from experiments.policy_lab.tuning import chosen_rule

THREADS: Final = 2


def simulate(
    profile: Profile,
    case: Case,
    policies: Sequence[str],
    seeds: Sequence[int],
    *,
    trace: Trace | None = None,
    settings: Settings | None = None,
    progress: Callable[[int], None] | None = None,
) -> Runs:
    """Run every policy on every seed.

    Parameters
    ----------
    policies :
        Of ``POLICIES``, or ``KNOWS_TRUTH``.
    trace :
        Real faults in place of drawn ones: the job spans its fleet from the first to the last of them, and seeds vary
        the predictor only.
    progress :
        Told how many runs are done, after each seed.

    Raises
    ------
    ValueError
        For an unknown policy, or a trace that spans no time.
    ArithmeticError
        If the buckets of a run do not sum to its wall time: a fault of the simulator.
    """
    unknown = [name for name in policies if name not in (*POLICIES, KNOWS_TRUTH)]
    if unknown:
        raise ValueError(f"no policy {', '.join(unknown)}; there are {', '.join(POLICIES)}")
    setting = setting_of(profile, case, trace)
    rules = [chosen_rule(name, setting, settings or Settings()) for name in policies]
    worlds = [world_of(setting, saves_to_memory(name)) for name in policies]
    plans = [(world, rule, name == "oracle") for world, rule, name in zip(worlds, rules, policies, strict=True)]
    seconds, counts = _all_seeds(setting, plans, seeds, progress)
    by_name = {name: counts[..., index] for index, name in enumerate(COUNTS)}
    return Runs(tuple(policies), tuple(seeds), setting.wall_s, seconds, by_name)


Plan = tuple[World, Rule, bool]


def _all_seeds(
    setting: Setting, plans: list[Plan], seeds: Sequence[int], progress: Callable[[int], None] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    seconds = np.zeros((len(plans), len(seeds), len(BUCKETS)))
    counts = np.zeros((len(plans), len(seeds), len(COUNTS)))
    with ThreadPoolExecutor(THREADS) as pool:
        for index, ends in enumerate(pool.map(partial(_one_seed, setting, plans), seeds)):
            seconds[:, index] = [[end[name] for name in SECONDS] for end in ends]
            counts[:, index] = [[end[name] for name in COUNTS] for end in ends]
            if progress is not None:
                progress((index + 1) * len(plans))
    return seconds, counts


def _one_seed(setting: Setting, plans: list[Plan], seed: int) -> list[np.void]:
    draws = setting.draws(seed)
    return [run_once(world, rule, known(draws) if knows else draws) for world, rule, knows in plans]
