"""Time that is claimed by several causes at once, shared out so that each second is counted exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Bucket = Literal["productive", "checkpoint", "recomputed", "detection", "restart", "migration", "waiting", "degraded"]
#: Where causes overlap the first of these has the second; what none claims is productive.
PRECEDENCE: tuple[Bucket, ...] = (
    "waiting",
    "restart",
    "migration",
    "checkpoint",
    "detection",
    "recomputed",
    "degraded",
    "productive",
)
#: Times are rounded to this part of a second: a power of two, so that sums of differences are exact in float64.
GRAIN_S = 2.0**-20


@dataclass(frozen=True, slots=True)
class Span:
    """The time from ``start`` to ``end`` (s) and what it is claimed for; an end before the start claims nothing."""

    bucket: Bucket
    start: float
    end: float


def on_grain(at: float) -> float:
    """Return a time (s) rounded to the grain.

    >>> on_grain(0.1) == 104858 * 2.0**-20
    True
    """
    return round(at / GRAIN_S) * GRAIN_S


def share_out(spans: Iterable[Span], start: float, end: float) -> dict[Bucket, float]:
    """Return the seconds of each bucket between ``start`` and ``end``; they sum to the whole exactly.

    Examples
    --------
    >>> found = share_out([Span("migration", 2.0, 6.0), Span("restart", 5.0, 8.0)], 0.0, 10.0)
    >>> found["migration"], found["restart"], found["productive"]
    (3.0, 3.0, 4.0)
    """
    start, end = on_grain(start), on_grain(end)
    changes: list[tuple[float, int, Bucket]] = []
    for span in spans:
        first, last = max(start, on_grain(span.start)), min(end, on_grain(span.end))
        if first < last:
            changes += [(first, 1, span.bucket), (last, -1, span.bucket)]
    seconds: dict[Bucket, float] = dict.fromkeys(PRECEDENCE, 0.0)
    claimed: Counter[Bucket] = Counter({"productive": 1})
    reached = start
    for at, change, bucket in [*sorted(changes), (end, 0, "productive")]:
        holder = next(one for one in PRECEDENCE if claimed[one] > 0)
        seconds[holder] += at - reached
        reached = at
        claimed[bucket] += change
    return seconds
