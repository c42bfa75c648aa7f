"""Cohorts: own units, baselines, gaps, late frames and counters of nodes side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from models.cohort import Cohort, Observed, own_unit
from models.limits import (
    ANCHOR_FRAMES_MIN,
    BASELINE_FRAMES,
    INTERVAL_FRAMES_MIN,
    RANGE_FRAMES,
    SCALE_GROWTH_MAX,
    WINDOW_FRAMES,
    Z_MAX,
)

START = 1_700_000_000.0
NAN = float("nan")
ROW = np.array([0])


class OneNode:
    """A cohort of one node that is told frame after frame."""

    def __init__(self, *metrics: str, counters: tuple[bool, ...] | None = None, interval_s: float = 1.0) -> None:
        self.cohort = Cohort(metrics or ("a",), counters or (False,) * len(metrics or ("a",)))
        self.cohort.add()
        self.interval_s = interval_s
        self.ts = START

    def tell(self, *values: float, after_s: float | None = None) -> Observed:
        self.ts += self.interval_s if after_s is None else after_s
        return self.cohort.advance(ROW, np.array([self.ts]), np.array([values], np.float64))

    def tell_noise(self, frames: int, seed: int = 0, scale: float = 1.0, offset: float = 0.0) -> Observed:
        random = np.random.default_rng(seed)
        width = len(self.cohort.metrics)
        return [self.tell(*(random.normal(size=width) * scale + offset)) for _ in range(frames)][-1]

    def of(self, name: str, metric: int = 0) -> float:
        return float(self.cohort.state[name][0, metric])

    def window(self, metric: int = 0) -> list[float]:
        found: list[float] = self.cohort.state["window"][0, metric].tolist()
        return found

    def times(self) -> list[float]:
        """Source times of the window since the start."""
        return [t - START for t in self.cohort.state["times"][0].tolist()]


def same(one: Iterable[float], other: Iterable[float]) -> bool:
    return np.array_equal(np.array(list(one)), np.array(list(other)), equal_nan=True)


def test_own_units_are_set_once_after_enough_frames() -> None:
    node = OneNode()
    node.tell_noise(BASELINE_FRAMES - 1, offset=50.0)
    assert (node.of("anchor"), node.of("unit")) == (0.0, 1.0)
    node.tell_noise(1, offset=50.0)
    anchor, unit = node.of("anchor"), node.of("unit")
    assert anchor == pytest.approx(50.0, abs=0.5)
    assert unit == pytest.approx(1.0, rel=0.5)
    node.tell_noise(500, offset=500.0, scale=30.0)
    assert (node.of("anchor"), node.of("unit")) == (anchor, unit)


def test_the_window_is_restated_in_own_units() -> None:
    node = OneNode()
    node.tell_noise(BASELINE_FRAMES, offset=50.0)
    assert abs(np.median(node.window())) < 0.1
    node.tell(50.0)
    assert abs(node.window()[-1]) < 1.0


@pytest.mark.parametrize(
    ("scale", "offset"), [(2.0**-10, 0.0), (2.0**10, 0.0), (2.0**30, 2.0**33), (2.0**50, 0.0), (-1.0, 0.0)]
)
def test_neither_scale_nor_offset_of_a_metric_matters(scale: float, offset: float) -> None:
    """A metric in bytes is as good as one in per cent."""
    plain, other = OneNode(), OneNode()
    random = np.random.default_rng(4)
    for _ in range(RANGE_FRAMES + 60):
        value = random.normal()
        one, two = plain.tell(value), other.tell(value * scale + offset)
    assert two.z[0, 0] == pytest.approx(np.sign(scale) * one.z[0, 0], abs=1e-3)
    assert two.deviation[0] == pytest.approx(one.deviation[0], abs=0.5 if scale < 0 else 1e-3)


def test_a_constant_metric_takes_a_hundredth_of_its_size() -> None:
    node = OneNode("a", "zero")
    for _ in range(BASELINE_FRAMES + 5):
        seen = node.tell(200.0, 0.0)
    assert (node.of("anchor"), node.of("unit")) == (200.0, 2.0)
    assert node.of("unit", 1) == 1e-6
    assert seen.z.tolist() == [[0.0, 0.0]]
    assert node.tell(202.0, 0.0).z[0, 0] > 0.5
    assert node.tell(200.0, 1.0).z[0, 1] == Z_MAX, "where nothing ever was, something is far out"


def test_units_come_from_enough_values_or_later() -> None:
    node = OneNode()
    node.tell_noise(BASELINE_FRAMES - 1, offset=50.0)
    node.tell(50.0, after_s=3600.0)
    assert node.of("unit") == 1.0
    assert node.of("seen") == 1
    node.tell_noise(BASELINE_FRAMES - 2, offset=50.0)
    assert node.of("anchor") == 0.0
    node.tell_noise(1, offset=50.0)
    assert node.of("anchor") == pytest.approx(50.0, abs=1.0)


def test_a_metric_that_is_rarely_told_gets_its_units() -> None:
    node = OneNode("often", "seldom")
    for frame in range(BASELINE_FRAMES * 5 + 5):
        node.tell(1.0, 5.0 + frame % 7 if frame % 5 == 0 else NAN)
    assert WINDOW_FRAMES / 5 >= ANCHOR_FRAMES_MIN
    assert node.of("anchor", 1) != 0.0


def test_counters_become_rates_a_second() -> None:
    node = OneNode(counters=(True,), interval_s=2.0)
    node.tell(100.0)
    assert np.isnan(node.window()[-1])
    node.tell(110.0)
    assert node.window()[-1] == 5.0
    node.tell(110.0)
    assert node.window()[-1] == 0.0


def test_a_counter_that_falls_was_reset_and_that_is_missing() -> None:
    node = OneNode(counters=(True,))
    for value in (100.0, 103.0, 2.0, 6.0):
        node.tell(value)
    assert same(node.window()[-4:], [NAN, 3.0, NAN, 4.0])


def test_a_counters_rate_spans_the_frames_that_did_not_tell_it() -> None:
    node = OneNode("counter", "gauge", counters=(True, False))
    for value in (100.0, 101.0, NAN, NAN, NAN, 105.0, 106.0):
        node.tell(value, 1.0)
    assert same(node.window()[-7:], [NAN, 1.0, NAN, NAN, NAN, 1.0, 1.0])


def test_the_first_error_of_a_quiet_counter_is_no_storm() -> None:
    node = OneNode(counters=(True,))
    for _ in range(BASELINE_FRAMES + 10):
        node.tell(0.0)
    node.tell(1.0)
    assert node.of("unit") == pytest.approx(1 / WINDOW_FRAMES)
    assert np.mean(node.window()) == pytest.approx(1.0), "over the window it is one unit"


@pytest.mark.parametrize("interval_s", [0.25, 1.0, 60.0])
def test_the_interval_is_learned_from_the_first_frames(interval_s: float) -> None:
    node = OneNode(interval_s=interval_s)
    node.tell_noise(INTERVAL_FRAMES_MIN - 1)
    assert np.isnan(node.cohort.interval_s(0))
    node.tell_noise(1)
    assert node.cohort.interval_s(0) == interval_s


def test_a_changed_interval_is_learned_again() -> None:
    node = OneNode()
    node.tell_noise(INTERVAL_FRAMES_MIN)
    node.interval_s = 5.0
    node.tell_noise(2 * WINDOW_FRAMES)
    assert node.cohort.interval_s(0) == 5.0


def test_a_gap_becomes_missing_frames() -> None:
    node = OneNode()
    for value in range(10):
        node.tell(float(value))
    node.tell(10.0, after_s=4.0)
    assert same(node.window()[-6:], [8.0, 9.0, NAN, NAN, NAN, 10.0])
    assert same(node.times()[-5:], [10.0, NAN, NAN, NAN, 14.0])


def test_a_gap_longer_than_the_window_leaves_only_the_new_frame() -> None:
    node = OneNode()
    node.tell_noise(WINDOW_FRAMES)
    node.tell(1.0, after_s=1e6)
    assert np.isnan(node.times()[:-1]).all()


def test_frames_that_jitter_leave_no_gap() -> None:
    node = OneNode()
    random = np.random.default_rng(0)
    for _ in range(WINDOW_FRAMES + 5):
        node.tell(1.0, after_s=random.uniform(0.8, 1.3))
    assert not np.isnan(node.times()).any()


def late(node: OneNode, value: float, at: float) -> Observed | None:
    return node.cohort.insert(0, START + at, np.array([value]))


def test_a_late_frame_takes_its_place_in_a_gap() -> None:
    node = OneNode()
    for value in range(1, 9):
        node.tell(float(value))
    node.tell(11.0, after_s=3.0)
    assert late(node, 10.0, at=10.0) is not None
    assert same(node.window()[-5:], [7.0, 8.0, NAN, 10.0, 11.0])
    assert late(node, 9.0, at=9.0) is not None
    assert same(node.window()[-5:], [7.0, 8.0, 9.0, 10.0, 11.0])
    assert node.times()[-5:] == [7.0, 8.0, 9.0, 10.0, 11.0]


def test_a_late_frame_between_two_others_drops_the_oldest() -> None:
    node = OneNode()
    for value in range(1, WINDOW_FRAMES + 1):
        node.tell(float(value))
    assert late(node, 58.5, at=58.5) is not None
    assert node.times()[-4:] == [58.0, 58.5, 59.0, 60.0]
    assert node.times()[0] == 2.0


def test_a_late_frame_moves_no_average() -> None:
    node, other = OneNode(), OneNode()
    for one in (node, other):
        one.tell_noise(RANGE_FRAMES + 20)
        one.tell(0.0, after_s=2.0)
    assert late(node, 40.0, at=RANGE_FRAMES + 21) is not None
    assert 40.0 < max(node.window()) < 60.0, "it is in the window, in own units"
    for name, array in node.cohort.arrays().items():
        if name not in {"window", "times"}:
            assert array.tobytes() == other.cohort.arrays()[name].tobytes(), name
    following = [one.tell(0.5).z.tolist() for one in (node, other)]
    assert following[0] == following[1]


@pytest.mark.parametrize("behind", [2.001, 3.0, 1e9])
def test_beyond_the_grace_nothing_changes(behind: float) -> None:
    node = OneNode()
    node.tell_noise(100)
    before = {name: array.tobytes() for name, array in node.cohort.arrays().items()}
    assert late(node, 1.0, at=100.0 - behind) is None
    assert before == {name: array.tobytes() for name, array in node.cohort.arrays().items()}


def test_before_the_interval_is_known_every_late_frame_is_too_late() -> None:
    node = OneNode()
    node.tell_noise(INTERVAL_FRAMES_MIN - 1)
    assert late(node, 1.0, at=5.5) is None


def test_the_window_knows_the_times_that_it_holds() -> None:
    node = OneNode()
    node.tell_noise(WINDOW_FRAMES + 5)
    assert node.cohort.has_time(0, START + 6.0)
    assert not node.cohort.has_time(0, START + 5.0), "older than the window"
    assert not node.cohort.has_time(0, START + 6.5)


@pytest.mark.parametrize("value", [3e38, -3e38])
def test_the_largest_value_that_there_is_does_no_harm(value: float) -> None:
    node = OneNode("quiet", "counter_total", counters=(False, True))
    for frame in range(BASELINE_FRAMES + 5):
        node.tell(0.0, float(frame))
    for _ in range(3):
        seen = node.tell(value, abs(value), after_s=1e-3)
    assert np.isfinite(seen.features).all()
    assert OneNode().tell(value).z.tolist() == [[0.0]]


def test_an_outlier_neither_drags_the_centre_nor_widens_the_scale() -> None:
    def after(spoil: Callable[[OneNode], object]) -> tuple[float, float]:
        node = OneNode()
        node.tell_noise(RANGE_FRAMES, seed=5)
        spoil(node)
        return node.of("centre"), node.of("scale")

    calm = after(lambda node: node.tell(0.0))
    hit = after(lambda node: node.tell(1e12))
    assert hit == pytest.approx(calm, abs=0.03)


def test_a_lasting_fault_cannot_hide_itself() -> None:
    node = OneNode()
    node.tell_noise(RANGE_FRAMES * 3)
    faulty = node.tell_noise(RANGE_FRAMES * 4, offset=30.0)
    assert node.of("scale") <= SCALE_GROWTH_MAX
    assert faulty.z[0, 0] > 5.0


def test_a_drift_over_days_is_followed() -> None:
    node = OneNode(interval_s=60.0)
    random = np.random.default_rng(0)
    for frame in range(6000):
        seen = node.tell(random.normal() + frame / 1000)
    assert node.of("centre") > 2.0
    assert abs(seen.z[0, 0]) < 6.0


def test_z_says_nothing_before_there_is_a_baseline() -> None:
    node = OneNode()
    assert node.tell_noise(BASELINE_FRAMES).z.tolist() == [[0.0]]
    assert node.tell(1e9).z.tolist() == [[Z_MAX]]


def test_it_is_warm_once_chains_are_learned() -> None:
    node = OneNode()
    assert not node.tell_noise(RANGE_FRAMES).warm[0]
    assert node.tell_noise(1).warm[0]


def test_missing_values_leave_what_is_learned() -> None:
    node = OneNode()
    node.tell_noise(RANGE_FRAMES)
    before = [node.of(name) for name in ("centre", "scale", "low", "high", "seen")]
    assert np.isnan(node.tell(NAN).z[0, 0])
    assert [node.of(name) for name in ("centre", "scale", "low", "high", "seen")] == before


def test_silence_is_told_after_three_intervals_and_no_sooner() -> None:
    node = OneNode(interval_s=2.0)
    node.tell_noise(INTERVAL_FRAMES_MIN)
    assert not node.cohort.silent(node.ts + 6.0)[0]
    assert node.cohort.silent(node.ts + 6.1)[0]


def test_a_node_far_ahead_of_the_time_is_silent_too() -> None:
    node = OneNode()
    node.tell_noise(INTERVAL_FRAMES_MIN)
    assert not node.cohort.silent(node.ts - 600.0)[0]
    assert node.cohort.silent(node.ts - 600.1)[0]


def test_an_unknown_interval_is_not_called_silence() -> None:
    node = OneNode()
    node.tell(1.0)
    assert not node.cohort.silent(node.ts + 1e6)[0]


def test_a_forgotten_node_is_as_new() -> None:
    node = OneNode()
    fresh = {name: array.tobytes() for name, array in node.cohort.arrays().items()}
    node.tell_noise(RANGE_FRAMES + 50)
    node.cohort.forget(0)
    assert {name: array.tobytes() for name, array in node.cohort.arrays().items()} == fresh


def test_nodes_side_by_side_do_not_touch() -> None:
    random = np.random.default_rng(6)
    values = random.normal(size=(RANGE_FRAMES + 40, 7, 2))
    values[random.random(values.shape) < 0.02] = NAN
    cohort = Cohort(("a", "b_total"), (False, True))
    rows = cohort.add(7)
    for step, at in enumerate(values):
        together = cohort.advance(rows, np.full(7, START + step), at)
    for row in range(7):
        alone = Cohort(("a", "b_total"), (False, True))
        alone.add()
        for step, at in enumerate(values):
            seen = alone.advance(ROW, np.array([START + step]), at[[row]])
        assert seen.features.tobytes() == together.features[[row]].tobytes()
        for name, array in alone.arrays().items():
            assert array[0].tobytes() == cohort.arrays()[name][row].tobytes(), name


def test_a_cohort_goes_on_from_its_arrays() -> None:
    node = OneNode("a", "b_total", counters=(False, True))
    node.tell_noise(RANGE_FRAMES + 30)
    copies = {name: array.copy() for name, array in node.cohort.arrays().items()}
    copy = Cohort.from_arrays(("a", "b_total"), (False, True), copies)
    one = node.tell(1.0, 2.0)
    other = copy.advance(ROW, np.array([node.ts]), np.array([[1.0, 2.0]]))
    assert one.features.tobytes() == other.features.tobytes()
    assert copy.add(3).tolist() == [1, 2, 3]


def test_room_is_made_without_touching_who_is_there() -> None:
    node = OneNode()
    node.tell_noise(70)
    before = {name: array.tobytes() for name, array in node.cohort.arrays().items()}
    node.cohort.add(100)
    assert {name: array[:1].tobytes() for name, array in node.cohort.arrays().items()} == before
    assert node.cohort.size == 101


def test_a_node_goes_on_in_a_wider_cohort_with_what_it_learned() -> None:
    node = OneNode("b", "d")
    node.tell_noise(RANGE_FRAMES + 30)
    wider = Cohort(("a", "b", "c", "d"), (False,) * 4)
    wider.add(2)
    wider.take_over(1, node.cohort, 0)
    seen = wider.advance(np.array([1]), np.array([node.ts + 1]), np.array([[9.0, 0.5, 9.0, -0.5]]))
    stayed = node.tell(0.5, -0.5)
    assert seen.z[0, [1, 3]].tobytes() == stayed.z[0].tobytes()
    assert seen.warm[0]
    for name in ("chains.counts", "chains.surprises", "window", "centre"):
        assert wider.arrays()[name][1, [1, 3]].tobytes() == node.cohort.arrays()[name][0].tobytes(), name
    assert wider.arrays()["seen"][1].tolist() == [1, RANGE_FRAMES + 31, 1, RANGE_FRAMES + 31]


def test_own_unit_of_noise_is_near_its_standard_deviation() -> None:
    values = np.random.default_rng(0).normal(10.0, 3.0, 5000)
    anchor, unit = own_unit(values)
    assert anchor == pytest.approx(10.0, abs=0.2)
    assert unit == pytest.approx(3.0, rel=0.05)


def test_own_unit_of_a_metric_that_mostly_rests_is_not_nought() -> None:
    values = np.zeros(60)
    values[:5] = 100.0
    assert own_unit(values)[1] > 1.0
