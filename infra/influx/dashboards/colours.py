"""The colours of the live page in the dark (``infra/web/page/style.css``): what is the same has the same colour."""

from __future__ import annotations

from typing import Final

HEALTHY: Final = "#5cb78d"
WARMING: Final = "#8ea6c6"
SUSPECT: Final = "#e3a541"
FAILING: Final = "#f0736a"
UNKNOWN: Final = "#949ba3"
ACCENT: Final = "#82b1f2"

VERDICTS: Final = {
    "failing": FAILING,
    "healthy": HEALTHY,
    "suspect": SUSPECT,
    "unknown": UNKNOWN,
    "warming": WARMING,
}

#: Of the ledger, as the page's bar has them.
BUCKETS: Final = {
    "checkpoint": "#6b9be0",
    "degraded": "#878e95",
    "detection": "#d88fb0",
    "migration": "#59b8c4",
    "productive": "#4da980",
    "recomputed": "#e0b04c",
    "restart": "#a392dc",
    "waiting": "#f0736a",
}
