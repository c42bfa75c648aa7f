"""A user's past as a recording: frames of any time and schema on one grid, and what was told while a node was down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Failed
from connectors.history_recording import _PACK_FRAMES, STEPS_MAX, Gathering, HistoryRecording
from models.limits import METRICS_MAX
from models.telemetry import Schema

TWO = Schema(("a", "b_total"), (False, True))
START = 1_700_000_000.0


def gather(*frames: tuple[str, float, list[float]], schema: Schema = TWO) -> Gathering:
    gathered = Gathering()
    for node, at, values in frames:
        gathered.add(node, START + at, schema, np.array(values))
    return gathered


def told(recording: HistoryRecording, steps: int | None = None) -> np.ndarray:
    return np.concatenate(list(recording.blocks(recording.steps if steps is None else steps)))


def of(recording: HistoryRecording, node: str) -> np.ndarray:
    return told(recording)[:, recording.nodes.index(node)]


def regular(node: str, count: int, every: float = 10.0) -> list[tuple[str, float, list[float]]]:
    return [(node, every * k, [float(k), 100.0 + k]) for k in range(count)]


def test_frames_lie_on_a_grid_of_their_own_interval() -> None:
    recording = gather(*regular("x", 5), *regular("y", 5)).recording({})
    assert (recording.interval_s, recording.steps, recording.frames) == (10.0, 5, 10)
    assert set(recording.nodes) == {"x", "y"}
    assert recording.metrics == ("a", "b_total")
    assert recording.counters == (False, True)
    assert of(recording, "x")[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_a_counter_is_kept_as_what_it_grew_so_that_float32_can_tell() -> None:
    frames = [("x", 10.0 * k, [0.0, 1e15 + 3 * k]) for k in range(4)]
    recording = gather(*frames).recording({})
    assert np.diff(of(recording, "x")[:, 1]).tolist() == [3.0, 3.0, 3.0]


def test_a_counter_that_was_missing_at_first_begins_where_it_is_first_told_and_resets_show() -> None:
    values = [np.nan, 1e12, 1e12 + 5, 2.0]
    gathered = Gathering()
    for k, value in enumerate(values):
        gathered.add("x", START + k, TWO, np.array([0.0, value]))
    found = of(gathered.recording({}), "x")[:, 1]
    assert np.isnan(found[0])
    assert found[3] < found[2], "a counter that starts anew goes down"


def test_a_missing_step_is_missing_and_of_two_frames_the_later_counts() -> None:
    frames = [*regular("x", 3), ("x", 50.0, [5.0, 1.0]), ("x", 52.0, [6.0, 1.0])]
    found = of(gather(*frames).recording({}), "x")[:, 0]
    assert found[:3].tolist() == [0.0, 1.0, 2.0]
    assert np.isnan(found[3:5]).all()
    assert found[5] == 6.0


def test_frames_may_come_in_any_order() -> None:
    frames = [*regular("x", 30), *regular("y", 30, every=10.0)]
    shuffled = [frames[k] for k in np.random.default_rng(0).permutation(len(frames))]
    a, b = gather(*frames).recording({}), gather(*shuffled).recording({})
    gauges = [told(one)[:, :, 0] for one in (a, b)]
    assert a.nodes == b.nodes
    np.testing.assert_array_equal(*gauges)


def test_nodes_of_several_schemas_share_the_columns_of_all() -> None:
    gathered = gather(*regular("x", 3))
    gathered.add("y", START, Schema(("c", "a"), (False, False)), np.array([7.0, 8.0]))
    recording = gathered.recording({})
    assert recording.metrics == ("a", "b_total", "c")
    assert of(recording, "y")[0].tolist()[::2] == [8.0, 7.0]
    assert np.isnan(of(recording, "x")[:, 2]).all()


def test_what_was_told_while_a_node_was_down_is_left_out_and_its_failure_stands_where_it_fell_silent() -> None:
    recording = gather(*regular("x", 10), *regular("y", 10)).recording({"x": ((START + 25.0, START + 60.0),)})
    silent = np.isnan(of(recording, "x")).all(axis=1)
    assert silent.tolist() == [False] * 3 + [True] * 3 + [False] * 4
    [(row, step)] = recording.failures()
    assert (recording.nodes[row], step) == ("x", 3)
    assert not np.isnan(of(recording, "y")).any()


def test_a_node_that_never_came_back_is_silent_to_the_end() -> None:
    recording = gather(*regular("x", 10), *regular("y", 10)).recording({"x": ((START + 30.0, np.inf),)})
    assert np.isnan(of(recording, "x")[3:]).all()
    assert not np.isnan(of(recording, "x")[:3]).any()


def test_failures_outside_the_frames_are_none() -> None:
    spans = ((START - 500.0, START - 400.0), (START + 9_000.0, START + 9_001.0))
    assert gather(*regular("x", 10)).recording({"x": spans}).failures() == []


def test_nodes_that_failed_come_first_and_the_rest_in_an_order_of_their_names_alone() -> None:
    names = [f"n{k}" for k in range(8)]
    frames = [frame for name in names for frame in regular(name, 2)]
    recording = gather(*frames).recording({"n3": ((START, START),), "n6": ((START, START),)})
    assert set(recording.nodes[:2]) == {"n3", "n6"}
    fewer = gather(*[f for f in frames if f[0] != "n5"]).recording({"n3": ((START, START),), "n6": ((START, START),)})
    assert [name for name in recording.nodes if name != "n5"] == list(fewer.nodes)


def test_the_interval_is_that_of_most_nodes_whoever_is_slower() -> None:
    frames = [*regular("x", 9), *regular("y", 9), *regular("slow", 3, every=40.0)]
    recording = gather(*frames).recording({})
    assert recording.interval_s == 10.0
    assert np.isnan(of(recording, "slow")[:, 0]).sum() == 6


@given(st.integers(1, 400), st.integers(1, 500))
def test_blocks_cover_just_the_steps_that_are_asked_for(frames: int, steps: int) -> None:
    recording = gather(*regular("x", frames + 1)).recording({})
    found = told(recording, steps)
    assert found.shape == (steps, 1, 2)
    assert np.isnan(found[frames + 1 :]).all()
    assert not np.isnan(found[: min(steps, frames + 1)]).any()


def test_many_frames_are_packed_on_the_way_and_none_is_lost() -> None:
    count = 2 * _PACK_FRAMES + 17
    gathered = gather(*regular("x", count))
    assert len(gathered) == count
    assert of(gathered.recording({}), "x")[:, 0].tolist() == [float(k) for k in range(count)]


def wide() -> Gathering:
    names = tuple(f"m{k}" for k in range(METRICS_MAX))
    gathered = gather(*regular("x", 3))
    gathered.add("y", START, Schema(names, (False,) * len(names)), np.zeros(len(names)))
    return gathered


@pytest.mark.parametrize(
    ("gathered", "message"),
    [
        (Gathering(), "no frames to learn from"),
        (gather(("x", 0.0, [1.0, 1.0]), ("y", 5.0, [1.0, 1.0])), "no interval to be seen"),
        (gather(*regular("x", 9, 1.0), ("x", 9.0 + 2 * STEPS_MAX, [1.0, 1.0])), "was a clock wrong"),
        (wide(), f"{METRICS_MAX + 2} metrics together"),
    ],
)
def test_what_no_recording_can_be_made_of_is_told(gathered: Any, message: str) -> None:
    with pytest.raises(Failed, match=message):
        gathered.recording({})
