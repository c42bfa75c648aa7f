"""Simulated runs against what is known of them: exact formulas, orders that must hold, pools that must add up."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from experiments.failure_trace.trace import Trace
from experiments.policy_lab import BUCKETS, CASES, KNOWS_TRUTH, POLICIES, Case, Phase, Profile, load_profile, simulate
from experiments.policy_lab.runs import Runs

AMPLE = load_profile("llama3-16k-ample")
SCARCE = load_profile("llama3-16k")
SMALL = load_profile("small-256")
HONEST = CASES["honest"]
NEVER_ALARMS = Case(name="silent", phases=(Phase(recall=0.0, false_per_hour=0.0),))


def waste(runs: Runs, policy: str) -> float:
    """Mean over seeds."""
    return float(runs.waste[runs.policies.index(policy)].mean())


def bucket(runs: Runs, policy: str, name: str) -> float:
    """Mean share of wall time over seeds."""
    return float(runs.seconds[runs.policies.index(policy), :, BUCKETS.index(name)].mean() / runs.wall_s)


def renewal(profile: Profile, interval_s: float) -> float:
    """The exact waste of a fixed interval under exponential failures and a pool that is never empty."""
    mu = profile.mtbf_s
    dead_s = profile.durable_s + profile.detection_s + profile.restart_s
    return 1.0 - interval_s * math.exp(-dead_s / mu) / (mu * math.expm1((interval_s + profile.cost_s) / mu))


def test_youngs_waste_is_that_of_the_renewal_formula() -> None:
    exact = renewal(AMPLE, math.sqrt(2.0 * AMPLE.cost_s * AMPLE.mtbf_s))
    assert exact == pytest.approx(0.0888, abs=5e-5)
    assert waste(simulate(AMPLE, HONEST, ["young"], range(100)), "young") == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize(("policy", "interval_s"), [("fixed-10m", 600.0), ("fixed-30m", 1800.0)])
def test_so_is_that_of_other_intervals_costs_and_jobs(policy: str, interval_s: float) -> None:
    profile = dataclasses.replace(SMALL, spares=None, mtbf_s=20_000.0, cost_s=45.0, durable_s=30.0, days=600.0)
    runs = simulate(profile, HONEST, [policy], range(12))
    assert waste(runs, policy) == pytest.approx(renewal(profile, interval_s), rel=0.01)


def test_the_same_seeds_give_the_same_bytes_and_others_do_not() -> None:
    policies = ["young", "hazard+break-even", "elastic"]
    one, two = (simulate(SCARCE, HONEST, policies, range(3)) for _ in range(2))
    assert one.seconds.tobytes() == two.seconds.tobytes()
    assert one.seconds[:, 0].tobytes() != one.seconds[:, 1].tobytes()


def test_a_run_does_not_depend_on_its_company() -> None:
    alone = simulate(SCARCE, HONEST, ["hazard+break-even"], [7])
    among = simulate(SCARCE, HONEST, ["none", "oracle", "hazard+break-even"], [6, 7])
    assert among.seconds[2, 1].tobytes() == alone.seconds[0, 0].tobytes()


def test_failures_are_paired_where_no_policy_moves_anything() -> None:
    runs = simulate(SCARCE, HONEST, ["none", "young", "daly", "hazard", "aupy"], range(4))
    for name in ("failures", "foreseen", "alarms", "waits"):
        counted = runs.counts[name]
        assert (counted == counted[0]).all(), name
    waiting = runs.seconds[..., BUCKETS.index("waiting")]
    assert (waiting == waiting[0]).all()


def test_progress_is_told_up_to_the_last_run() -> None:
    told: list[int] = []
    simulate(SMALL, HONEST, ["young", "daly"], range(5), progress=told.append)
    assert told == [2, 4, 6, 8, 10]


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(ValueError, match="no policy younger; there are none, fixed-10m"):
        simulate(SMALL, HONEST, ["young", "younger"], range(2))


def test_every_policy_runs_and_its_ledger_sums_up() -> None:
    profile = dataclasses.replace(SCARCE, days=4.0)
    runs = simulate(profile, HONEST, [*POLICIES, KNOWS_TRUTH], range(2))
    np.testing.assert_allclose(runs.seconds.sum(axis=2), runs.wall_s, rtol=1e-9)
    assert runs.seconds.min() >= 0.0
    assert len(POLICIES) == len(set(POLICIES)) == 24


def test_without_alarms_believing_the_truth_is_young() -> None:
    """A constant hazard: ∫√(h/2C) dt reaches 1 after Young's interval, to the bit of a second."""
    runs = simulate(AMPLE, NEVER_ALARMS, ["young", KNOWS_TRUTH, "aupy"], range(3))
    assert runs.counts["checkpoints"][0].tolist() == runs.counts["checkpoints"][1].tolist()
    np.testing.assert_allclose(runs.seconds[0], runs.seconds[1], atol=1e-3)


def test_exponential_failures_leave_nothing_to_be_lazy_about() -> None:
    runs = simulate(AMPLE, HONEST, ["young", "lazy"], range(2))
    assert runs.seconds[0].tobytes() == runs.seconds[1].tobytes()


def test_oracles_are_best_and_no_checkpoints_worst() -> None:
    policies = ["none", "young", "hazard", "hazard+break-even", "oracle-same-recall", "oracle"]
    for profile, seeds in ((AMPLE, range(8)), (SCARCE, range(8)), (SMALL, range(40))):
        wastes = [waste(simulate(profile, HONEST, policies, seeds), policy) for policy in policies]
        assert wastes == sorted(wastes, reverse=True)


def test_an_ample_pool_never_lets_a_job_wait() -> None:
    runs = simulate(AMPLE, HONEST, ["young", "hazard+break-even"], range(3))
    assert bucket(runs, "young", "waiting") == bucket(runs, "hazard+break-even", "waiting") == 0.0


def test_waiting_is_over_a_third_of_youngs_waste_and_no_migration_changes_it() -> None:
    """Vacated nodes go to repair as failed ones do: migrating does not make spares."""
    runs = simulate(SCARCE, HONEST, ["young", "hazard+break-even"], range(20))
    waiting = bucket(runs, "young", "waiting")
    assert 0.3 < waiting / waste(runs, "young") < 0.5
    assert bucket(runs, "hazard+break-even", "waiting") == pytest.approx(waiting, rel=0.1)


def test_suspected_nodes_are_taken_back_before_a_job_waits() -> None:
    """Both leave what they suspect; only break-even calls it back from burn-in when the pool is dry."""
    runs = simulate(SCARCE, HONEST, ["young+eq6", "hazard+break-even"], range(20))
    assert bucket(runs, "hazard+break-even", "waiting") < bucket(runs, "young+eq6", "waiting")


def test_going_on_smaller_turns_waiting_into_a_little_degradation() -> None:
    runs = simulate(SCARCE, HONEST, ["hazard+break-even", "elastic"], range(6))
    assert bucket(runs, "elastic", "waiting") < 0.05 * bucket(runs, "hazard+break-even", "waiting")
    assert 0.0 < bucket(runs, "elastic", "degraded") < 0.01
    assert bucket(runs, "hazard+break-even", "degraded") == 0.0


def test_a_job_that_may_not_shrink_waits() -> None:
    runs = simulate(SMALL, HONEST, ["hazard+break-even", "elastic"], range(5))
    assert runs.seconds[0].tobytes() == runs.seconds[1].tobytes()


def test_claims_are_believed_at_a_price_and_earned_trust_pays_none() -> None:
    runs = simulate(SCARCE, CASES["fa10"], ["young", "believes-claims", "hazard+break-even"], range(3))
    assert waste(runs, "believes-claims") > 2.0 * waste(runs, "young")
    assert waste(runs, "hazard+break-even") < 1.02 * waste(runs, "young")
    assert (runs.counts["migrations"][1] > 1000).all()
    assert (runs.counts["migrations"][2] < 20).all()


def test_memory_that_always_survives_needs_no_storage() -> None:
    safe = dataclasses.replace(AMPLE, memory_lost=0.0)
    kept = simulate(AMPLE, HONEST, ["in-memory"], range(2))
    runs = simulate(safe, HONEST, ["in-memory"], range(2))
    assert waste(runs, "in-memory") < waste(kept, "in-memory")


def traced(start: list[float], end: list[float], node: list[int], **changed: object) -> Runs:
    """A job on eight nodes under a trace, nothing foreseen."""
    profile = dataclasses.replace(SMALL, spares=1, cost_s=10.0, **changed)  # type: ignore[arg-type]
    trace = Trace(8, np.array(node), np.array(start), np.array(end))
    return simulate(profile, NEVER_ALARMS, ["none"], [0], trace=trace)


def seconds_of(runs: Runs) -> dict[str, float]:
    """The ledger of the only run."""
    return dict(zip(BUCKETS, runs.seconds[0, 0].tolist(), strict=True))


def test_a_fault_of_a_trace_costs_detection_restart_and_the_work_since() -> None:
    spent = seconds_of(traced([0.0, 5000.0, 9000.0], [0.0, 6000.0, 9000.0], [0, 1, 0]))
    assert spent["detection"] == 120.0
    assert spent["restart"] == 360.0
    assert spent["waiting"] == 0.0
    assert spent["recomputed"] == 9000.0 - 5240.0
    assert spent["productive"] == 5000.0 - 240.0


def test_faults_that_overlap_need_a_spare_each_and_the_job_waits_for_the_second() -> None:
    spent = seconds_of(traced([0.0, 1000.0, 1010.0, 9000.0], [0.0, 4000.0, 3000.0, 9000.0], [0, 1, 2, 3]))
    assert spent["waiting"] == 3000.0 - 1070.0
    assert spent["detection"] == 60.0 + 70.0


def test_a_fault_of_no_length_needs_no_spare() -> None:
    spent = seconds_of(traced([0.0, 1000.0, 2000.0, 3000.0], [0.0, 1000.0, 2000.0, 3000.0], [0, 1, 2, 3]))
    assert spent["waiting"] == 0.0


def test_nodes_of_a_real_trace_fail_even_while_the_job_waits() -> None:
    start, end = [0.0, 100.0, 110.0, 5000.0, 9000.0], [0.0, 8000.0, 6000.0, 7000.0, 9000.0]
    spent = seconds_of(traced(start, end, [0, 1, 2, 3, 4]))
    assert spent["waiting"] == 7000.0 - 170.0
