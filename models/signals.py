"""What a metric tells of, by its name: so one model fits any fleet, whatever its exporters call things."""

from __future__ import annotations

import re
from typing import Final

SIGNALS: Final = (
    "memory_errors",
    "throttling",
    "pcie",
    "link",
    "disk",
    "traffic",
    "cooling",
    "thermal",
    "voltage",
    "power",
    "memory",
    "pace",
    "compute",
    "other",
)

# The first pattern that is found in the lower-cased name decides.
_PATTERNS: Final = (
    ("memory_errors", r"ecc|edac|sbe|dbe|remap|retired|xid|mce"),
    ("throttling", r"violation|throttl"),
    ("pcie", r"pcie"),
    ("link", r"crc|symbol|retrans|net.*(err|drop)|(nvlink|infiniband|ib_|nic).*err"),
    ("disk", r"disk|smart|filesystem|iowait|nvme"),
    ("traffic", r"nvlink|network|net_|infiniband|ib_|nic|bandwidth"),
    ("cooling", r"fan"),
    ("thermal", r"temp|thermal"),
    ("voltage", r"volt"),
    ("power", r"power|energy|watt"),
    ("memory", r"mem_(?!copy)|memory|swap|fb_|oom|rss"),
    ("pace", r"step|iteration"),
    ("compute", r"util|clock|cpu|load|sm_|gpu|context|prof_|tensor"),
)
_COMPILED: Final = tuple((signal, re.compile(pattern)) for signal, pattern in _PATTERNS)
_COUNTER: Final = re.compile(r"_total$|_counter$|_errs$|_errors$|(?<!_util)_count$", re.IGNORECASE)


def signal_of(metric: str) -> str:
    """The signal group of a metric.

    >>> signal_of("DCGM_FI_DEV_GPU_TEMP"), signal_of("node_edac_correctable_errors_total"), signal_of("m07")
    ('thermal', 'memory_errors', 'other')
    """
    name = metric.lower()
    return next((signal for signal, pattern in _COMPILED if pattern.search(name)), "other")


def is_counter(metric: str) -> bool:
    """Whether a metric without a declared kind counts up, as its name says after the Prometheus rules.

    >>> is_counter("node_edac_correctable_errors_total"), is_counter("gpu0.temp_c")
    (True, False)
    """
    return _COUNTER.search(metric) is not None


#: What a metric tells of, told apart more finely than by :data:`SIGNALS`: what faults move together is apart here.
ASPECTS: Final = (
    "room",
    "memory_temperature",
    "temperature",
    "fan",
    "clock",
    "tensor",
    "utilisation",
    "load",
    "power",
    "voltage",
    "throttling",
    "memory",
    "step",
    "sectors",
    "disk_volume",
    "disk",
    "retransmission",
    "fabric",
    "traffic",
    "other",
)
_ASPECT_PATTERNS: Final = (
    ("throttling", r"violation|throttl"),
    ("room", r"hwmon_temp|ambient|inlet|room"),
    ("memory_temperature", r"mem.*temp|hbm.*temp"),
    ("temperature", r"temp|thermal"),
    ("fan", r"fan"),
    ("clock", r"clock|freq"),
    ("tensor", r"tensor|pipe|sm_active"),
    ("utilisation", r"util"),
    ("load", r"load|procs|iowait"),
    ("voltage", r"volt"),
    ("power", r"power|energy|watt"),
    ("step", r"step|iteration"),
    ("sectors", r"smart|sector"),
    ("disk_volume", r"(disk|filesystem|nvme).*bytes"),
    ("disk", r"disk|filesystem|nvme"),
    ("retransmission", r"retrans|(net|nic|ib_|infiniband).*(err|drop)"),
    ("fabric", r"nvlink|pcie"),
    ("traffic", r"network|net_|infiniband|ib_|nic|bandwidth"),
    ("memory", r"mem|swap|fb_|oom|rss"),
)
_ASPECTS_COMPILED: Final = tuple((aspect, re.compile(pattern)) for aspect, pattern in _ASPECT_PATTERNS)


def aspect_of(metric: str) -> str:
    """The aspect of a metric.

    >>> aspect_of("DCGM_FI_DEV_MEMORY_TEMP"), aspect_of("node_hwmon_temp_celsius"), aspect_of("m07")
    ('memory_temperature', 'room', 'other')
    """
    name = metric.lower()
    return next((aspect for aspect, pattern in _ASPECTS_COMPILED if pattern.search(name)), "other")
