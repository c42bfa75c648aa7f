"""This machine as telemetry: what psutil and, where there is an NVIDIA GPU, its management library report.

Names are those of node_exporter and of the DCGM exporter where they have one, with the state or the GPU in the name, as
a frame has no labels: ``node_cpu_user_percent``, ``gpu0.DCGM_FI_DEV_GPU_TEMP``. What a machine does not have is left
out; what fails to be read at one moment is missing at that moment.
"""

from __future__ import annotations

import importlib
import math
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import psutil

from connectors.ports import Moment
from models.limits import NODE_NAME_CHARS_MAX
from models.records import Frame
from models.telemetry import Schema

Probe = Callable[[], Mapping[str, float]]
CPU_STATES: Final = ("user", "system", "nice", "idle", "iowait", "irq", "softirq", "steal")
#: metric → (attribute of psutil's counters, factor)
_DISK: Final = {
    "node_disk_read_bytes_total": ("read_bytes", 1.0),
    "node_disk_written_bytes_total": ("write_bytes", 1.0),
    "node_disk_reads_completed_total": ("read_count", 1.0),
    "node_disk_writes_completed_total": ("write_count", 1.0),
    "node_disk_read_time_seconds_total": ("read_time", 1e-3),
    "node_disk_write_time_seconds_total": ("write_time", 1e-3),
    "node_disk_io_time_seconds_total": ("busy_time", 1e-3),
}
_NETWORK: Final = {
    "node_network_receive_bytes_total": ("bytes_recv", 1.0),
    "node_network_transmit_bytes_total": ("bytes_sent", 1.0),
    "node_network_receive_packets_total": ("packets_recv", 1.0),
    "node_network_transmit_packets_total": ("packets_sent", 1.0),
    "node_network_receive_errs_total": ("errin", 1.0),
    "node_network_transmit_errs_total": ("errout", 1.0),
    "node_network_receive_drop_total": ("dropin", 1.0),
    "node_network_transmit_drop_total": ("dropout", 1.0),
}
_MEMORY: Final = {
    "node_memory_MemAvailable_bytes": ("available", 1.0),
    "node_memory_MemFree_bytes": ("free", 1.0),
    "node_memory_Cached_bytes": ("cached", 1.0),
    "node_memory_used_percent": ("percent", 1.0),
}
_SWAP: Final = {
    "node_memory_SwapFree_bytes": ("free", 1.0),
    "node_vmstat_pswpin_bytes_total": ("sin", 1.0),
    "node_vmstat_pswpout_bytes_total": ("sout", 1.0),
}
_KERNEL: Final = {
    "node_context_switches_total": ("ctx_switches", 1.0),
    "node_intr_total": ("interrupts", 1.0),
    "node_softirqs_total": ("soft_interrupts", 1.0),
}


class Host:
    """This machine as a :class:`connectors.ports.Source`: a sample each ``interval_s``, and no past.

    Parameters
    ----------
    clock : the wall clock in Unix seconds
    interval_s : seconds between two samples; a moment that was slept through is left out
    node : this machine's name; None for the host name
    probes : what is sampled; None for all that this machine has
    """

    schemas: Sequence[Schema] = ()
    brings_ticks = False
    flows_while_waiting = False
    repeatable = False

    def __init__(
        self,
        clock: Callable[[], float],
        interval_s: float = 1.0,
        node: str | None = None,
        probes: Sequence[Probe] | None = None,
    ) -> None:
        self.node = (node or platform.node() or "localhost")[:NODE_NAME_CHARS_MAX]
        self._clock, self._interval_s = clock, interval_s
        self._probes = [*host_probes(), *gpu_probes()] if probes is None else list(probes)
        self._seq = 0
        self.sample()  # rates since the last call need a first call

    def history(self) -> Iterator[Moment]:
        """Nobody kept this machine's past."""
        return iter(())

    def live(self, start: float) -> Iterator[Moment]:
        """A moment each interval after ``start``."""
        step = 0
        while True:
            yield Moment(start + step * self._interval_s, step * self._interval_s, self._take)
            step = max(step + 1, math.ceil((self._clock() - start) / self._interval_s))

    def release(self) -> None:
        """A machine has nothing in store that would wait."""

    def sample(self) -> dict[str, float]:
        """All metrics now; a probe that fails gives none."""
        metrics: dict[str, float] = {}
        for probe in self._probes:
            with suppress(OSError, RuntimeError, AttributeError, ValueError, psutil.Error):
                metrics.update(probe())
        return metrics

    def _take(self) -> list[Frame]:
        frame = Frame(self.node, self._clock(), self._seq, self.sample())
        self._seq += 1
        return [frame] if frame.metrics else []


def host_probes() -> list[Probe]:
    """What psutil can tell of any machine."""
    return [
        _cpu,
        _load,
        lambda: _chosen(psutil.virtual_memory(), _MEMORY),
        lambda: _chosen(psutil.swap_memory(), _SWAP),
        lambda: _chosen(psutil.disk_io_counters(), _DISK),
        lambda: _chosen(psutil.net_io_counters(), _NETWORK),
        lambda: _chosen(psutil.cpu_stats(), _KERNEL),
        _filesystem,
        _temperatures,
        _fans,
    ]


def _chosen(found: Any, wanted: Mapping[str, tuple[str, float]]) -> dict[str, float]:
    """Those of psutil's counters that this platform has; it gives None where there is no device."""
    return {
        metric: float(getattr(found, attribute)) * factor
        for metric, (attribute, factor) in wanted.items()
        if hasattr(found, attribute)
    }


def _cpu() -> dict[str, float]:
    found = psutil.cpu_times_percent()
    return {f"node_cpu_{s}_percent": float(getattr(found, s)) for s in CPU_STATES if hasattr(found, s)}


def _load() -> dict[str, float]:
    return dict(zip(("node_load1", "node_load5", "node_load15"), psutil.getloadavg(), strict=True))


def _filesystem() -> dict[str, float]:
    return {"node_filesystem_avail_bytes": float(psutil.disk_usage("/").free)}


def _temperatures() -> dict[str, float]:
    read: Any = getattr(psutil, "sensors_temperatures", dict)()
    degrees = [sensor.current for sensors in read.values() for sensor in sensors if sensor.current is not None]
    return {"node_hwmon_temp_celsius": float(max(degrees))} if degrees else {}


def _fans() -> dict[str, float]:
    read: Any = getattr(psutil, "sensors_fans", dict)()
    speeds = [sensor.current for sensors in read.values() for sensor in sensors if sensor.current]
    return {"node_hwmon_fan_rpm": float(min(speeds))} if speeds else {}


def gpu_probes() -> list[Probe]:
    """One probe for each NVIDIA GPU; none without a GPU, a driver or the ``gpu`` extra."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return []
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return []
    return [gpu_probe(nvml, handle, f"gpu{index}.") for index, handle in enumerate(handles)]


def gpu_probe(nvml: Any, handle: Any, prefix: str) -> Probe:
    """A GPU's metrics under their DCGM names; each that this card does not have is left out."""
    readers: dict[str, Callable[[], float]] = {
        "DCGM_FI_DEV_GPU_TEMP": lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU),
        "DCGM_FI_DEV_POWER_USAGE": lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1e3,
        "DCGM_FI_DEV_GPU_UTIL": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu,
        "DCGM_FI_DEV_MEM_COPY_UTIL": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).memory,
        "DCGM_FI_DEV_FB_USED": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used / 2**20,
        "DCGM_FI_DEV_SM_CLOCK": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM),
        "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL": lambda: nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_VOLATILE_ECC
        ),
        "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": lambda: nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        ),
        "DCGM_FI_DEV_PCIE_REPLAY_COUNTER": lambda: nvml.nvmlDeviceGetPcieReplayCounter(handle),
    }

    def probe() -> dict[str, float]:
        metrics = {}
        for name, read in readers.items():
            with suppress(nvml.NVMLError):
                metrics[prefix + name] = float(read())
        return metrics

    return probe
