"""A row of the detector depends on its own frames alone: not on the rows beside it, nor on where it lies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detector import Detector

FRAMES, LEARN_S, DT = 120, 45 * 60.0, 60.0


def telemetry(seed: int, nodes: int, metrics: int) -> np.ndarray:
    """Noise with steps, constants and holes; ``(frames, nodes, metrics)``."""
    draw = np.random.default_rng(seed)
    values = draw.normal(size=(FRAMES, nodes, metrics)).astype(np.float32)
    values[FRAMES // 2 :, : nodes // 2] += 20.0
    values[:, :, 0] = 3.0
    values[draw.random(values.shape) < 0.05] = np.nan
    return values


def told(detector: Detector, rows: np.ndarray, values: np.ndarray) -> list[list[bytes]]:
    judged = detector.advance(rows, np.full(len(rows), DT), values)
    return [[getattr(judged, name)[at].tobytes() for name in judged.__slots__] for at in range(len(rows))]


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**16), nodes=st.integers(2, 9), metrics=st.sampled_from([1, 3, 7, 32]), data=st.data())
def test_batches_do_not_matter(seed: int, nodes: int, metrics: int, data: st.DataObject) -> None:
    """All nodes at once, or cut into batches in any order: the same bytes, told and kept."""
    values = telemetry(seed, nodes, metrics)
    whole, cut = Detector(nodes, metrics, LEARN_S), Detector(nodes, metrics, LEARN_S)
    order = np.array(data.draw(st.permutations(range(nodes))))
    sizes = data.draw(st.lists(st.integers(1, nodes), min_size=1, max_size=nodes))
    bounds = [0, *[b for b in np.cumsum(sizes).tolist() if b < nodes], nodes]
    for frame in values:
        at_once = told(whole, np.arange(nodes), frame)
        for start, end in itertools.pairwise(bounds):
            rows = order[start:end]
            for row, found in zip(rows, told(cut, rows, frame[rows]), strict=True):
                assert found == at_once[row]
    for name, array in whole.state.items():
        assert array.tobytes() == cut.state[name].tobytes(), name
    assert whole.state["ready"].all()


@pytest.mark.parametrize("metrics", [1, 5])
def test_a_restart_does_not_matter(metrics: int) -> None:
    """What is kept is all that is needed: a detector made from the arrays of another goes on as that one would."""
    values = telemetry(7, 4, metrics)
    on = Detector(4, metrics, LEARN_S)
    rows = np.arange(4)
    for frame in values[:100]:
        told(on, rows, frame)
    again = Detector.from_arrays(metrics, {name: array.copy() for name, array in on.state.items()}, LEARN_S)
    for frame in values[100:]:
        assert told(on, rows, frame) == told(again, rows, frame)
