"""How causes show: what each fault class and each look-alike does to the gauges and counters of a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.fleet.latents import CHATTERERS, Floats, Latents
from experiments.fleet.metrics import INDEX, METRICS
from experiments.fleet.spec import FaultClass


@dataclass(frozen=True, slots=True)
class Sign:
    """What one fault class does to one metric, ``x`` being how far the severity is over ``beyond``.

    A ``relative`` sign multiplies the level by 1 + ``per_severity`` · x, but not below a hundredth of it; another adds
    ``per_severity`` · x to it: to a gauge in its unit, to a steady counter a second, to single events an interval.
    """

    metric: str
    per_severity: float
    relative: bool = False
    beyond: float = 0.0


def _by(metric: str, share: float) -> Sign:
    return Sign(metric, share, relative=True)


#: Correctable errors climb and rows are remapped before high-bandwidth memory fails, and it runs hot; links lose
#: symbols, resend and sag; a straggler's steps take longer while its GPU waits; a failing cooler heats, and the clocks
#: fall; a leak eats memory until the node swaps; a disk slows and loses sectors; a supply sags, the GPU is throttled.
SIGNATURES: Final[Mapping[FaultClass, tuple[Sign, ...]]] = MappingProxyType(
    {
        "hbm": (
            Sign("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", 1.5),
            Sign("DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", 0.06),
            Sign("DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", 0.01),
            Sign("DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", 0.004),
            Sign("DCGM_FI_DEV_MEMORY_TEMP", 9.0),
            Sign("DCGM_FI_DEV_GPU_TEMP", 2.0),
            _by("training_step_time_seconds", 0.02),
        ),
        "link": (
            Sign("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", 3.0),
            Sign("node_infiniband_symbol_error_total", 0.6),
            Sign("node_network_receive_errs_total", 0.8),
            _by("node_netstat_Tcp_RetransSegs", 6.0),
            _by("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", -0.2),
            _by("node_network_transmit_bytes_total", -0.15),
            _by("training_step_time_seconds", 0.12),
        ),
        "pcie": (
            Sign("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", 1.2),
            _by("training_step_time_seconds", 0.2),
            _by("DCGM_FI_DEV_GPU_UTIL", -0.08),
            _by("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", -0.15),
            _by("DCGM_FI_DEV_POWER_USAGE", -0.08),
        ),
        "thermal": (
            Sign("DCGM_FI_DEV_GPU_TEMP", 13.0),
            Sign("DCGM_FI_DEV_MEMORY_TEMP", 10.0),
            _by("node_hwmon_fan_rpm", -0.2),
            _by("DCGM_FI_DEV_SM_CLOCK", -0.1),
            Sign("DCGM_FI_DEV_THERMAL_VIOLATION", 0.3),
        ),
        "memory_leak": (
            _by("node_memory_MemAvailable_bytes", -0.85),
            Sign("node_load1", 12.0, beyond=0.7),
        ),
        "disk": (
            Sign("node_disk_io_time_seconds_total", 0.35),
            Sign("node_disk_write_time_seconds_total", 0.3),
            Sign("smartmon_current_pending_sector_raw_value", 6.0),
            _by("node_disk_written_bytes_total", -0.2),
        ),
        "power": (
            Sign("node_hwmon_in_volts", -0.45),
            Sign("DCGM_FI_DEV_POWER_VIOLATION", 0.15),
            _by("DCGM_FI_DEV_SM_CLOCK", -0.05),
        ),
    }
)
_LEAST: Final = np.float32(0.01)

_IDLE = np.array([metric.busy if np.isnan(metric.idle) else metric.idle for metric in METRICS], np.float32)
_BUSY = np.array([metric.busy for metric in METRICS], np.float32)
_ONLY_BUSY = [column for column, metric in enumerate(METRICS) if np.isnan(metric.idle)]
_WARM = [
    INDEX[name]
    for name in ("DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_MEMORY_TEMP", "node_hwmon_fan_rpm", "node_hwmon_temp_celsius")
]


class Levels:
    """Expected levels ``values`` ``(metrics, steps, nodes)``: of gauges, of counters a second, of events an interval.

    Parameters
    ----------
    latents : what goes on
    slow_load : ``(steps, nodes)``, the load as warmth follows it
    """

    def __init__(self, latents: Latents, slow_load: Floats) -> None:
        self.values: Floats = np.empty((len(METRICS), *latents.load.shape), np.float32)
        self.values[:] = _BUSY[:, None, None]
        idle = latents.load == 0
        if idle.any():
            self.values[:, idle] = _IDLE[:, None]
            self.values[_ONLY_BUSY] = np.where(idle, np.float32(np.nan), self.values[_ONLY_BUSY])
        for column in _WARM:
            np.multiply(slow_load, _BUSY[column] - _IDLE[column], out=self.values[column])
            self.values[column] += _IDLE[column]
        self._look_alikes(latents)
        for signs, severity in zip(SIGNATURES.values(), latents.severity, strict=True):
            rows = np.flatnonzero(severity.any(axis=0))
            for sign in signs if len(rows) else ():
                self._show(sign, rows, severity[:, rows])

    def _show(self, sign: Sign, rows: npt.NDArray[np.intp], severity: Floats) -> None:
        over = np.float32(sign.per_severity) * np.maximum(severity - np.float32(sign.beyond), 0)
        column = self.values[INDEX[sign.metric]]
        if sign.relative:
            column[:, rows] *= np.maximum(1 + over, _LEAST)
        else:
            column[:, rows] += over

    def _add(self, name: str, amount: Floats) -> None:
        self.values[INDEX[name]] += amount

    def _look_alikes(self, latents: Latents) -> None:
        for name, rate in zip(CHATTERERS, latents.chatter, strict=True):
            if rate.any():
                self._add(name, rate)
        writing, warmth = latents.writing, latents.ambient
        if writing.any():
            self._add("node_disk_io_time_seconds_total", 0.7 * writing)
            self._add("node_disk_write_time_seconds_total", 0.5 * writing)
            self._add("node_disk_written_bytes_total", np.float32(2e9) * writing)
            self._add("training_step_time_seconds", 0.6 * writing)
            self._add("DCGM_FI_DEV_GPU_UTIL", -15 * writing * latents.load)
        if warmth.any():
            self._add("node_hwmon_temp_celsius", warmth)
            self._add("DCGM_FI_DEV_GPU_TEMP", 0.8 * warmth)
            self._add("DCGM_FI_DEV_MEMORY_TEMP", 0.8 * warmth)
            self._add("node_hwmon_fan_rpm", 180 * warmth)
            self._add("DCGM_FI_DEV_THERMAL_VIOLATION", np.float32(0.004) * np.maximum(warmth - 6, 0))
