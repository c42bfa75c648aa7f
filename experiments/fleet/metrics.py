"""What a simulated node reports: 32 metrics named as DCGM exporter, node_exporter and smartmon name them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, unit, kind, and its bearing on a healthy node.

    ``idle`` and ``busy`` are the values of a gauge (or the rates a second of a counter) without and with a training
    job, ``noise`` the standard deviation about them, ``quantum`` the step that the exporter rounds to (0: none).
    """

    name: str
    unit: str
    kind: Literal["gauge", "counter"]
    idle: float
    busy: float
    noise: float
    quantum: float = 0.0

    @property
    def is_counter(self) -> bool:
        """Whether the metric only grows, except when its source restarts."""
        return self.kind == "counter"

    @property
    def from_gpu(self) -> bool:
        """Whether DCGM reports it: when a GPU falls off the bus, these vanish together."""
        return self.name.startswith("DCGM_")


def _gauge(name: str, unit: str, idle: float, busy: float, noise: float, quantum: float = 0.0) -> Metric:
    return Metric(name, unit, "gauge", idle, busy, noise, quantum)


def _flow(name: str, unit: str, idle: float, busy: float, noise: float) -> Metric:
    """A counter that grows steadily: ``idle`` and ``busy`` a second."""
    return Metric(name, unit, "counter", idle, busy, noise)


def _events(name: str, per_interval: float) -> Metric:
    """A counter of single events: a Poisson number an interval."""
    return Metric(name, "1", "counter", per_interval, per_interval, 0.0, 1.0)


#: In the order of the columns of every block: gauges, then steady counters, then counters of single events.
METRICS: tuple[Metric, ...] = (
    _gauge("DCGM_FI_DEV_GPU_TEMP", "celsius", 34.0, 66.0, 0.8, 1.0),
    _gauge("DCGM_FI_DEV_MEMORY_TEMP", "celsius", 38.0, 74.0, 0.8, 1.0),
    _gauge("DCGM_FI_DEV_POWER_USAGE", "watt", 85.0, 610.0, 14.0),
    _gauge("DCGM_FI_DEV_GPU_UTIL", "percent", 0.0, 97.0, 1.5, 1.0),
    _gauge("DCGM_FI_DEV_MEM_COPY_UTIL", "percent", 0.0, 54.0, 3.0, 1.0),
    _gauge("DCGM_FI_DEV_FB_USED", "mebibyte", 600.0, 71_000.0, 250.0),
    _gauge("DCGM_FI_DEV_SM_CLOCK", "megahertz", 1_980.0, 1_755.0, 9.0, 15.0),
    _gauge("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "ratio", 0.0, 0.46, 0.02),
    _gauge("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "megabyte/second", 0.0, 41_000.0, 1_500.0),
    _gauge("node_load1", "1", 2.0, 34.0, 2.0),
    _gauge("node_memory_MemAvailable_bytes", "byte", 1.9e12, 1.5e12, 6.0e9),
    _gauge("node_hwmon_fan_rpm", "1/minute", 5_200.0, 9_400.0, 60.0, 1.0),
    _gauge("node_hwmon_temp_celsius", "celsius", 24.0, 27.0, 0.3),
    _gauge("node_hwmon_in_volts", "volt", 12.12, 12.04, 0.015),
    _gauge("smartmon_current_pending_sector_raw_value", "1", 0.0, 0.0, 0.0, 1.0),
    _gauge("training_step_time_seconds", "second", float("nan"), 1.35, 0.02),
    _flow("DCGM_FI_DEV_THERMAL_VIOLATION", "second", 0.0, 0.0, 0.0),
    _flow("DCGM_FI_DEV_POWER_VIOLATION", "second", 0.0, 0.004, 0.003),
    _flow("node_disk_io_time_seconds_total", "second", 0.01, 0.05, 0.012),
    _flow("node_disk_write_time_seconds_total", "second", 0.004, 0.03, 0.008),
    _flow("node_disk_written_bytes_total", "byte", 2.0e5, 4.0e6, 8.0e5),
    _flow("node_network_transmit_bytes_total", "byte", 4.0e4, 3.1e9, 1.2e8),
    _flow("node_netstat_Tcp_RetransSegs", "1", 0.02, 1.5, 0.7),
    _events("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 0.002),
    _events("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 0.000_002),
    _events("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", 0.000_02),
    _events("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 0.000_002),
    _events("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 0.002),
    _events("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 0.004),
    _events("node_network_receive_errs_total", 0.002),
    _events("node_infiniband_symbol_error_total", 0.001),
    _events("node_edac_correctable_errors_total", 0.001),
)

NAMES: tuple[str, ...] = tuple(metric.name for metric in METRICS)
INDEX: dict[str, int] = {name: column for column, name in enumerate(NAMES)}
GAUGES = slice(0, sum(not metric.is_counter for metric in METRICS))
EVENTS = slice(len(METRICS) - sum(metric.is_counter and metric.quantum > 0 for metric in METRICS), len(METRICS))
FLOWS = slice(GAUGES.stop, EVENTS.start)
COUNTERS = slice(GAUGES.stop, len(METRICS))
