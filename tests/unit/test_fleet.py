"""The fleet generator: its truth, its faults and look-alikes, and how they show."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from experiments.fleet import (
    FAULT_CLASSES,
    FAULT_SHARES,
    INDEX,
    METRICS,
    NAMES,
    Fault,
    FaultClass,
    Fleet,
    FleetSpec,
    ScriptedFault,
    frame,
    scripted_fleet,
)
from models.records import Frame

#: For each class, a metric that must rise or fall before the failure, and the least change that shows, in its noise.
SHOWS: dict[FaultClass, tuple[str, int]] = {
    "hbm": ("DCGM_FI_DEV_MEMORY_TEMP", 1),
    "link": ("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", -1),
    "pcie": ("training_step_time_seconds", 1),
    "thermal": ("DCGM_FI_DEV_GPU_TEMP", 1),
    "memory_leak": ("node_memory_MemAvailable_bytes", -1),
    "disk": ("smartmon_current_pending_sector_raw_value", 1),
    "power": ("node_hwmon_in_volts", -1),
}


@pytest.fixture(scope="module")
def told() -> Fleet:
    """A large fleet after 2,000 steps: enough faults for shares."""
    fleet = Fleet(FleetSpec(nodes=240, seed=3, fault_rate=1 / 300, look_alike_rate=1 / 2_000, repair_median=20))
    for _ in range(10):
        fleet.block(200)
    return fleet


def test_metric_names_are_32_and_distinct() -> None:
    assert len(METRICS) == len(set(NAMES)) == 32
    assert [INDEX[name] for name in NAMES] == list(range(32))
    assert all(metric.kind in ("gauge", "counter") and metric.unit for metric in METRICS)


def test_shares_of_fault_classes_are_those_of_the_reference(told: Fleet) -> None:
    assert sum(FAULT_SHARES.values()) == pytest.approx(1)
    seen = Counter(fault.fault_class for fault in told.faults)
    for name, share in FAULT_SHARES.items():
        sigma = np.sqrt(share * (1 - share) / len(told.faults))
        assert seen[name] / len(told.faults) == pytest.approx(share, abs=6 * sigma), name


def test_four_in_ten_faults_come_without_a_sign(told: Fleet) -> None:
    assert len(told.faults) > 700
    assert np.mean([fault.sudden for fault in told.faults]) == pytest.approx(0.4, abs=0.08)


def test_lead_times_follow_the_lognormal_law(told: Fleet) -> None:
    leads = np.log([fault.failure - fault.onset for fault in told.faults if not fault.sudden])
    assert np.median(leads) == pytest.approx(np.log(72), abs=0.15)
    assert np.std(leads) == pytest.approx(0.8, abs=0.12)


def test_every_look_alike_exists(told: Fleet) -> None:
    seen = Counter(benign.kind for benign in told.look_alikes)
    assert set(seen) == {"job_stop", "hot_room", "driver_update", "noisy_counter", "maintenance", "exporter_gap"}
    assert min(seen.values()) >= 20


def bursts(fleet: Fleet) -> list[list[Fault]]:
    """The faults that came together."""
    together: dict[tuple[int, int, str], list[Fault]] = {}
    for fault in fleet.faults:
        together.setdefault((fault.onset, fault.failure, fault.fault_class), []).append(fault)
    return [faults for faults in together.values() if len(faults) > 1 and not faults[0].sudden]


def test_some_faults_strike_several_nodes(told: Fleet) -> None:
    gradual = sum(not fault.sudden for fault in told.faults)
    found = bursts(told)
    assert max(map(len, found)) == 4
    assert sum(map(len, found)) / gradual == pytest.approx(0.12, abs=0.05)


def test_a_burst_of_links_is_a_switchs_and_any_other_a_racks(told: Fleet) -> None:
    def place(size: int) -> dict[str, int]:
        parts = np.array_split(np.array(told.names), -(-len(told.names) // size))
        return {name: number for number, part in enumerate(parts) for name in part.tolist()}

    rack, switch = place(told.spec.rack_nodes), place(told.spec.switch_nodes)
    racks_of_links, apart = [], 0
    for faults in bursts(told):
        near = switch if faults[0].fault_class == "link" else rack
        apart += len({near[fault.node] for fault in faults}) > 1
        racks_of_links += [len({rack[fault.node] for fault in faults})] * (near is switch)
    assert apart <= 0.1 * len(bursts(told)), "but for those that came together by chance"
    assert max(racks_of_links) > 1, "a switch is of several racks"


def test_a_node_has_one_fault_at_a_time(told: Fleet) -> None:
    for name in told.names:
        spans = [(fault.onset, fault.back) for fault in told.faults if fault.node == name]
        assert all(before[1] <= after[0] for before, after in pairwise(spans))


def test_truth_is_not_told_ahead_of_time() -> None:
    fleet = Fleet(FleetSpec(nodes=50, seed=1, fault_rate=1 / 100, look_alike_rate=1 / 100))
    fleet.block(10)
    assert all(fault.onset < 10 for fault in fleet.faults)
    assert all(benign.start < 10 for benign in fleet.look_alikes)


@pytest.mark.parametrize("fault_class", FAULT_CLASSES)
def test_each_class_shows_before_the_failure_and_the_node_is_silent_after_it(fault_class: FaultClass) -> None:
    script = ScriptedFault("n05", fault_class, at_step=200, lead_steps=80)
    fleet = Fleet(scripted_fleet(8, 5, script))
    values = fleet.block(300)
    name, sign = SHOWS[fault_class]
    column = values[:, 5, INDEX[name]]
    before, late = column[100:200], column[240:280]
    assert sign * (np.nanmean(late) - np.nanmean(before)) > 2 * np.nanstd(before)
    assert np.isnan(values[280:, 5]).all()
    assert not np.isnan(values[280:, 4]).all()
    assert [(fault.node, fault.onset, fault.failure) for fault in fleet.faults] == [("n05", 200, 280)]


def test_a_scripted_fault_changes_neither_the_past_nor_the_other_nodes() -> None:
    scripts = (ScriptedFault("n01", "hbm", at, 500) for at in (100, 10**9))
    specs = [replace(scripted_fleet(6, 9, s), look_alike_rate=1 / 300) for s in scripts]
    fails, never = (Fleet(spec).block(400) for spec in specs)
    assert fails[:100].tobytes() == never[:100].tobytes()
    others = [0, 2, 3, 4, 5]
    assert fails[:, others].tobytes() == never[:, others].tobytes()
    assert not np.array_equal(fails[:, 1], never[:, 1], equal_nan=True)


def test_a_node_that_is_repaired_can_fail_again_and_its_past_is_the_same() -> None:
    first = ScriptedFault("n01", "hbm", at_step=100, lead_steps=20, repair_steps=30)
    again = replace(first, at_step=250, lead_steps=0)
    once, twice = (Fleet(scripted_fleet(4, 3, *faults)) for faults in ((first,), (first, again)))
    before, after = once.block(300), twice.block(300)
    assert before[:250].tobytes() == after[:250].tobytes()
    silent = np.isnan(after[:, 1]).all(axis=1)
    assert silent[120:151].all()
    assert silent[250:281].all()
    assert not silent[151:250].all()
    assert not silent[281:].all()
    assert [(fault.onset, fault.failure, fault.back) for fault in twice.faults] == [(100, 120, 151), (250, 250, 281)]


def test_a_checkpoint_burst_writes_to_disk_and_means_no_harm() -> None:
    fleet = Fleet(FleetSpec(nodes=4, seed=2, fault_rate=0, look_alike_rate=0, missing=0, job_run_mean=1e9))
    written = fleet.block(400)[:, 0, INDEX["node_disk_written_bytes_total"]]
    rates = np.diff(written.astype(np.float64))
    assert rates.max() > 50 * np.median(rates)
    assert not fleet.faults


def test_an_idle_job_reports_no_step_time_and_cools() -> None:
    fleet = Fleet(FleetSpec(nodes=4, seed=2, fault_rate=0, look_alike_rate=0, missing=0, job_run_mean=150))
    values = fleet.block(1_000)
    stop = next(benign for benign in fleet.look_alikes if benign.kind == "job_stop" and benign.end < 1_000)
    row = fleet.names.index(stop.node)
    assert np.isnan(values[stop.start : stop.end, row, INDEX["training_step_time_seconds"]]).all()
    temperature = values[:, row, INDEX["DCGM_FI_DEV_GPU_TEMP"]]
    assert temperature[stop.end - 1] < temperature[stop.start - 1] - 15


def test_stepping_is_the_same_as_a_block() -> None:
    spec = FleetSpec(nodes=3, seed=4)
    steps = Fleet(spec)
    rows = [next(steps) for _ in range(70)]
    assert np.stack(rows).tobytes() == Fleet(spec).block(70).tobytes()
    assert steps.step == 70


def test_another_seed_is_another_fleet() -> None:
    assert Fleet(FleetSpec(seed=1)).block(5).tobytes() != Fleet(FleetSpec(seed=2)).block(5).tobytes()


def test_names_widen_with_the_fleet() -> None:
    assert FleetSpec(nodes=3).names == ("n00", "n01", "n02")
    assert FleetSpec(nodes=1001).names[0] == "n0000"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"nodes": 0}, "nodes"), ({"missing": 1.5}, "missing"), ({"interval_s": float("nan")}, "interval_s")],
)
def test_a_wrong_spec_is_refused_by_name(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        FleetSpec(**wrong)  # type: ignore[arg-type]


def test_a_script_for_no_node_is_refused() -> None:
    with pytest.raises(ValueError, match="n99"):
        scripted_fleet(4, 0, ScriptedFault("n99", "hbm", 1, 1))


def test_a_row_becomes_a_frame_without_what_did_not_arrive() -> None:
    row = np.full(len(NAMES), np.nan, np.float32)
    assert frame("n00", 5.0, 3, row) is None
    row[INDEX["DCGM_FI_DEV_GPU_TEMP"]] = 66
    assert frame("n00", 5.0, 3, row) == Frame("n00", 5.0, 3, {"DCGM_FI_DEV_GPU_TEMP": 66.0})
