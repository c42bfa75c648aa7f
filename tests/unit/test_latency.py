"""Percentiles of live latencies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.observer.latency import LIVE_S_MAX, SAMPLES_MAX, Latencies


def test_nearest_rank() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 101):
        latencies.note(1_000.0, 1_000.0 + milliseconds / 1000)
    assert latencies.summary() == {"p50": 50.0, "p99": 99.0}


def test_nothing_measured_is_none() -> None:
    assert Latencies().summary() == {"p50": None, "p99": None}


@pytest.mark.parametrize(("source", "counted"), [(1_000.0, True), (1_000.0 - LIVE_S_MAX, False), (1_002.0, False)])
def test_the_source_times_of_a_replay_are_no_latency(source: float, counted: bool) -> None:
    latencies = Latencies()
    assert (latencies.note(source, 1_000.0) is not None) == counted
    assert len(latencies) == counted


def test_a_clock_of_whole_milliseconds_gives_no_negative_latency() -> None:
    assert Latencies().note(1_000.0004, 1_000.0) == 0.0


def test_the_past_is_bounded() -> None:
    latencies = Latencies()
    for _ in range(SAMPLES_MAX + 10):
        latencies.note(0.0, 0.001)
    assert len(latencies) == SAMPLES_MAX


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=200))
def test_percentiles_are_samples_and_in_order(samples: list[float]) -> None:
    latencies = Latencies()
    noted = [latencies.note(0.0, sample) for sample in samples]
    summary = latencies.summary()
    assert summary["p50"] is not None
    assert summary["p99"] is not None
    assert summary["p50"] <= summary["p99"] <= round(max(one for one in noted if one is not None), 3)
