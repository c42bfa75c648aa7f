"""How long it took from a source time to a record on the log: exact percentiles over a bounded past."""

from __future__ import annotations

import math
from collections import deque

SAMPLES_MAX = 100_000
#: Source times older than this when their record is appended belong to a replay, not to a delay.
LIVE_S_MAX = 3_600.0


class Latencies:
    """The last ``SAMPLES_MAX`` latencies of live records."""

    def __init__(self) -> None:
        self._samples_ms: deque[float] = deque(maxlen=SAMPLES_MAX)

    def __len__(self) -> int:
        return len(self._samples_ms)

    def note(self, source: float, appended: float) -> float | None:
        """Keep ``appended - source`` (both Unix seconds); returns it in ms, or None when it is not a live one.

        The broker's clock has whole milliseconds, so a latency below one may come out negative: it counts as 0.
        """
        seconds = appended - source
        if not -1.0 < seconds < LIVE_S_MAX:
            return None
        milliseconds = max(0.0, seconds * 1000.0)
        self._samples_ms.append(milliseconds)
        return milliseconds

    def summary(self) -> dict[str, float | None]:
        """``p50`` and ``p99`` in ms by nearest rank; None where nothing was measured."""
        ordered = sorted(self._samples_ms)
        return {"p50": _nearest_rank(ordered, 0.50), "p99": _nearest_rank(ordered, 0.99)}


def _nearest_rank(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[math.ceil(share * len(ordered)) - 1], 3)
