"""The fleet's bytes depend on its spec alone, and its counters behave as counters do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.fleet import FAULT_CLASSES, METRICS, FaultClass, Fleet, FleetSpec, ScriptedFault, scripted_fleet
from experiments.fleet.fleet import CHUNK_STEPS
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


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), nodes=st.integers(2, 300), shards=st.integers(1, 4))
def test_shards_are_parts_of_the_whole_fleet(seed: int, nodes: int, shards: int) -> None:
    spec = busy_spec(seed, nodes)
    whole = Fleet(spec)
    expected = whole.block(80)
    parts = [Fleet(spec, (number, shards)) for number in range(shards)]
    assert sum((part.names for part in parts), ()) == spec.names
    assert np.concatenate([part.block(80) for part in parts], axis=1).tobytes() == expected.tobytes()
    assert sorted(fault.node for part in parts for fault in part.faults) == sorted(f.node for f in whole.faults)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 2**32), first=st.integers(0, 250), length=st.integers(1, 50))
def test_what_is_told_with_the_truth_are_the_very_samples(seed: int, first: int, length: int) -> None:
    spec = busy_spec(seed, 300)
    nodes = slice(first, first + length)
    fleet = Fleet(spec)
    samples = Fleet(spec).block(2 * CHUNK_STEPS)
    for number in range(2):
        rows = []
        for told in fleet.told(nodes):
            covered = slice(told.row, told.row + told.values.shape[1])
            steps = slice(told.first, told.first + CHUNK_STEPS)
            assert told.values.tobytes() == samples[steps, covered].tobytes()
            rows += range(covered.start, covered.stop)
        assert set(range(nodes.start, nodes.stop)) <= set(rows)
        assert fleet.step == (number + 1) * CHUNK_STEPS


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    onset=st.integers(1, 150),
    lead=st.integers(1, 100),
    fault_class=st.sampled_from(FAULT_CLASSES),
)
def test_before_its_onset_no_sample_tells_of_a_fault(seed: int, onset: int, lead: int, fault_class: FaultClass) -> None:
    def samples(at_step: int) -> bytes:
        script = ScriptedFault("n01", fault_class, at_step, lead)
        spec = replace(scripted_fleet(5, seed, script), look_alike_rate=1 / 200)
        return Fleet(spec).block(onset).tobytes()

    assert samples(onset) == samples(10**9)
