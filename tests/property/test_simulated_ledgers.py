"""Whatever the job, the predictor and the policy: each second is in one bucket, and no node appears or vanishes."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.policy_lab import KNOWS_TRUTH, POLICIES, Case, Phase, Profile, Settings
from experiments.policy_lab.policies import rule_of, saves_to_memory
from experiments.policy_lab.simulation import check, known, run_once, setting_of, world_of
from experiments.policy_lab.state import SECONDS

#: Those whose parameters are searched for are other numbers in the same rules.
SEARCHED = {"best-fixed", "eq2", "eq2+6-tuned"}
NAMES = [name for name in (*POLICIES, KNOWS_TRUTH) if name not in SEARCHED]

seconds = st.floats(0.0, 2000.0)
shares = st.floats(0.0, 1.0)


@st.composite
def profiles(draw: st.DrawFn) -> Profile:
    """Jobs that fail often, on few nodes, so that pools run dry."""
    replica, replicas = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    return Profile(
        name="any",
        nodes=replica * replicas,
        replica_nodes=replica,
        min_nodes=replica * draw(st.integers(1, replicas)),
        mtbf_s=draw(st.floats(500.0, 50_000.0)),
        weibull_shape=draw(st.floats(0.4, 2.0)),
        cost_s=draw(st.floats(0.01, 300.0)),
        days=draw(st.floats(0.05, 2.0)),
        durable_s=draw(seconds),
        detection_s=draw(seconds),
        restart_s=draw(seconds),
        migration_s=draw(seconds),
        spares=draw(st.none() | st.integers(0, 5)),
        repair_median_s=draw(st.floats(1.0, 1e5)),
        burn_in_s=draw(st.floats(0.0, 1e4)),
        recall=draw(shares),
        precision=draw(st.floats(0.02, 1.0)),
        lead_median_s=draw(st.floats(1.0, 5000.0)),
        lead_sigma=draw(st.floats(0.1, 2.0)),
        horizon_s=draw(st.floats(60.0, 7200.0)),
        memory_lost=draw(shares),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Predictors that change as they like."""
    phase = st.builds(
        Phase,
        days=st.floats(0.05, 1.0),
        recall=st.none() | shares,
        precision=st.none() | st.floats(0.05, 1.0),
        false_per_hour=st.none() | st.floats(0.0, 20.0),
    )
    return Case(
        name="any",
        phases=tuple(draw(st.lists(phase, min_size=1, max_size=3))),
        repeated=draw(st.booleans()),
        claimed_recall=draw(st.none() | shares),
        claimed_precision=draw(st.none() | st.floats(0.01, 1.0)),
        lead_scale=draw(st.floats(0.05, 3.0)),
        storm_alarms=draw(st.integers(0, 30)),
        storm_every_days=0.5,
    )


@given(profile=profiles(), case=cases(), name=st.sampled_from(NAMES), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=300)
def test_seconds_and_nodes_are_conserved(profile: Profile, case: Case, name: str, seed: int) -> None:
    setting = setting_of(profile, case)
    draws = setting.draws(seed)
    rule = rule_of(name, setting.profile, case, Settings())
    end = run_once(
        world_of(setting, saves_to_memory(name)), rule, known(draws) if name == "oracle" else draws
    )  # which sums the ledger
    assert end["at"] == setting.wall_s
    assert 0.0 <= end["saved"] <= end["reached"]
    assert 0.0 <= end["work"] <= end["reached"]
    assert end["reached"] == pytest.approx(end["productive"], rel=1e-9, abs=1e-6)
    if profile.spares is not None:
        assert end["free"] >= 0
        assert end["missing"] == 0 or end["free"] == 0
        assert end["free"] - end["missing"] + end["out"] == profile.spares
    else:
        assert end["waiting"] == 0.0
    if not rule.elastic:
        assert end["degraded"] == 0.0
    assert end["failures"] <= draws.faults.size
    assert end["migrations"] <= end["alarms"] if name != "oracle" else True
    assert end["alarms"] >= end["false_alarms"]


@given(profile=profiles(), seed=st.integers(0, 2**31))
@settings(deadline=None, max_examples=40)
def test_failures_do_not_depend_on_how_often_is_saved(profile: Profile, seed: int) -> None:
    case = Case(name="honest")
    setting = setting_of(profile, case)
    draws = setting.draws(seed)
    ends = [
        run_once(world_of(setting, False), rule_of(name, profile, case, Settings()), draws)
        for name in ("none", "young", "fixed-10m")
    ]
    for field in ("failures", "waiting", "detection", "restarting", "alarms", "out", "free"):
        assert len({float(end[field]) for end in ends}) == 1, field


def test_a_ledger_that_does_not_sum_up_is_refused() -> None:
    setting = setting_of(
        Profile(name="any", nodes=4, mtbf_s=1e4, cost_s=10.0, days=1.0), dataclasses.replace(Case(name="honest"))
    )
    end = run_once(
        world_of(setting, False), rule_of("young", setting.profile, setting.case, Settings()), setting.draws(0)
    )
    check(end, setting.wall_s)
    wrong = end.copy()
    wrong[SECONDS[0]] += 1.0
    with pytest.raises(ArithmeticError, match="does not split"):
        check(wrong, setting.wall_s)
    wrong[SECONDS[1]] -= 1.0 + wrong[SECONDS[1]]
    with pytest.raises(ArithmeticError, match="does not split"):
        check(wrong, setting.wall_s)
