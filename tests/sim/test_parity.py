"""The compiled simulator and plain Python are the same code: a short run gives the same bytes both ways."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from experiments import compiled
from experiments.policy_lab import CASES, KNOWS_TRUTH, Case, Phase, Settings, load_profile
from experiments.policy_lab.kernel import simulate_run
from experiments.policy_lab.policies import saves_to_memory
from experiments.policy_lab.simulation import known, new_run, run_once, setting_of, world_of
from experiments.policy_lab.state import STATE, Run, record
from experiments.policy_lab.tuning import chosen_rule

#: Failures every few hours, few spares, quick repairs and many alarms, so that a day has everything in it.
BUSY = dataclasses.replace(
    load_profile("llama3-16k"),
    nodes=64,
    min_nodes=32,
    replica_nodes=8,
    mtbf_s=2500.0,
    days=0.5,
    spares=2,
    repair_median_s=6000.0,
    memory_lost=0.5,
)
STORMY = Case(
    name="stormy",
    phases=(Phase(days=0.3), Phase(recall=0.3, false_per_hour=6.0)),
    lead_scale=0.7,
    claimed_precision=0.9,
)
POLICIES = (
    "none",
    "young",
    "lazy",
    "aupy",
    "young+eq6",
    "eq2+6-literal-min",
    "hazard",
    "believes-claims",
    "hazard+break-even",
    "in-memory+break-even",
    "elastic",
    "oracle-same-recall",
    "oracle",
    KNOWS_TRUTH,
)


def plain(run: Run) -> Run:
    """The arrays of a run with fields as attributes, as plain Python reads them."""
    return Run(*(one.view(np.recarray) if one.dtype.names else one for one in run))


@pytest.mark.parametrize("policy", POLICIES)
def test_plain_python_gives_the_same_bytes(policy: str) -> None:
    profile = dataclasses.replace(BUSY, weibull_shape=0.7) if policy == "lazy" else BUSY
    setting = setting_of(profile, STORMY)
    rule = chosen_rule(policy, setting, Settings())
    world = world_of(setting, saves_to_memory(policy))
    draws = setting.draws(5)
    draws = known(draws) if policy == "oracle" else draws
    states = np.zeros(1, STATE)
    worlds, rules = (record(one).view(np.recarray) for one in (world, rule))
    simulate_run.py_func(worlds, rules, states.view(np.recarray), plain(new_run(world, draws)))
    assert states.tobytes() == run_once(world, rule, draws).tobytes()
    assert states["failures"][0] + states["migrations"][0] > 5


def test_there_is_one_specialisation_for_every_profile_case_and_policy() -> None:
    for name in ("llama3-16k-ample", "small-256"):
        setting = setting_of(dataclasses.replace(load_profile(name), days=0.5), CASES["cycle"])
        for policy in ("young", "elastic"):
            run_once(world_of(setting, False), chosen_rule(policy, setting, Settings()), setting.draws(0))
    assert len(simulate_run.signatures) == 1


def test_what_was_compiled_is_kept_by_what_it_was_compiled_from(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = compiled._cache_folder()
    assert re.fullmatch("[0-9a-f]{16}", folder.name)
    assert folder == compiled._cache_folder()
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert str(compiled._cache_folder()) == f"/elsewhere/{folder.name}"
    monkeypatch.setattr(compiled, "_FILES", compiled._FILES[:1])
    assert compiled._cache_folder().name != folder.name
