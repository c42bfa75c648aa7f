"""What a name tells: the group of a metric, and whether it counts up."""

from __future__ import annotations

import pytest

from models.signals import SIGNALS, is_counter, signal_of


@pytest.mark.parametrize(
    ("metric", "signal"),
    [
        ("DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "memory_errors"),
        ("DCGM_FI_DEV_XID_ERRORS", "memory_errors"),
        ("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", "link"),
        ("node_network_receive_errs_total", "link"),
        ("DCGM_FI_DEV_GPU_TEMP", "thermal"),
        ("gpu0.temp_c", "thermal"),
        ("DCGM_FI_DEV_POWER_USAGE", "power"),
        ("DCGM_FI_DEV_POWER_VIOLATION", "throttling"),
        ("DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "pcie"),
        ("DCGM_FI_DEV_NVLINK_BANDWIDTH_TOTAL", "traffic"),
        ("node_network_transmit_bytes_total", "traffic"),
        ("node_infiniband_symbol_error_total", "link"),
        ("node_netstat_Tcp_RetransSegs", "link"),
        ("node_hwmon_fan_rpm", "cooling"),
        ("node_hwmon_in_volts", "voltage"),
        ("training_step_time_seconds", "pace"),
        ("DCGM_FI_DEV_MEM_COPY_UTIL", "compute"),
        ("node_disk_io_time_seconds_total", "disk"),
        ("smart_reallocated_sectors", "disk"),
        ("node_memory_MemAvailable_bytes", "memory"),
        ("DCGM_FI_DEV_GPU_UTIL", "compute"),
        ("cpu_percent", "compute"),
        ("m07", "other"),
        ("", "other"),
        ("температура", "other"),
    ],
)
def test_a_metrics_group(metric: str, signal: str) -> None:
    assert signal_of(metric) == signal


def test_the_case_of_a_name_does_not_matter() -> None:
    assert signal_of("Gpu_TEMP") == signal_of("gpu_temp") == "thermal"


def test_every_group_can_be_reached() -> None:
    names = (
        *("ecc", "throttle", "pcie", "crc", "disk", "nvlink", "fan"),
        *("temp", "volt", "power", "memory", "step", "gpu", "x"),
    )
    assert {signal_of(name) for name in names} == set(SIGNALS)


@pytest.mark.parametrize(
    ("metric", "counts_up"),
    [
        ("node_edac_correctable_errors_total", True),
        ("DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", True),
        ("rx_errors", True),
        ("rx_errs", True),
        ("reset_count", True),
        ("energy_counter", True),
        ("sm_util_count", False),
        ("total_memory", False),
        ("gpu0.temp_c", False),
        ("account", False),
    ],
)
def test_a_name_says_whether_it_counts_up(metric: str, counts_up: bool) -> None:
    assert is_counter(metric) is counts_up
