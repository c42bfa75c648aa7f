"""From recordings to labelled rows: no node and no time is in two parts, and a label is what came after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from experiments.fleet import FleetRecording, FleetSpec
from models.cohort import Cohort
from models.features import FEATURE_NAMES
from models.limits import RANGE_FRAMES
from models.training import examples as training
from models.training.examples import Examples, FeaturesAlone, Samples, examples
from models.training.recording import PARTS, Part, require_apart, split

HORIZON, GAP = 20, 80


@dataclass
class Noise:
    """Nodes that show noise and fail when they are told to, silent for ten steps from then on."""

    nodes: int
    failing: Sequence[tuple[int, int]] = ()
    metrics: tuple[str, ...] = ("gpu.temp", "errors_total")
    counters: tuple[bool, ...] = (False, True)
    interval_s: float = 1.0
    told: int = field(default=0, init=False)

    def blocks(self, steps: int) -> Iterator[NDArray[np.float32]]:
        rng = np.random.default_rng(0)
        while self.told < steps:
            block = rng.standard_normal((50, self.nodes, 2)).astype(np.float32)
            block[..., 1] = np.arange(self.told, self.told + 50)[:, None]
            for node, at in self.failing:
                block[max(0, at - self.told) : max(0, at + 10 - self.told), node] = np.nan
            self.told += 50
            yield block

    def failures(self) -> list[tuple[int, int]]:
        return [(node, at) for node, at in self.failing if at < self.told]


def watch(recording: Noise, every: dict[str, int] | None = None) -> dict[str, Examples]:
    plan = split((2, 1, 1, 1), (400, 320, 320, 320), GAP)
    return dict(examples(recording, plan, HORIZON, GAP, every or {}))


@given(
    nodes=st.lists(st.integers(1, 9), min_size=4, max_size=4),
    steps=st.lists(st.integers(1, 99), min_size=4, max_size=4),
    gap=st.integers(0, 30),
)
def test_a_split_shares_neither_nodes_nor_times(nodes: list[int], steps: list[int], gap: int) -> None:
    parts = split(nodes, steps, gap)
    require_apart(parts, gap)
    assert tuple(part.name for part in parts) == PARTS
    assert np.concatenate([part.nodes for part in parts]).tolist() == list(range(sum(nodes)))
    assert [part.end - part.first for part in parts] == steps


def test_a_node_in_two_parts_is_refused() -> None:
    parts = (Part("train", np.array([0, 1, 2]), 0, 10), Part("test", np.array([2, 3]), 50, 60))
    with pytest.raises(ValueError, match=r"train and test share the nodes \[2\]"):
        require_apart(parts, 5)


@pytest.mark.parametrize("first", [5, 10, 14])
def test_a_time_in_two_parts_is_refused(first: int) -> None:
    parts = (Part("train", np.array([0]), 0, 10), Part("test", np.array([1]), first, 60))
    with pytest.raises(ValueError, match=f"train ends at step 10 and test begins at {first}: 5 steps must lie between"):
        require_apart(parts, 5)


def test_a_gap_that_a_label_reaches_over_is_refused() -> None:
    with pytest.raises(ValueError, match="look into the next"):
        next(examples(Noise(5), split((2, 1, 1, 1), (400, 320, 320, 320), 10), HORIZON, 10, {}))


def test_examples_refuse_parts_that_overlap() -> None:
    parts = (Part("train", np.array([0]), 0, 300), Part("test", np.array([0]), 500, 800))
    with pytest.raises(ValueError, match="share the nodes"):
        next(examples(Noise(5), parts, HORIZON, GAP, {}))


def test_a_row_is_positive_when_its_node_fails_within_the_horizon() -> None:
    held = watch(Noise(5, failing=[(1, 350)]))["train"]
    positive = {(int(n), int(s)) for n, s, f in zip(held.node, held.step, held.failed, strict=True) if f}
    assert positive == {(1, step) for step in range(350 - HORIZON, 350)}
    assert held.failures == ((1, 350),)


def test_a_failure_after_the_end_of_a_part_still_labels_its_last_rows() -> None:
    held = watch(Noise(5, failing=[(0, 400 + HORIZON - 3)]))["train"]
    assert sorted(held.step[held.failed].tolist()) == [397, 398, 399]
    assert held.failures == ()


def test_the_failures_of_other_parts_label_nothing() -> None:
    held = watch(Noise(5, failing=[(2, 350), (0, 700)]))
    assert not held["train"].failed.any()
    assert not held["validation"].failed.any()


def test_rows_are_warm_nodes_of_the_part_in_its_time() -> None:
    held = watch(Noise(5, failing=[(1, 350)]))
    plan = split((2, 1, 1, 1), (400, 320, 320, 320), GAP)
    assert list(held) == list(PARTS)
    for part in plan:
        rows = held[part.name]
        assert rows.features.shape == (len(rows.node), len(FEATURE_NAMES))
        assert np.isfinite(rows.features).all()
        assert set(rows.node.tolist()) == set(part.nodes.tolist())
        assert rows.step.min() >= part.first + RANGE_FRAMES
        assert rows.step.max() == part.end - 1
    silent = (held["train"].node == 1) & (held["train"].step >= 350) & (held["train"].step < 360)
    assert not silent.any()


def test_taking_each_third_step_takes_rows_of_the_whole() -> None:
    whole, third = watch(Noise(5))["train"], watch(Noise(5), {"train": 3})["train"]
    assert len(third.node) == pytest.approx(len(whole.node) / 3, abs=2)
    place = {(int(n), int(s)): row for row, (n, s) in enumerate(zip(whole.node, whole.step, strict=True))}
    rows = [place[int(n), int(s)] for n, s in zip(third.node, third.step, strict=True)]
    assert whole.features[rows].tobytes() == third.features.tobytes()


@dataclass
class Telling(Noise):
    """Noise that knows since when each failure was developing."""

    def onsets(self) -> dict[tuple[int, int], int]:
        return {(node, at): at - 6 for node, at in self.failures()}


def test_where_the_first_sign_is_known_it_begins_what_is_fitted() -> None:
    told, untold = watch(Telling(5, failing=[(1, 350)]))["train"], watch(Noise(5, failing=[(1, 350)]))["train"]
    assert set(told.step[told.target].tolist()) == set(range(344, 350))
    assert told.failed.tolist() == untold.failed.tolist() == untold.target.tolist()


@pytest.mark.parametrize(("kind", "span"), [(Telling, 6), (Noise, HORIZON)])
def test_thinning_the_train_part_keeps_what_tells_of_a_failure(kind: type[Noise], span: int) -> None:
    held = watch(kind(5, failing=[(1, 350)]), {"train": 7, "calibration": 7})
    train = held["train"]
    rows = set(zip(train.node.tolist(), train.step.tolist(), strict=True))
    assert {(1, step) for step in range(350 - span, 350)} <= rows
    others = [(n, s) for n, s in rows if not (n == 1 and 350 - span <= s < 350)]
    assert all((n + s) % 7 == 0 for n, s in others)
    assert (held["calibration"].node + held["calibration"].step).astype(int).tolist() == [
        one for one in (held["calibration"].node + held["calibration"].step).tolist() if one % 7 == 0
    ]


def test_failures_soon_after_a_part_are_known_apart_from_its_own() -> None:
    held = watch(Noise(5, failing=[(0, 400 + HORIZON - 3), (1, 399)]))["train"]
    assert (held.failures, held.later) == (((1, 399),), ((0, 400 + HORIZON - 3),))


def test_a_fleet_is_a_recording() -> None:
    spec = FleetSpec(nodes=5, seed=2, fault_rate=1 / 200, look_alike_rate=0, repair_median=20)
    recording = FleetRecording(spec)
    held = dict(examples(recording, split((2, 1, 1, 1), (400, 320, 320, 320), GAP), HORIZON, GAP, {}))
    assert any(rows.failed.any() for rows in held.values())
    for node, step in recording.failures():
        for rows in held.values():
            before = (rows.node == node) & (rows.step >= step - HORIZON) & (rows.step < step)
            assert rows.failed[before].all()


def test_without_its_detector_a_cohort_shows_the_same_features() -> None:
    part = Part("train", np.arange(3), 0, 2 * RANGE_FRAMES)
    plain, whole = (
        [shown for _, _, shown in training.watch(recording, part, Samples(recording, part.end), kind)]
        for kind, recording in ((FeaturesAlone, Noise(3, [(1, 300)])), (Cohort, Noise(3, [(1, 300)])))
    )
    assert all(one.judged is None for one in plain)
    assert whole[-1].judged is not None
    assert [one.features.tobytes() for one in plain] == [one.features.tobytes() for one in whole]


def test_what_a_knower_believes_comes_before_whether_a_fault_was_developing() -> None:
    nothing, one = np.zeros((2, 0), np.float32), np.array([True, False])
    step = np.arange(2)
    rows = Examples(nothing, one, step, step, (), developing=~one)
    assert rows.target.tolist() == [False, True]
    believed = np.float32([0.25, 0.5])
    assert Examples(nothing, one, step, step, (), developing=~one, believed=believed).target.tolist() == [0.25, 0.5]
