"""How causes show: what each fault class and each look-alike does to the gauges and counters of a node."""

from __future__ import annotations

import numpy as np

from experiments.fleet.latents import CHATTERERS, Floats, Latents
from experiments.fleet.metrics import INDEX, METRICS
from experiments.fleet.spec import FAULT_CLASSES

_IDLE = np.array([metric.busy if np.isnan(metric.idle) else metric.idle for metric in METRICS], np.float32)
_BUSY = np.array([metric.busy for metric in METRICS], np.float32)
_ONLY_BUSY = [column for column, metric in enumerate(METRICS) if np.isnan(metric.idle)]
_WARM = [
    INDEX[name]
    for name in ("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_MEMORY_TEMP", "node_hwmon_fan_rpm", "node_hwmon_temp_celsius")
]


class Levels:
    """Expected levels ``(steps, nodes, metrics)``: gauges in their unit, counters a second, events an interval."""

    def __init__(self, latents: Latents, slow_load: Floats) -> None:
        self.values: Floats = _IDLE + (_BUSY - _IDLE) * latents.load[..., None]
        self.values[..., _WARM] = _IDLE[_WARM] + (_BUSY - _IDLE)[_WARM] * slow_load[..., None]
        self.values[..., _ONLY_BUSY] = np.where(latents.load[..., None] > 0, self.values[..., _ONLY_BUSY], np.nan)
        self._look_alikes(latents)
        for kind, severity in zip(FAULT_CLASSES, latents.severity, strict=True):
            if severity.any():
                getattr(self, f"_{kind}")(severity)

    def _add(self, name: str, amount: Floats) -> None:
        self.values[..., INDEX[name]] += amount

    def _scale(self, name: str, factor: Floats) -> None:
        self.values[..., INDEX[name]] *= factor

    def _look_alikes(self, latents: Latents) -> None:
        for name, rate in zip(CHATTERERS, latents.chatter, strict=True):
            self._add(name, rate)
        writing, warmth = latents.writing, latents.ambient
        self._add("node_disk_io_time_seconds_total", 0.7 * writing)
        self._add("node_disk_write_time_seconds_total", 0.5 * writing)
        self._add("node_disk_written_bytes_total", np.float32(2e9) * writing)
        self._add("training_step_time_seconds", 0.6 * writing)
        self._add("DCGM_FI_DEV_GPU_UTIL", -15 * writing * latents.load)
        self._add("node_hwmon_temp_celsius", warmth)
        self._add("DCGM_FI_DEV_GPU_TEMP", 0.8 * warmth)
        self._add("DCGM_FI_DEV_MEMORY_TEMP", 0.8 * warmth)
        self._add("node_hwmon_fan_rpm", 180 * warmth)
        self._add("DCGM_FI_DEV_THERMAL_VIOLATION", np.float32(0.004) * np.maximum(warmth - 6, 0))

    def _hbm(self, severity: Floats) -> None:
        self._add("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 1.5 * severity)
        self._add("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", 0.06 * severity)
        self._add("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 0.01 * severity)
        self._add("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 0.004 * severity * severity)
        self._add("DCGM_FI_DEV_MEMORY_TEMP", 9 * severity)
        self._add("DCGM_FI_DEV_GPU_TEMP", 2 * severity)
        self._scale("training_step_time_seconds", 1 + 0.02 * severity)

    def _link(self, severity: Floats) -> None:
        self._add("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 3 * severity)
        self._add("node_infiniband_symbol_error_total", 0.6 * severity)
        self._add("node_network_receive_errs_total", 0.8 * severity)
        self._scale("node_netstat_Tcp_RetransSegs", 1 + 6 * severity)
        self._scale("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", np.maximum(1 - 0.2 * severity, 0))
        self._scale("node_network_transmit_bytes_total", np.maximum(1 - 0.15 * severity, 0))
        self._scale("training_step_time_seconds", 1 + 0.12 * severity)

    def _pcie(self, severity: Floats) -> None:
        self._add("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 1.2 * severity)
        self._scale("training_step_time_seconds", 1 + 0.2 * severity)
        self._scale("DCGM_FI_DEV_GPU_UTIL", np.maximum(1 - 0.08 * severity, 0))
        self._scale("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", np.maximum(1 - 0.15 * severity, 0))
        self._scale("DCGM_FI_DEV_POWER_USAGE", np.maximum(1 - 0.08 * severity, 0))

    def _thermal(self, severity: Floats) -> None:
        self._add("DCGM_FI_DEV_GPU_TEMP", 13 * severity)
        self._add("DCGM_FI_DEV_MEMORY_TEMP", 10 * severity)
        self._scale("node_hwmon_fan_rpm", np.maximum(1 - 0.2 * severity, 0))
        self._scale("DCGM_FI_DEV_SM_CLOCK", np.maximum(1 - 0.1 * severity, 0.2))
        self._add("DCGM_FI_DEV_THERMAL_VIOLATION", 0.3 * severity)

    def _memory_leak(self, severity: Floats) -> None:
        self._scale("node_memory_MemAvailable_bytes", np.maximum(1 - 0.85 * severity, 0.01))
        self._add("node_load1", 12 * np.maximum(severity - 0.7, 0))

    def _disk(self, severity: Floats) -> None:
        self._add("node_disk_io_time_seconds_total", 0.35 * severity)
        self._add("node_disk_write_time_seconds_total", 0.3 * severity)
        self._add("smartmon_current_pending_sector_raw_value", np.floor(6 * severity).astype(np.float32))
        self._scale("node_disk_written_bytes_total", np.maximum(1 - 0.2 * severity, 0))

    def _power(self, severity: Floats) -> None:
        self._add("node_hwmon_in_volts", -0.45 * severity)
        self._add("DCGM_FI_DEV_POWER_VIOLATION", 0.15 * severity)
        self._scale("DCGM_FI_DEV_SM_CLOCK", np.maximum(1 - 0.05 * severity, 0.2))
