"""From causes to samples: offsets, drift, noise, rounding, warmth, counting and loss."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.fleet import INDEX, METRICS, NAMES, Fleet, FleetRecording, FleetSpec
from experiments.fleet.latents import Latents
from experiments.fleet.metrics import COUNTERS, EVENTS, FLOWS, GAUGES
from experiments.fleet.observation import Observer
from experiments.fleet.signatures import Levels
from experiments.fleet.spec import FAULT_CLASSES

GPU = [column for column, metric in enumerate(METRICS) if metric.from_gpu]
PLAIN = FleetSpec(nodes=6, seed=1, fault_rate=0, look_alike_rate=0, missing=0, job_run_mean=1e9, checkpoint_every=10**6)


def observed(latents: Latents, missing: float = 0.0, interval_s: float = 1.0) -> np.ndarray:  # type: ignore[type-arg]
    spec = FleetSpec(nodes=latents.load.shape[1], missing=missing, interval_s=interval_s)
    values = np.empty((*latents.load.shape, len(METRICS)), np.float32)
    Observer(spec, 0, spec.nodes, np.random.default_rng(0)).chunk(latents, values)
    return values


def level(latents: Latents, name: str) -> np.ndarray:  # type: ignore[type-arg]
    values: np.ndarray = Levels(latents, latents.load).values[INDEX[name]]  # type: ignore[type-arg]
    return values


def test_kinds_lie_side_by_side() -> None:
    assert not any(metric.is_counter for metric in METRICS[GAUGES])
    assert all(metric.is_counter for metric in METRICS[COUNTERS])
    assert all(metric.quantum == 0 for metric in METRICS[FLOWS])
    assert all(metric.quantum == 1 for metric in METRICS[EVENTS])


def test_a_calm_busy_node_is_at_its_busy_level_and_an_idle_one_at_its_idle_level() -> None:
    latents = Latents.calm(3, 2)
    latents.load[:, 1] = 0
    for metric in METRICS:
        values = level(latents, metric.name)
        assert values[:, 0] == pytest.approx(metric.busy), metric.name
        assert values[:, 1] == pytest.approx(metric.idle, nan_ok=True), metric.name


@pytest.mark.parametrize("kind", range(len(FAULT_CLASSES)), ids=FAULT_CLASSES)
def test_each_fault_class_moves_metrics_and_worse_moves_them_further(kind: int) -> None:
    calm, some, more = (Latents.calm(1, 1) for _ in range(3))
    some.severity[kind], more.severity[kind] = 0.4, 1.0
    base, near, far = (Levels(latents, latents.load).values[:, 0, 0] for latents in (calm, some, more))
    moved = np.flatnonzero(far != base)
    assert len(moved) >= 2
    assert (np.abs(far - base)[moved] >= np.abs(near - base)[moved]).all()
    assert (far[[column for column, metric in enumerate(METRICS) if metric.unit != "celsius"]] >= 0).all()


def test_no_two_fault_classes_look_the_same() -> None:
    signatures = []
    for kind in range(len(FAULT_CLASSES)):
        latents = Latents.calm(1, 1)
        latents.severity[kind] = 1
        change = Levels(latents, latents.load).values - Levels(Latents.calm(1, 1), latents.load).values
        signatures.append(tuple(np.sign(change).astype(int).ravel().tolist()))
    assert len(set(signatures)) == len(FAULT_CLASSES)


def test_even_a_grotesque_fault_keeps_levels_within_nature() -> None:
    latents = Latents.calm(1, 1)
    latents.severity[:] = 8
    values = Levels(latents, latents.load).values
    for name in (
        "node_memory_MemAvailable_bytes",
        "DCGM_FI_DEV_SM_CLOCK",
        "DCGM_FI_DEV_POWER_USAGE",
        "node_hwmon_fan_rpm",
    ):
        assert values[INDEX[name], 0, 0] >= 0


def test_a_hot_room_warms_many_metrics_but_counts_no_errors() -> None:
    latents = Latents.calm(1, 1)
    latents.ambient[:] = 5
    change = Levels(latents, latents.load).values - Levels(Latents.calm(1, 1), latents.load).values
    assert change[INDEX["node_hwmon_temp_celsius"], 0, 0] == pytest.approx(5)
    assert change[INDEX["node_hwmon_fan_rpm"], 0, 0] > 0
    assert not change[EVENTS].any()


def test_nodes_differ_by_offsets_that_stay() -> None:
    values = Fleet(PLAIN).block(400)[..., INDEX["DCGM_FI_DEV_POWER_USAGE"]]
    early, late = values[:200].mean(axis=0), values[200:].mean(axis=0)
    assert np.std(early) > 5
    assert np.corrcoef(early, late)[0, 1] > 0.9


def test_levels_drift_slowly() -> None:
    spec = FleetSpec(**{name: getattr(PLAIN, name) for name in PLAIN.__slots__} | {"nodes": 40})
    power = Fleet(spec).block(64 * 60)[..., INDEX["DCGM_FI_DEV_POWER_USAGE"]].reshape(60, 64, 40).mean(axis=1)
    near, far = np.abs(power[1:] - power[:-1]).mean(), np.abs(power[50:] - power[:10]).mean()
    noise = METRICS[INDEX["DCGM_FI_DEV_POWER_USAGE"]].noise
    assert far > 2 * near
    assert 0.3 * noise < far < 3 * noise


def test_noise_remembers_the_last_interval_also_across_chunks() -> None:
    spec = FleetSpec(**{name: getattr(PLAIN, name) for name in PLAIN.__slots__} | {"nodes": 300})
    volts = Fleet(spec).block(130)[..., INDEX["node_hwmon_in_volts"]]
    centred = volts - volts.mean(axis=0)
    for step in (30, 63, 64, 127):
        assert np.corrcoef(centred[step], centred[step + 1])[0, 1] == pytest.approx(0.5, abs=0.25), step


def test_exporters_round() -> None:
    values = Fleet(PLAIN).block(50)
    for column, metric in enumerate(METRICS):
        if metric.quantum:
            steps = values[..., column] / metric.quantum
            assert np.array_equal(steps, np.rint(steps)), metric.name


def test_metal_cools_slowly() -> None:
    latents = Latents.calm(60, 2)
    latents.load[10:] = 0
    temperature = observed(latents)[..., INDEX["DCGM_FI_DEV_GPU_TEMP"]].mean(axis=1)
    assert temperature[11] > temperature[59] + 20
    assert temperature[15] > temperature[30] > temperature[50]


def test_steady_counters_grow_with_the_interval() -> None:
    column = INDEX["node_network_transmit_bytes_total"]
    grown = [
        np.diff(observed(Latents.calm(30, 2), interval_s=s)[..., column].astype(np.float64), axis=0).mean()
        for s in (1, 10)
    ]
    assert grown[1] == pytest.approx(10 * grown[0], rel=0.05)


def test_a_restart_puts_a_nodes_counters_to_nought_and_leaves_the_others() -> None:
    latents = Latents.calm(30, 3)
    latents.restarted[12, 1] = True
    counters = observed(latents)[..., COUNTERS]
    assert not counters[12, 1].any()
    assert (np.diff(counters[12:, 1], axis=0) >= 0).all()
    assert (np.diff(counters[:, [0, 2]], axis=0) >= 0).all()
    assert counters[11, 1].sum() > 0


def test_caused_events_are_counted_on_their_node() -> None:
    latents = Latents.calm(64, 3)
    latents.chatter[0, :, 1] = 2.0
    grown = np.ptp(observed(latents)[..., INDEX["DCGM_FI_DEV_ECC_SBE_VOL_TOTAL"]], axis=0)
    assert grown[1] == pytest.approx(2.0 * 63, rel=0.3)
    assert grown[[0, 2]].max() < 10


def test_a_node_that_is_down_shows_nothing_and_a_lost_gpu_shows_the_rest() -> None:
    latents = Latents.calm(20, 2)
    latents.loss[5:, 0] = 1
    latents.gpu_loss[5:, 1] = 1
    values = observed(latents)
    assert np.isnan(values[5:, 0]).all()
    assert np.isnan(values[5:, 1][:, GPU]).all()
    others = np.setdiff1d(np.arange(len(METRICS)), GPU)
    assert not np.isnan(values[5:, 1][:, others]).any()
    assert not np.isnan(values[:5]).any()


def test_samples_are_lost_at_the_rate_asked_for() -> None:
    values = observed(Latents.calm(400, 50), missing=0.04)
    whole = np.isnan(values).all(axis=-1)
    assert whole.mean() == pytest.approx(0.04, abs=0.01)
    single = np.isnan(values[~whole][:, INDEX["node_load1"]])
    assert single.mean() == pytest.approx(0.01, abs=0.005)


def test_a_recording_tells_failures_only_when_they_have_happened() -> None:
    spec = FleetSpec(nodes=30, seed=2, fault_rate=1 / 200, look_alike_rate=0)
    recording = FleetRecording(spec)
    told = 0
    for block in recording.blocks(600):
        told += len(block)
        assert all(step < told for _, step in recording.failures())
    assert told == 600
    assert len(recording.failures()) > 20
    values = Fleet(spec).block(600)
    assert all(np.isnan(values[step, row]).all() for row, step in recording.failures())
    assert recording.metrics == NAMES
