"""The anomaly detector: what it notices, what it lets be, and for how long an incident lasts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.detector import Detector
from models.detector import constants as c
from models.detector.alarm import threshold

DT = 300.0
DAY = round(86400 / DT)
LEARNED = 3 * DAY  # of which the detector is told


def quiet(days: float, nodes: int = 2, metrics: int = 8, seed: int = 1, shared: float = 0.0) -> np.ndarray:
    """Telemetry in which nothing happens: a daily wave, noise of each metric, and what they share."""
    draw = np.random.default_rng(seed)
    frames = round(days * DAY)
    wave = np.sin(2 * np.pi * np.arange(frames) / DAY)[:, None, None]
    common = shared * draw.normal(size=(frames, nodes, 1))
    return (0.5 * wave + common + draw.normal(size=(frames, nodes, metrics))).astype(np.float32)


class Watch:
    """A detector that has been shown something, and what it said."""

    def __init__(self, nodes: int = 2, metrics: int = 8) -> None:
        self.detector = Detector(nodes, metrics, LEARNED * DT)
        self.told: dict[str, np.ndarray] = {}

    def show(self, values: np.ndarray, dt: float = DT) -> dict[str, np.ndarray]:
        rows = np.arange(values.shape[1])
        judged = [self.detector.advance(rows, np.full(len(rows), dt), frame) for frame in values]
        self.told = {name: np.stack([getattr(j, name) for j in judged]) for name in judged[0].__slots__}
        return self.told


@pytest.fixture(scope="module")
def trained() -> dict[str, np.ndarray]:
    """The state after five quiet days, two of them after the learning."""
    watch = Watch()
    watch.show(quiet(5))
    return watch.detector.state


@pytest.fixture
def watch(trained: dict[str, np.ndarray]) -> Watch:
    fresh = Watch()
    fresh.detector.state = {name: array.copy() for name, array in trained.items()}
    return fresh


def test_noise_alone_is_let_be_though_the_floor_of_learning_has_gone(watch: Watch) -> None:
    watch.detector.state["floor"][:] = 0.0
    told = watch.show(quiet(6, seed=2))
    assert told["opened"].sum() / 12 < 0.7  # a day
    assert (told["anomaly"] < 1.4).all()


def test_nothing_is_said_before_a_day_was_learned() -> None:
    told = Watch().show(quiet(1.5))
    assert np.isnan(told["anomaly"][: DAY - 1]).all()
    assert not np.isnan(told["anomaly"][DAY + 1 :]).any()
    assert not told["alarm"][:DAY].any()


def test_a_step_is_noticed_at_once_and_on_its_own_node_only(watch: Watch) -> None:
    values = quiet(0.5, seed=3)
    values[20:, 0, :2] += 10.0
    told = watch.show(values)
    assert told["opened"][20:23, 0].any()
    assert not told["alarm"][:, 1].any()


def test_a_step_that_lasts_is_one_incident_until_it_ends(watch: Watch) -> None:
    values = quiet(7, seed=4)
    values[DAY : 5 * DAY, 0, :2] += 10.0
    told = watch.show(values)
    assert told["opened"][DAY : 5 * DAY, 0].sum() + told["open"][DAY - 1, 0] == 1
    assert told["open"][DAY + 3 : 5 * DAY, 0].all()
    assert not told["open"][5 * DAY + round(6 * 3600 / DT) :, 0].any()


def test_what_comes_again_within_the_hour_after_recovery_is_the_same_incident(watch: Watch) -> None:
    values = quiet(1, seed=11)
    again = round(c.CALM_S / DT) - 3
    values[50:56, 0, :2] += 10.0
    values[56 + again : 60 + again, 0, :2] += 10.0
    told = watch.show(values)
    assert told["opened"][50:, 0].sum() == 1
    assert told["open"][52 : 60 + again + round(c.CALM_S / DT), 0].all()


def test_an_incident_holds_the_scale_by_which_recovery_is_judged_and_gives_it_back(watch: Watch) -> None:
    state = watch.detector.state
    calm = quiet(0.3, seed=12)
    watch.show(calm)
    before = state["scale"][0, 0]
    watch.show(calm[-1:] + np.float32(10.0) * np.eye(8, dtype=np.float32)[0])
    assert state["open"][0]
    held = state["anchor_scale"][0, 0]
    assert held == pytest.approx(before, rel=0.05)
    values = quiet(1, seed=13)
    values[:, 0, :2] += 10.0
    watch.show(values)
    assert state["anchor_scale"][0, 0] == held
    assert state["scale"][0, 0] > 1.3 * held
    told = watch.show(quiet(0.5, seed=14))
    assert told["closed"][:, 0].any()
    assert state["scale"][0, 0] < 1.15 * held


def test_the_alarm_channel_smooths_over_two_frames_however_far_apart(
    watch: Watch, trained: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = quiet(0.01, seed=15)[:1]
    frame[0, 0] += 20.0
    before = float(trained["quick"][0])
    watch.show(frame)
    smoothed = float(watch.detector.state["quick"][0])
    raw = Watch()
    raw.detector.state = {name: array.copy() for name, array in trained.items()}
    monkeypatch.setattr(c, "QUICK_FRAMES_MIN", 0.0)
    raw.show(frame)
    assert smoothed - before == pytest.approx((float(raw.detector.state["quick"][0]) - before) / 2, rel=1e-3)


def test_a_slow_ramp_of_some_metrics_against_the_others_opens_long_before_it_is_full() -> None:
    watch = Watch()
    watch.show(quiet(4, shared=3.0))
    values = quiet(3, seed=5, shared=3.0)
    ramp = np.minimum(np.arange(len(values)) / DAY, 1.0)
    values[:, 0, :2] += 30.0 * ramp[:, None]
    told = watch.show(values)
    assert told["opened"][: round(0.75 * DAY), 0].any()
    assert told["open"][DAY:, 0].all()


def test_what_lasts_for_more_than_a_week_is_the_new_normal(watch: Watch) -> None:
    values = quiet(8.5, seed=6)
    values[10:, 0, :2] += 10.0
    told = watch.show(values)
    lasted = np.flatnonzero(~told["open"][20:, 0])[0] + 10
    assert lasted * DT == pytest.approx(c.INCIDENT_S_MAX, rel=0.02)
    assert told["open"][-round(0.5 * DAY) :, 0].mean() < 0.2


def test_a_metric_that_never_moved_is_noticed_when_it_does() -> None:
    watch = Watch()
    learned = quiet(5)
    learned[:, :, 3] = 0.0
    watch.show(learned)
    values = quiet(0.2, seed=7)
    values[:, :, 3] = 0.0
    values[10:, 0, 3] = 40.0
    told = watch.show(values)
    assert told["anomaly"][10:13, 0].max() > 1.3 * told["anomaly"][10:13, 1].max()


def test_missing_values_are_neither_alarm_nor_lesson(watch: Watch) -> None:
    before = {name: watch.detector.state[name].copy() for name in ("centre", "scale", "unit", "last", "counts")}
    told = watch.show(np.full((DAY, 2, 8), np.nan, np.float32))
    assert not told["alarm"].any()
    for name, array in before.items():
        np.testing.assert_array_equal(watch.detector.state[name], array)


def test_a_metric_that_is_always_missing_changes_nothing_but_its_share() -> None:
    watch = Watch()
    values = quiet(5)
    values[:, :, 7] = np.nan
    told = watch.show(values)
    assert np.isfinite(told["score"]).all()
    assert np.isnan(watch.detector.state["centre"][:, 7]).all()


@pytest.mark.parametrize("metrics", [1, 2, c.RESIDUAL_METRICS_MAX + 1])
def test_any_number_of_metrics_will_do(metrics: int) -> None:
    watch = Watch(metrics=metrics)
    watch.detector.learn_s = DAY * DT
    watch.show(quiet(1.2, metrics=metrics))
    assert watch.detector.state["matrix"].shape[1] == (metrics if metrics <= c.RESIDUAL_METRICS_MAX else 0)
    values = quiet(0.1, metrics=metrics, seed=8)
    values[5:] += 20.0
    told = watch.show(values)
    assert np.isfinite(told["score"]).all()
    assert told["alarm"][5:9].any(axis=0).all()


def test_averages_mean_the_same_at_another_interval() -> None:
    """Ten frames of a minute or one of ten: the centre goes the same way."""
    slow, fast = Watch(), Watch()
    for watch in (slow, fast):
        watch.show(np.zeros((5 * DAY, 2, 8), np.float32))
    for _ in range(20):
        slow.show(np.ones((1, 2, 8), np.float32), dt=600.0)
        fast.show(np.ones((10, 2, 8), np.float32), dt=60.0)
    at = slow.detector.state["centre"][0, 0], fast.detector.state["centre"][0, 0]
    assert at[0] > 0.05
    assert at[0] == pytest.approx(at[1], rel=0.05)


def test_the_largest_peak_of_the_learning_is_a_floor_that_ends() -> None:
    watch = Watch()
    watch.show(quiet(3))
    state, rows = watch.detector.state, np.arange(2)
    state["floor"][:] = 100.0
    state["threshold"][:], state["median"][:] = 2.0, 1.0
    found = []
    for spans in (0.0, 0.5, 1.0, 4.0):
        state["age"][:] = LEARNED * DT * (1.0 + spans * c.FLOOR_SHARE)
        found.append(float(threshold(state, rows, LEARNED * DT)[0]))
    assert found[0] == 100.0
    assert found[1] > 90.0
    assert found[2] == pytest.approx(100.0 * np.exp(-1.0), rel=0.01)
    assert found[3] == 2.0


def test_the_threshold_never_sinks_into_the_noise() -> None:
    watch = Watch()
    state, rows = watch.detector.state, np.arange(2)
    state["age"][:], state["threshold"][:], state["median"][:] = 100 * 86400.0, 0.1, 4.0
    assert threshold(state, rows, LEARNED * DT) == pytest.approx(4.0 * c.NOISE_SHARE)


def test_a_forgotten_row_is_as_if_never_seen_and_leaves_the_others(watch: Watch) -> None:
    other = {name: array[1].copy() for name, array in watch.detector.state.items()}
    watch.detector.forget(0)
    fresh = Detector(1, 8).state
    for name, array in watch.detector.state.items():
        np.testing.assert_array_equal(array[0], fresh[name][0])
        np.testing.assert_array_equal(array[1], other[name])


def test_room_is_made_for_rows_that_know_nothing(watch: Watch) -> None:
    watch.detector.grow(3)
    fresh = Detector(1, 8).state
    for name, array in watch.detector.state.items():
        assert len(array) == 5
        np.testing.assert_array_equal(array[4], fresh[name][0])


def test_a_row_goes_on_among_more_metrics_with_what_it_has_learned(watch: Watch) -> None:
    wider = Detector(2, 10, LEARNED * DT)
    columns = [1, 2, 3, 4, 5, 6, 8, 9]
    wider.take_over(1, columns, watch.detector, 0)
    narrow = watch.detector.state
    for name, kind in (("unit", "metric"), ("counts", "metric"), ("high_of", "node"), ("age", "node")):
        at: Any = (1, columns) if kind == "metric" else 1
        np.testing.assert_array_equal(wider.state[name][at], narrow[name][0])
    assert wider.state["matrix"][1][np.ix_(columns, columns)].tolist() == narrow["matrix"][0].tolist()
    assert not wider.state["matrix"][1][0].any()
    values = quiet(0.2, nodes=2, metrics=10, seed=9)
    judged = [wider.advance(np.array([1]), np.array([DT]), frame[1:]) for frame in values]
    assert np.isfinite([j.score[0] for j in judged]).all()


def test_a_long_silence_is_no_jump(watch: Watch) -> None:
    shown = quiet(0.1, seed=10)
    watch.show(shown)
    judged = watch.detector.advance(np.arange(2), np.full(2, 3 * 86400.0), shown[-1] + np.float32(1.0))
    assert not judged.alarm.any()


def test_state_of_a_node_is_small() -> None:
    """32 metrics: within ten kilobytes, four of them the matrix."""
    assert sum(array[0].nbytes for array in Detector(1, 32).state.values()) < 10_000
