"""The fleet that predictors are trained and judged on, how fast any is made, and its laws that no look-alike breaks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.fleet import NAMES, Fleet, FleetSpec, ScriptedFault, prediction_fleet, scripted_fleet
from experiments.fleet.__main__ import run
from experiments.fleet.metrics import METRICS
from experiments.fleet.presets import DAY_STEPS, HASTE, LLAMA3_FAULTS_PER_NODE_DAY, USABLE_LEAD_STEPS
from experiments.fleet.schedule import DARK_SHARE, Schedule
from experiments.fleet.timing import make

GPU = [column for column, metric in enumerate(METRICS) if metric.from_gpu]


@pytest.fixture(scope="module")
def story() -> Schedule:
    """What happens on 500 nodes in ten days: 5,000 node-days; no samples are made."""
    schedule = Schedule(prediction_fleet(500, 3), np.random.default_rng(3))
    for first in range(0, 10 * DAY_STEPS, 240):
        schedule.chunk(first, 240)
    return schedule


def test_five_thousand_node_days_hold_several_hundred_faults(story: Schedule) -> None:
    expected = 5_000 * HASTE * LLAMA3_FAULTS_PER_NODE_DAY
    assert len(story.faults) == pytest.approx(expected, rel=0.15)
    assert len(story.faults) > 500


def test_most_time_is_healthy(story: Schedule) -> None:
    steps = 5_000 * DAY_STEPS
    assert sum(fault.failure - fault.onset for fault in story.faults) < 0.005 * steps
    assert sum(fault.back - fault.failure for fault in story.faults) < 0.08 * steps


def test_repair_has_a_heavy_tail(story: Schedule) -> None:
    repair = np.array([fault.back - fault.failure for fault in story.faults])
    assert np.median(repair) == pytest.approx(240, rel=0.2)
    assert repair.mean() > 1.4 * np.median(repair)


def test_about_half_of_all_faults_leave_a_usable_lead(story: Schedule) -> None:
    """Sudden ones never do; of the others, those whose lead is longer than it takes to save."""
    usable = np.mean([fault.failure - fault.onset >= USABLE_LEAD_STEPS for fault in story.faults])
    assert 0.45 < usable < 0.6


def test_every_look_alike_is_about_as_frequent_as_faults(story: Schedule) -> None:
    for kind in ("driver_update", "noisy_counter", "maintenance", "exporter_gap"):
        number = sum(benign.kind == kind for benign in story.benign)
        assert number == pytest.approx(len(story.faults), rel=0.3), kind


def test_look_alikes_never_fail() -> None:
    """With no fault anywhere every node is heard of again, however much looks like one."""
    spec = FleetSpec(nodes=80, seed=2, fault_rate=0, look_alike_rate=1 / 150, missing=0)
    fleet = Fleet(spec)
    silent = np.asarray(np.isnan(fleet.block(600)).all(axis=2))
    assert fleet.faults == ()
    services = [one for one in fleet.look_alikes if one.kind in ("driver_update", "maintenance")]
    allowed = np.zeros_like(silent)
    rows = {name: row for row, name in enumerate(fleet.names)}
    for one in services:
        allowed[one.start : one.end, rows[one.node]] = True
    assert silent.any()
    assert not silent[~allowed].any()


def test_a_hung_exporter_silences_the_gpu_alone() -> None:
    fleet = Fleet(FleetSpec(nodes=60, seed=5, fault_rate=0, look_alike_rate=1 / 150, missing=0))
    values = fleet.block(400)
    rows = {name: row for row, name in enumerate(fleet.names)}
    gaps = [one for one in fleet.look_alikes if one.kind == "exporter_gap" and one.end < 400]
    assert len(gaps) > 50
    for gap in gaps:
        there = values[gap.start : gap.end, rows[gap.node]]
        assert np.isnan(there[:, GPU]).all()
    assert np.mean([gap.end - gap.start for gap in gaps]) == pytest.approx(6, rel=0.3)


def test_before_some_faults_the_gpu_falls_silent_and_before_none_that_is_sudden() -> None:
    spec = FleetSpec(
        nodes=200, seed=6, fault_rate=1 / 300, look_alike_rate=0, missing=0, lead_median=20, repair_median=20
    )
    fleet = Fleet(spec)
    values = fleet.block(800)
    rows = {name: row for row, name in enumerate(fleet.names)}
    dark = []
    for fault in fleet.faults:
        if fault.failure < 800 and fault.failure - fault.onset > 9:
            lead = values[fault.onset : fault.failure, rows[fault.node]]
            dark.append(bool(np.isnan(lead[-1, GPU]).all() and np.isnan(lead[-2, GPU]).all()))
            assert not np.isnan(lead[: len(lead) // 2 - 1, GPU]).all(axis=1).all()
    assert len(dark) > 200
    assert np.mean(dark) == pytest.approx(DARK_SHARE, abs=0.08)
    for fault in fleet.faults:
        if fault.sudden and 2 < fault.failure < 800 and not np.isnan(values[fault.failure - 2, rows[fault.node]]).all():
            assert not np.isnan(values[fault.failure - 1, rows[fault.node], GPU]).any()


def test_nothing_of_the_truth_is_among_the_metrics() -> None:
    assert all(name.startswith(("DCGM_FI_", "node_", "smartmon_", "training_")) for name in NAMES)
    script = ScriptedFault("n00", "hbm", 40, 30)
    early = Fleet(scripted_fleet(3, 1, script)).block(40)
    late = Fleet(scripted_fleet(3, 1, replace(script, at_step=10**9))).block(40)
    assert early.tobytes() == late.tobytes()


def test_shards_make_all_frames_together() -> None:
    spec = prediction_fleet(150, 1)
    assert sum(make(spec, 70, (number, 2))[0] for number in range(2)) == make(spec, 70, (0, 1))[0] == 150 * 70


@pytest.mark.parametrize("shards", [[], ["--shards", "2"]])
def test_the_speed_of_making_is_told(shards: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    run(["--nodes", "10", "--interval", "600", "--days", "1", *shards])
    assert capsys.readouterr().out.startswith("1,440 frames in ")
