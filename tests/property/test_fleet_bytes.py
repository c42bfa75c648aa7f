"""The fleet's bytes depend on its spec alone, and its counters behave as counters do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.fleet import METRICS, Fleet, FleetSpec
from experiments.fleet.metrics import COUNTERS

STEPS = 300


def busy_spec(seed: int, nodes: int) -> FleetSpec:
    return FleetSpec(nodes=nodes, seed=seed, fault_rate=1 / 500, look_alike_rate=1 / 500, repair_median=30)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32), nodes=st.integers(1, 9), cuts=st.lists(st.integers(0, STEPS), max_size=6))
def test_however_the_steps_are_asked_for_the_bytes_are_the_same(seed: int, nodes: int, cuts: list[int]) -> None:
    spec = busy_spec(seed, nodes)
    whole = Fleet(spec)
    expected = whole.block(STEPS)
    parts = Fleet(spec)
    bounds = [0, *sorted(cuts), STEPS]
    blocks = [parts.block(high - low) for low, high in pairwise(bounds)]
    assert np.concatenate(blocks).tobytes() == expected.tobytes()
    assert parts.faults == whole.faults
    assert parts.look_alikes == whole.look_alikes


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_a_counter_falls_only_when_its_node_was_dark_or_restarted(seed: int) -> None:
    fleet = Fleet(busy_spec(seed, 6))
    values = fleet.block(STEPS)[..., COUNTERS]
    restarts = {(fault.node, fault.back) for fault in fleet.faults}
    restarts |= {
        (benign.node, benign.end) for benign in fleet.look_alikes if benign.kind in ("driver_update", "maintenance")
    }
    for row, name in enumerate(fleet.names):
        own = sorted({0, STEPS, *(step for node, step in restarts if node == name and step < STEPS)})
        for low, high in pairwise(own):
            for column in values[low:high, row].T:
                arrived = column[~np.isnan(column)]
                assert np.all(np.diff(arrived) >= 0), (name, METRICS[COUNTERS][0].name, low, high)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_values_are_missing_or_finite_and_within_nature(seed: int) -> None:
    values = Fleet(busy_spec(seed, 4)).block(STEPS)
    assert values.dtype == np.float32
    assert not np.isinf(values).any()
    for column, metric in enumerate(METRICS):
        arrived = values[..., column][~np.isnan(values[..., column])]
        if metric.unit == "percent":
            assert arrived.max() <= 100
        if metric.unit != "celsius":
            assert arrived.min() >= 0, metric.name
