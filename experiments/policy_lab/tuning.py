"""Policies whose parameters are found by search, on seeds of their own.

``best-fixed`` is the best of a geometric grid of intervals, ``eq2`` and ``eq2+6-tuned`` the best α and β (and whether
to migrate). The search never sees the seeds that are measured; on a trace, whose faults are the same for every seed,
it sees the same faults, which favours what was searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Final

import numpy as np

from experiments.policy_lab.policies import Settings, fixed, literal, rule_of
from experiments.policy_lab.rule import Rule
from experiments.policy_lab.simulation import Setting, run_once, world_of
from models.checkpointing.young import young_interval_s

SEARCH_SEEDS: Final = tuple(range(1_000_000, 1_000_020))
_INTERVALS: Final = tuple(2.0 ** (step / 4.0) for step in range(-8, 9))
_BASES: Final = (0.35, 0.5, 0.7, 1.0)
_ALARMED: Final = (0.0, 1.0, 2.0, 4.0)


def chosen_rule(name: str, setting: Setting, settings: Settings) -> Rule:
    """Return a policy by name, its parameters searched for if it has such."""
    if name == "best-fixed":
        young_s = young_interval_s(setting.profile.cost_s, setting.profile.mtbf_s)
        return best([fixed(factor * young_s) for factor in _INTERVALS], setting)
    if name == "eq2":
        return best(list(_literals(setting, settings, (1.0,))), setting)
    if name == "eq2+6-tuned":
        return best(list(_literals(setting, settings, (0.0, 1.0))), setting)
    return rule_of(name, setting.profile, setting.case, settings)


def _literals(setting: Setting, settings: Settings, etas: tuple[float, ...]) -> Iterator[Rule]:
    """Yield Eq. 2 with rates that are multiples of Young's: without an alarm, and what one adds."""
    rate = 1.0 / young_interval_s(setting.profile.cost_s, setting.profile.mtbf_s)
    precision = setting.case.claims(setting.profile)[1]
    for base, alarmed, eta in product(_BASES, _ALARMED, etas):
        yield literal(alarmed * rate / precision, base * rate / settings.load, settings.load, eta)


def best(rules: list[Rule], setting: Setting) -> Rule:
    """Return the rule with the least mean waste over the seeds of the search."""
    world = world_of(setting, in_memory=False)
    worked = np.zeros(len(rules))
    for seed in SEARCH_SEEDS:
        draws = setting.draws(seed)
        worked += [run_once(world, rule, draws)["productive"] for rule in rules]
    return rules[int(np.argmax(worked))]
