"""Cases of the predictor, and what is drawn of them: truths, claims, and chances that no policy changes."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.failure_trace.trace import Trace
from experiments.policy_lab import CASES, Case, Phase, load_profile
from experiments.policy_lab.cases import DAY_S
from experiments.policy_lab.simulation import Setting, setting_of, weibull_shape

LARGE = load_profile("llama3-16k")
LIES = {"lie10", "lie05", "fa1", "fa10"}


def drawn(name: str, seed: int = 0) -> tuple[Setting, np.ndarray, np.ndarray]:
    """The setting of a case, and its faults and alarms."""
    setting = setting_of(LARGE, CASES[name])
    draws = setting.draws(seed)
    return setting, draws.faults, draws.alarms


def test_there_are_eleven() -> None:
    named = "honest weak lie10 lie05 fa1 fa10 burst turn turn0 cycle short"
    assert list(CASES) == named.split()


@pytest.mark.parametrize("name", CASES)
def test_the_claim_is_the_profiles_or_a_lie(name: str) -> None:
    assert CASES[name].claims(LARGE) == (0.6, 0.9 if name in LIES else 0.8)


@pytest.mark.parametrize(
    ("name", "recall", "precision"), [("honest", 0.6, 0.8), ("weak", 0.4, 0.3), ("lie10", 0.6, 0.1)]
)
def test_recall_and_precision_come_out_as_they_are_true(name: str, recall: float, precision: float) -> None:
    foreseen = alarms = faults = 0
    for seed in range(6):
        _, of_faults, of_alarms = drawn(name, seed)
        foreseen += int((of_alarms["fault"] >= 0).sum())
        alarms, faults = alarms + of_alarms.size, faults + of_faults.size
    assert foreseen / faults == pytest.approx(recall, abs=0.03)
    assert foreseen / alarms == pytest.approx(precision, abs=0.03)


def test_false_alarms_come_at_their_rate() -> None:
    assert drawn("fa10")[2].size == pytest.approx(10 * 24 * 60, rel=0.03)
    assert (drawn("fa10")[2]["fault"] < 0).all()


def test_a_storm_a_week() -> None:
    stormy = drawn("burst")[2]["at"]
    hours = np.bincount((stormy // 3600.0).astype(int))
    assert (hours >= 45).sum() == 8
    assert {int(hour) % (7 * 24) for hour in np.flatnonzero(hours >= 45)} == {0}


def test_a_turn_is_a_turn() -> None:
    at, fault = drawn("turn0")[2]["at"], drawn("turn0")[2]["fault"]
    after = at > 20 * DAY_S
    assert (fault[~after] >= 0).any()
    assert not (fault[after] >= 0).any() or at[after & (fault >= 0)].max() < 20.2 * DAY_S
    assert after.sum() == pytest.approx(4 * 24 * 40, rel=0.06)


def test_cycles_repeat_and_the_last_phase_lasts() -> None:
    spans = list(CASES["cycle"].spans(LARGE, 21 * DAY_S))
    assert [span[2] for span in spans] == [0.6, 0.0, 0.6, 0.0, 0.6]
    assert spans[-1][1] == 21 * DAY_S
    assert list(Case(name="x", phases=(Phase(days=1.0), Phase(recall=0.1))).spans(LARGE, 3 * DAY_S))[-1][:3] == (
        DAY_S,
        3 * DAY_S,
        0.1,
    )


def test_leads_are_a_tenth_where_they_are_short() -> None:
    def median_lead_s(name: str) -> float:
        _, faults, alarms = drawn(name)
        true = alarms[alarms["fault"] >= 0]
        return float(np.median(faults["at"][true["fault"]] - true["at"]))

    assert median_lead_s("honest") == pytest.approx(720.0, rel=0.15)
    assert median_lead_s("short") == pytest.approx(72.0, rel=0.15)


def test_what_is_true_then_is_known_of_each_alarm() -> None:
    alarms = drawn("turn")[2]
    before = alarms["at"] < 20 * DAY_S - 3600.0
    assert set(np.round(alarms["truth"][before], 6)) == {0.8}
    assert set(np.round(alarms["truth"][alarms["at"] > 20 * DAY_S], 6)) == {0.05}
    assert (drawn("fa10")[2]["truth"] == 0.0).all()


def test_faults_are_the_same_whatever_is_said_of_them() -> None:
    honest, lying = drawn("honest", 3)[1], drawn("fa10", 3)[1]
    for field in ("at", "slot", "repair_s", "memory_luck"):
        np.testing.assert_array_equal(honest[field], lying[field])
    assert not np.array_equal(honest["at"], drawn("honest", 4)[1]["at"])


def test_times_between_failures_have_the_mean_and_the_shape_that_they_should() -> None:
    profile = load_profile("rsc-2k")
    gaps = np.concatenate(
        [np.diff(setting_of(profile, CASES["honest"]).draws(seed).faults["at"]) for seed in range(40)]
    )
    assert gaps.mean() == pytest.approx(profile.mtbf_s, rel=0.08)
    assert weibull_shape(gaps) == pytest.approx(0.62, abs=0.03)


def test_few_or_equal_gaps_tell_no_shape() -> None:
    assert weibull_shape(np.ones(5)) == weibull_shape(np.full(50, 7.0)) == 1.0


def test_a_trace_brings_its_own_faults_nodes_and_time() -> None:
    start = np.array([100.0, 400.0, 400.0, 1100.0])
    trace = Trace(9, np.array([1, 2, 3, 4]), start, start + np.array([50.0, 0.0, 10.0, 5.0]))
    setting = setting_of(LARGE, CASES["honest"], trace)
    faults = setting.draws(0).faults
    assert (setting.wall_s, setting.profile.nodes) == (1000.0, 9)
    assert faults["at"].tolist() == [0.0, 300.0, 300.0]
    assert faults["repair_s"].tolist() == [50.0, 0.0, 10.0]
    assert faults["slot"].tolist() == [1, 2, 3]
    assert setting.draws(1).faults["at"].tolist() == [0.0, 300.0, 300.0]


@pytest.mark.parametrize("start", [[], [5.0], [5.0, 5.0]])
def test_a_trace_without_time_is_refused(start: list[float]) -> None:
    at = np.array(start, dtype=float)
    with pytest.raises(ValueError, match="no two faults at different times"):
        setting_of(LARGE, CASES["honest"], Trace(9, np.arange(at.size), at, at + 1.0))
