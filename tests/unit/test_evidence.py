"""What gathers on a node: deviations from its ordinary states, which faults are not, and events remembered."""

from __future__ import annotations

import numpy as np
import pytest

from models.cohort import Cohort, Observed
from models.evidence import BLANK, EVIDENCE_NAMES, LAGS, Columns, Gathered
from models.features import FEATURE_NAMES, WINDOW_NAMES, columns_of
from models.limits import RANGE_FRAMES
from models.signals import ASPECTS, aspect_of

METRICS = (
    "gpu_temp", "mem_temp", "step_time", "disk_io_seconds", "disk_write_bytes", "gpu_util", "load1", "fan_rpm",
    "in_volts", "fb_used", "sm_clock", "inlet_temp",
    "ecc_total", "remapped_rows_total", "pcie_replay_total",
)  # fmt: skip
COUNTERS = tuple(name.endswith("_total") for name in METRICS)
USUAL = np.array([66, 74, 1.35, 0.05, 4.0, 97, 34, 9400.0, 12.0, 71e3, 1755, 27.0])
NOISE = np.array([0.8, 0.8, 0.02, 0.012, 0.8, 1.5, 2.0, 60.0, 0.015, 250, 9.0, 0.3])
WRITING = np.array([0, 0, 0.6, 0.7, 2000.0, -15, 0, 0, 0, 0, 0, 0])
IDLE = np.array([34, 38, 0.5, 0.01, 0.2, 0, 2, 5200.0, 12.1, 600, 1980, 24.0])


class Node:
    """One node that writes a checkpoint for 2 frames in every 30."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.cohort = Cohort(METRICS, COUNTERS)
        self.row = self.cohort.add()
        self.step = 0
        self.totals = np.zeros(3)

    def tell(
        self, off: dict[str, float] | None = None, events: tuple[int, int, int] = (0, 0, 0), idle: bool = False
    ) -> dict[str, float]:
        writing = self.step % 30 < 2 and not idle
        gauges = (IDLE if idle else USUAL + writing * WRITING) + NOISE * self.random.normal(size=12)
        for name, by in (off or {}).items():
            gauges[METRICS.index(name)] += by
        self.totals += events
        self.step += 1
        values = np.concatenate([gauges, self.totals])[None]
        return named(self.cohort.advance(self.row, np.array([60.0 * self.step]), values))

    def learned(self, frames: int = RANGE_FRAMES + 120) -> Node:
        for _ in range(frames):
            self.tell()
        return self


def named(seen: Observed) -> dict[str, float]:
    unsquashed = np.sign(seen.features[0]) * np.expm1(np.abs(seen.features[0]))
    return dict(zip(FEATURE_NAMES, unsquashed.tolist(), strict=True))


def test_the_names_are_appended_to_those_of_the_windows() -> None:
    assert (*WINDOW_NAMES, *EVIDENCE_NAMES) == FEATURE_NAMES
    assert len(set(FEATURE_NAMES)) == len(FEATURE_NAMES)


def test_features_are_found_by_their_names() -> None:
    assert columns_of(FEATURE_NAMES).tolist() == list(range(len(FEATURE_NAMES)))
    with pytest.raises(ValueError, match="not in tuple"):
        columns_of(("nothing.of_the_kind",))


def test_a_checkpoint_is_ordinary_once_it_has_come_a_few_times() -> None:
    node = Node().learned()
    while node.step % 30:
        node.tell()
    for _ in range(2):
        seen = node.tell()
        assert abs(seen["step.off1"]) < 5.0
        assert abs(seen["disk.off1"]) < 5.0


def test_a_straggler_is_not_explained_by_checkpoints() -> None:
    node = Node().learned()
    while node.step % 30 != 5:
        node.tell()
    for _ in range(8):
        seen = node.tell({"step_time": 0.12})
    assert seen["step.off3"] > 4.0
    assert seen["step.off8"] > 3.0
    assert seen["disk.off3"] < 3.0


def test_what_falls_is_below_nought() -> None:
    node = Node().learned()
    for _ in range(6):
        seen = node.tell({"fan_rpm": -400.0})
    assert seen["fan.off3"] < -3.0


def test_a_fault_that_many_metrics_show_at_once_is_no_regime() -> None:
    node = Node().learned()
    fault = {"gpu_temp": 16.0, "mem_temp": 16.0, "fan_rpm": -1200.0, "step_time": 0.4}
    for _ in range(40):
        seen = node.tell(fault)
    assert seen["temperature.off8"] > 6.0
    assert seen["fan.off8"] < -6.0


def test_an_idle_node_gathers_nothing_until_idleness_is_known() -> None:
    node = Node().learned()
    before = node.cohort.evidence.state["averages"].copy()
    seen = node.tell(idle=True)
    assert seen["node.held"] == pytest.approx(1.0)
    assert seen["node.far"] > 0.4
    assert node.cohort.evidence.state["averages"].tobytes() == before.tobytes()
    for _ in range(20):
        seen = node.tell(idle=True)
    assert seen["node.held"] == pytest.approx(0.0)
    assert abs(seen["load.off3"]) < 3.0


def test_a_hot_room_explains_what_warms_with_it_and_nothing_else() -> None:
    hot, fault = Node().learned(), Node().learned()
    highest = 0.0
    for step in range(120):
        degrees = 8 * np.sin(np.pi * step / 240)
        warm = {"inlet_temp": degrees, "gpu_temp": 0.8 * degrees, "mem_temp": 0.8 * degrees}
        seen = hot.tell(warm)
        highest = max(highest, seen["temperature.off8"])
        failing = fault.tell(warm | ({"gpu_temp": 0.8 * degrees + 8.0} if step >= 110 else {}))
    assert highest < 5.0, "untold it would be 8"
    assert abs(seen["temperature.off8"]) < 2.5
    assert failing["temperature.off8"] > 4.0
    assert failing["room.off8"] > 6.0


def test_warmth_that_comes_after_a_stop_is_told_from_a_fault() -> None:
    node, warmth, highest = Node(), 1.0, 0.0
    for step in range(1_400):
        idle = step % 350 >= 270
        warmth += 0.1 * ((0.0 if idle else 1.0) - warmth)
        lag = warmth - (0.0 if idle else 1.0)
        warm = {"gpu_temp": 32 * lag, "mem_temp": 36 * lag, "fan_rpm": 4_200 * lag}
        seen = node.tell(warm, idle=idle)
        if step > 1_050:
            highest = max(highest, *(abs(seen[f"{aspect}.off3"]) for aspect in ("temperature", "fan")))
    assert LAGS[int(node.cohort.evidence.state["misfit"][0].argmin())] == 10
    assert highest < 4.0, "against the centre alone it would be 8"


def test_a_centre_that_was_wrong_from_the_start_is_left_behind() -> None:
    node = Node().learned(RANGE_FRAMES)
    for _ in range(500):
        seen = node.tell({"in_volts": 0.3})
    assert abs(seen["voltage.off20"]) < 1.5
    back = [node.tell({"in_volts": 0.3 - 0.15})["voltage.off8"] for _ in range(45)]
    assert back[-1] < -3.0, "a fault of three quarters of an hour still shows"


def test_a_metric_that_was_quiet_at_first_finds_its_usual_size() -> None:
    gathered, columns = Gathered(1, 6), Columns(("room_temp", "gpu_temp", "mem_temp", "fan", "load", "volt"))
    random, at, nothing = np.random.default_rng(3), np.array([0]), np.zeros((1, 6), np.float32)
    for _ in range(700):
        units = random.normal(0, [1, 1, 9, 1, 1, 1], (1, 6)).astype(np.float32)
        gathered.advance(at, units, nothing, nothing > 0, columns)
    assert 6.0 < gathered.state["scale"][0, 2] < 12.0


def test_events_are_remembered_and_fade() -> None:
    node = Node().learned()
    seen = node.tell(events=(2, 1, 0))
    assert seen["memory_errors.most8"] == pytest.approx(2 * 7 / 8, rel=1e-4)
    assert seen["memory_errors.rest8"] == pytest.approx(7 / 8, rel=1e-4)
    assert seen["memory_errors.moved8"] == pytest.approx(2.0, rel=1e-4)
    assert seen["pcie.most240"] == pytest.approx(0.0)
    for _ in range(30):
        seen = node.tell()
    assert seen["memory_errors.most3"] < 1e-3
    assert seen["memory_errors.most240"] > 1.5


def test_a_missing_frame_leaves_averages_where_they_are() -> None:
    node = Node().learned()
    for _ in range(5):
        node.tell({"fan_rpm": -300.0})
    before = node.cohort.evidence.state["averages"].copy()
    node.step += 1
    node.cohort.advance(node.row, np.array([60.0 * node.step]), np.full((1, len(METRICS)), np.nan))
    assert node.cohort.evidence.state["averages"].tobytes() == before.tobytes()


def test_a_row_does_not_know_its_neighbours() -> None:
    random = np.random.default_rng(4)
    units = random.normal(size=(90, 5, 6)).astype(np.float32)
    units[random.random(units.shape) < 0.05] = np.nan
    units[40:50, :, :5] += 30
    together, alone = Gathered(5, 6), Gathered(5, 6)
    columns = Columns(("room_temp", "gpu_temp", "mem_temp", "fan", "load", "volt"))
    eventful, counts = np.zeros((5, 6), bool), np.zeros((5, 6), np.float32)
    for frame in units:
        together.advance(np.arange(5), frame, counts, eventful, columns)
        for row in range(5):
            at = np.array([row])
            alone.advance(at, frame[at], counts[at], eventful[at], columns)
    for name, array in together.state.items():
        assert array.tobytes() == alone.state[name].tobytes(), name


def test_a_forgotten_row_is_blank() -> None:
    node = Node().learned()
    node.cohort.evidence.forget(0)
    for name, array in node.cohort.evidence.state.items():
        blank = np.full_like(array[0], BLANK[name][1])
        assert array[0].tobytes() == blank.tobytes(), name


def test_what_was_learned_goes_along_to_a_node_of_more_metrics() -> None:
    node = Node().learned()
    wider = Cohort(("another", *METRICS), (False, *COUNTERS))
    row = int(wider.add()[0])
    wider.take_over(row, node.cohort, 0)
    mine, theirs = wider.evidence.state, node.cohort.evidence.state
    assert mine["centre"][row][:, 1:].tobytes() == theirs["centre"][0].tobytes()
    assert mine["events"][row][1:].tobytes() == theirs["events"][0].tobytes()
    assert mine["frames"][row].tobytes() == theirs["frames"][0].tobytes()


def test_each_metric_has_one_aspect() -> None:
    columns = Columns(METRICS)
    assert sorted(np.concatenate(columns.aspects).tolist()) == list(range(len(METRICS)))
    assert {aspect_of(name) for name in METRICS} <= set(ASPECTS)
