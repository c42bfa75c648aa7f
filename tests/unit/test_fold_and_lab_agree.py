"""What the pipeline decides is what the lab measures: at the same numbers both call the same functions the same way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from decision_log import HORIZON_S, DecisionLog
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checkpointing import checkpoint_policy, young_interval_s
from models.checkpointing.hazard import early_price_s
from models.decisions import PolicySettings
from models.policy_settings import DAY_S
from models.prices import checkpoint_situation, early_checkpoint, growth_pays, suspicion
from models.recovery import recovery_policy
from models.recovery.resize import whole_replicas
from models.trust import Counts, Failures, Leads, Trust, closed_alarm, no_trust

pytest.importorskip("numba")
from experiments.policy_lab.beliefs import Belief, beliefs
from experiments.policy_lab.deciding import _grows, _saves, leaves
from experiments.policy_lab.learning import close_oldest
from experiments.policy_lab.learning import learn_failure as lab_learns_failure
from experiments.policy_lab.pace import NEGLIGIBLE, STEP, pace
from experiments.policy_lab.policies import _DEFAULT
from experiments.policy_lab.state import LEFT_ALONE, OPEN, RUN, VACATED

NODES = 4
seconds = st.floats(0.1, 500.0)
count = st.floats(0.25, 60.0)
counts = st.builds(Counts, count, count, st.floats(0.0, 60.0))
leads = st.builds(Leads, st.floats(0.0, 30.0), st.floats(-20.0, 20.0))
trusts = st.builds(Trust, counts, counts, st.builds(Failures, count, count), leads)


class Place(NamedTuple):
    """Numbers that both are given."""

    cost_s: float
    durable_s: float
    migration_s: float
    restart_s: float
    detection_s: float
    mtbf_s: float
    age_s: float
    unsaved_s: float
    free: int
    dense: bool


places = st.builds(
    Place,
    cost_s=st.floats(0.1, 100.0),
    durable_s=seconds,
    migration_s=seconds,
    restart_s=seconds,
    detection_s=seconds,
    mtbf_s=st.floats(500.0, 1e6),
    age_s=st.integers(0, round(HORIZON_S) - 1).map(float),
    unsaved_s=st.integers(0, 2000).map(float),
    free=st.integers(1, 6),
    dense=st.booleans(),
)


def world_of(place: Place) -> Any:
    return SimpleNamespace(
        **place._asdict(),
        nodes=NODES,
        claimed_median_s=200.0,
        true_scale=1.0,
        sigma=0.8,
        horizon_s=HORIZON_S,
        claimed_recall=0.6,
        claimed_precision=0.8,
    )


def run_of(status: int, dense: bool) -> Any:
    """One alarm about the node of slot 2."""
    alarm = SimpleNamespace(at=0.0, slot=2, accused=0, status=status, dense=dense, found=False, fault=-1)
    return SimpleNamespace(alarms=[alarm], slots=[SimpleNamespace(tenant=0)] * NODES)


def fold_at(place: Place, trust: Trust) -> DecisionLog:
    """The fold with one open alarm of that age and those numbers."""
    chosen = PolicySettings(
        level="observe",
        node_mtbf_days=NODES * place.mtbf_s / DAY_S,
        checkpoint_cost_s=place.cost_s,
        durable_s=place.durable_s,
        migration_s=place.migration_s,
        restart_s=place.restart_s,
        detection_s=place.detection_s,
        lead_median_s=200.0,
        lead_sigma=0.8,
    )
    log = DecisionLog(chosen).start(step=0)
    log.incident("n2", probability=0.77)
    job = log.job
    job.trust = trust
    (alarm,) = job.alarms.values()
    job.alarms["incident-n2"] = SimpleNamespace(**{**_fields(alarm), "at": 0.0, "dense": place.dense})  # type: ignore[assignment]
    log.at += 1.0
    log.progress(round(place.unsaved_s), step_s=1.0)
    log.at = place.age_s
    return log


def _fields(alarm: Any) -> dict[str, Any]:
    return {name: getattr(alarm, name) for name in ("node", "at", "horizon_s", "dense", "left")}


def belief_of(place: Place, trust: Trust) -> Belief:
    return beliefs(world_of(place), _DEFAULT, trust)


@settings(max_examples=150, deadline=None)
@given(places, trusts)
def test_the_rate_of_checkpoints_is_the_lab_s(place: Place, trust: Trust) -> None:
    """The lab leaves out what adds less than a hundredth, and looks ahead by half a step; so does this test."""
    log = fold_at(place, trust)
    ahead_s = 0.5 * STEP * young_interval_s(place.cost_s, place.mtbf_s)
    state = SimpleNamespace(oldest=0, alarm=1, at=place.age_s - ahead_s, mode=RUN)
    of_lab, _ = pace(world_of(place), _DEFAULT, belief_of(place, trust), state, run_of(OPEN, place.dense))
    rate = checkpoint_policy(log.settings).rate(checkpoint_situation(log.job, log.settings, place.age_s))
    assert rate == pytest.approx(of_lab, rel=NEGLIGIBLE)


@settings(max_examples=150, deadline=None)
@given(places, trusts)
def test_what_an_alarm_is_worth_is_the_lab_s(place: Place, trust: Trust) -> None:
    log = fold_at(place, trust)
    state = SimpleNamespace(oldest=0, alarm=1, at=place.age_s)
    told = world_of(place), _DEFAULT, belief_of(place, trust), state, run_of(OPEN, place.dense), 0
    saves = early_checkpoint(log.job, log.job.alarms["incident-n2"], log.settings, place.age_s) is not None
    assert saves == _saves(*told, place.unsaved_s)
    choice = recovery_policy(log.settings).choose(
        suspicion(
            log.job,
            "incident-n2",
            log.state.chain,
            log.settings,
            at=place.age_s,
            checkpoint="older",
            free_spares=place.free,
        )
    )
    assert (choice.move == "migrate") == leaves(*told, place.unsaved_s, place.free)


def test_some_of_these_are_worth_it_and_some_are_not() -> None:
    """The agreement above is about something."""
    place, found = ANY._replace(unsaved_s=20.0), []
    earned = no_trust()
    for _ in range(20):
        earned = closed_alarm(earned, dense=False, truth=1.0, unfound=False)
    for trust in (no_trust(), earned):
        log = fold_at(place, trust)
        found.append(early_checkpoint(log.job, log.job.alarms["incident-n2"], log.settings, 0.0) is not None)
    assert found == [False, True]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("left", [False, True])
def test_an_alarm_that_ends_teaches_what_it_teaches_the_lab(dense: bool, left: bool) -> None:
    log = DecisionLog(PolicySettings()).start()
    for number in range(4 if dense else 1):
        log.incident(f"n{3 - number}")
    if dense:
        for key in [key for key, alarm in log.job.alarms.items() if not alarm.dense]:
            del log.job.alarms[key]
    (alarm,) = log.job.alarms.values()
    assert alarm.dense == dense
    if left:
        log.at += 1.0
        log.member(alarm.node, "vacated")
    log.tick(HORIZON_S)
    run = run_of(VACATED if left else LEFT_ALONE, dense)
    of_lab = close_oldest(world_of(ANY), SimpleNamespace(oldest=0, at=HORIZON_S), run, no_trust())
    assert log.job.trust == of_lab


ANY = Place(5.0, 20.0, 30.0, 180.0, 60.0, 10_000.0, 0.0, 0.0, 1, dense=False)


@pytest.mark.parametrize("lead_s", [0.5, 30.0, 400.0])
def test_a_failure_teaches_what_it_teaches_the_lab(lead_s: float) -> None:
    log = DecisionLog(PolicySettings(lead_median_s=200.0)).start()
    log.incident("n2")
    log.at += lead_s
    alarm = log.job.alarms["incident-n2"]
    log.fate("n2")
    state, run = SimpleNamespace(oldest=0, alarm=1, at=log.at - alarm.at), run_of(OPEN, dense=False)
    of_lab = lab_learns_failure(world_of(ANY), state, run, no_trust(), 2)
    assert log.job.trust == of_lab
    log.at += 1.0
    log.fate("n1")  # of which no alarm told
    assert log.job.trust == lab_learns_failure(world_of(ANY), state, run, of_lab, 1)


@settings(max_examples=100, deadline=None)
@given(places, trusts, st.integers(0, 3), st.integers(1, 3))
def test_leaving_a_node_for_a_smaller_job_is_worth_what_it_is_worth_to_the_lab(
    place: Place, trust: Trust, free: int, min_nodes: int
) -> None:
    log = fold_at(place, trust)
    log.job.min_nodes, log.job.replica_nodes = min_nodes, 1
    world = SimpleNamespace(**vars(world_of(place)), replica_nodes=1, min_nodes=min_nodes)
    state = SimpleNamespace(oldest=0, alarm=1, at=place.age_s)
    rule = _DEFAULT._replace(elastic=True)
    of_lab = leaves(world, rule, belief_of(place, trust), state, run_of(OPEN, place.dense), 0, place.unsaved_s, free)
    stands = suspicion(
        log.job,
        "incident-n2",
        log.state.chain,
        log.settings,
        at=place.age_s,
        checkpoint="older",
        free_spares=free,
    )
    assert (recovery_policy(log.settings).choose(stands).move == "migrate") == of_lab


@settings(max_examples=100, deadline=None)
@given(places, st.integers(0, 3), st.integers(1, 2))
def test_growing_back_pays_where_it_pays_in_the_lab(place: Place, missing: int, replica_nodes: int) -> None:
    log = fold_at(place, no_trust())
    world = SimpleNamespace(**vars(world_of(place)), replica_nodes=replica_nodes, min_nodes=1)
    active = NODES - replica_nodes
    price_s = early_price_s(place.unsaved_s, young_interval_s(place.cost_s, place.mtbf_s), place.cost_s)
    of_lab = _grows(world, SimpleNamespace(missing=missing, active=active), price_s)
    more = whole_replicas(NODES - missing, replica_nodes) - active
    assert of_lab == (more > 0 and growth_pays(log.job, log.settings, more, NODES))
