"""This machine as a source: what it reports, what it leaves out, and when."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping

import pytest

from connectors.codecs.frames import FrameDecoder, encode_json_frame
from connectors.sources import host
from connectors.sources.host import Host, gpu_probe, gpu_probes
from models.records import Frame
from models.telemetry import Row


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def taken(moment: object) -> Frame:
    (frame,) = moment.take()  # type: ignore[attr-defined]
    assert isinstance(frame, Frame)
    return frame


def test_this_very_machine_reports_what_every_machine_has() -> None:
    clock = Clock()
    source = Host(clock, node="here")
    moments = source.live(clock.now)
    frame = taken(next(moments))
    wanted = {"node_cpu_user_percent", "node_load1", "node_memory_MemAvailable_bytes", "node_context_switches_total"}
    assert wanted <= set(frame.metrics)
    assert len(frame.metrics) >= 20
    assert all(math.isfinite(value) for value in frame.metrics.values())
    assert (frame.node, frame.ts, frame.seq) == ("here", 1_000.0, 0)
    assert taken(next(moments)).seq == 1


def test_its_frames_can_be_read_by_the_worker() -> None:
    frame = taken(next(Host(Clock()).live(1_000.0)))
    row = FrameDecoder({}).decode(encode_json_frame(frame))
    assert isinstance(row, Row)
    assert set(row.schema.metrics) == set(frame.metrics)
    counters = {n for n, counter in zip(row.schema.metrics, row.schema.counters, strict=True) if counter}
    assert "node_context_switches_total" in counters
    assert "node_load1" not in counters


def test_there_is_no_past() -> None:
    assert list(Host(Clock(), probes=[]).history()) == []


def test_moments_come_each_interval_and_those_slept_through_are_left_out() -> None:
    clock = Clock()
    moments = Host(clock, interval_s=2.0, probes=[lambda: {"m": 1.0}]).live(1_000.0)
    assert [next(moments).due_s for _ in range(2)] == [0.0, 2.0]
    clock.now += 9.0
    assert next(moments).due_s == 10.0
    assert next(moments).due_s == 12.0


def test_a_frame_is_stamped_when_it_is_taken() -> None:
    clock = Clock()
    moment = next(Host(clock, probes=[lambda: {"m": 1.0}]).live(1_000.0))
    clock.now += 0.25
    assert taken(moment).ts == 1_000.25


@pytest.mark.parametrize("fault", [OSError(5, "Input/output error"), RuntimeError("no sensor"), AttributeError("x")])
def test_a_probe_that_fails_leaves_out_its_metrics_only(fault: Exception) -> None:
    def broken() -> Mapping[str, float]:
        raise fault

    source = Host(Clock(), probes=[broken, lambda: {"m": 1.0}])
    assert source.sample() == {"m": 1.0}


def test_a_machine_that_reports_nothing_sends_nothing() -> None:
    moment = next(Host(Clock(), probes=[dict]).live(1_000.0))
    assert moment.take() == []


def test_devices_that_are_not_there_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.psutil, "disk_io_counters", lambda: None)
    monkeypatch.setattr(host.psutil, "sensors_temperatures", dict, raising=False)
    monkeypatch.setattr(host.psutil, "sensors_fans", dict, raising=False)
    names = set(Host(Clock()).sample())
    assert not [name for name in names if "disk_io" in name or "hwmon" in name]
    assert "node_load1" in names


def test_the_hottest_sensor_and_the_slowest_fan_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def sensors(*values: float | None) -> list[types.SimpleNamespace]:
        return [types.SimpleNamespace(current=value) for value in values]

    hot = {"coretemp": sensors(40.0, 71.5), "nvme": sensors(None)}
    monkeypatch.setattr(host.psutil, "sensors_temperatures", lambda: hot, raising=False)
    monkeypatch.setattr(host.psutil, "sensors_fans", lambda: {"f": sensors(0, 900, 1200)}, raising=False)
    sample = Host(Clock()).sample()
    assert (sample["node_hwmon_temp_celsius"], sample["node_hwmon_fan_rpm"]) == (71.5, 900.0)


class NVMLError(Exception):
    """As the real library names it."""


def fake_nvml(count: int = 2) -> types.SimpleNamespace:
    """The management library of a machine whose cards have no ECC."""

    def no_ecc(*_: object) -> int:
        raise NVMLError("Not Supported")

    return types.SimpleNamespace(
        NVMLError=NVMLError,
        NVML_TEMPERATURE_GPU=0,
        NVML_CLOCK_SM=1,
        NVML_MEMORY_ERROR_TYPE_CORRECTED=0,
        NVML_MEMORY_ERROR_TYPE_UNCORRECTED=1,
        NVML_VOLATILE_ECC=0,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: count,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetTemperature=lambda handle, _: 60 + handle,
        nvmlDeviceGetPowerUsage=lambda _: 612_500,
        nvmlDeviceGetUtilizationRates=lambda _: types.SimpleNamespace(gpu=97, memory=54),
        nvmlDeviceGetMemoryInfo=lambda _: types.SimpleNamespace(used=71_000 * 2**20),
        nvmlDeviceGetClockInfo=lambda *_: 1755,
        nvmlDeviceGetTotalEccErrors=no_ecc,
        nvmlDeviceGetPcieReplayCounter=lambda _: 3,
    )


def test_each_gpu_reports_under_its_dcgm_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.importlib, "import_module", lambda _: fake_nvml())
    sample = Host(Clock(), probes=gpu_probes()).sample()
    assert sample["gpu0.DCGM_FI_DEV_GPU_TEMP"] == 60.0
    assert sample["gpu1.DCGM_FI_DEV_GPU_TEMP"] == 61.0
    assert sample["gpu0.DCGM_FI_DEV_POWER_USAGE"] == 612.5
    assert sample["gpu0.DCGM_FI_DEV_FB_USED"] == 71_000.0
    assert not [name for name in sample if "ECC" in name], "what a card does not have is left out"


def test_without_the_library_or_a_driver_there_are_no_gpu_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> types.SimpleNamespace:
        raise ImportError

    monkeypatch.setattr(host.importlib, "import_module", missing)
    assert gpu_probes() == []

    def no_driver() -> None:
        raise NVMLError("Driver Not Loaded")

    library = fake_nvml()
    library.nvmlInit = no_driver
    monkeypatch.setattr(host.importlib, "import_module", lambda _: library)
    assert gpu_probes() == []


def test_a_gpu_that_falls_off_the_bus_takes_its_metrics_with_it() -> None:
    library = fake_nvml()
    probe = gpu_probe(library, 0, "gpu0.")
    assert len(probe()) == 7

    def lost(*_: object) -> int:
        raise NVMLError("GPU is lost")

    for name in vars(library):
        if name.startswith("nvmlDeviceGet"):
            setattr(library, name, lost)
    assert probe() == {}
