"""What a metric tells of, by its name: so one model fits any fleet, whatever its exporters call things."""

from __future__ import annotations

import re
from typing import Final

SIGNALS: Final = ("memory_errors", "link", "thermal", "power", "compute", "memory", "disk", "other")

# The first pattern that is found in the lower-cased name decides.
_PATTERNS: Final = (
    ("memory_errors", r"ecc|edac|sbe|dbe|remap|retired|xid|mce"),
    ("link", r"nvlink|crc|pcie|symbol|retrans|network|net_|infiniband|ib_|nic"),
    ("thermal", r"temp|fan|throttl|thermal|violation"),
    ("power", r"power|energy|volt|watt"),
    ("disk", r"disk|smart|filesystem|iowait|nvme"),
    ("memory", r"mem_|memory|swap|fb_|oom|rss"),
    ("compute", r"util|clock|cpu|load|step|sm_|gpu|context"),
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
