"""Time that is claimed by several causes at once, shared out so that each second is counted exactly once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
#: The buckets in which the job as a whole does not run.
DOWNTIME: tuple[Bucket, ...] = ("detection", "restart", "migration", "waiting")
#: Times are rounded to this part of a second: a power of two, so that sums of differences are exact in float64.
GRAIN_S = 2.0**-20


@dataclass(frozen=True, slots=True)
class Span:
    """The time from ``start`` to ``end`` (s), what it is claimed for, and the node that is the cause ("": none).

    An end before the start claims nothing.
    """

    bucket: Bucket
    start: float
    end: float
    owner: str = ""


def on_grain(at: float) -> float:
    """Return a time (s) rounded to the grain; an infinite one is left as it is.

    >>> on_grain(0.1) == 104858 * 2.0**-20
    True
    """
    return round(at / GRAIN_S) * GRAIN_S if math.isfinite(at) else at


Held = tuple[Bucket, str]
NOBODY: Held = ("productive", "")


def share_by_owner(spans: Iterable[Span], start: float, end: float) -> dict[Held, float]:
    """Return the seconds of each bucket and owner between ``start`` and ``end``; they sum to the whole exactly.

    Where two owners claim a second for the same bucket, the one whose span began first has it; of two that began
    together, the first by name.
    """
    start, end = on_grain(start), on_grain(end)
    changes: list[tuple[float, int, Span]] = []
    for number, span in enumerate(spans):
        first, last = max(start, on_grain(span.start)), min(end, on_grain(span.end))
        if first < last:
            changes += [(first, number, span), (last, -number - 1, span)]
    changes.sort(key=lambda one: (one[0], one[1]))
    seconds: dict[Held, float] = {}
    active: dict[int, Span] = {}
    reached = start
    for at, number, span in changes:
        if at > reached:
            _add(seconds, _holder(active), at - reached)
            reached = at
        if number < 0:
            del active[-number - 1]
        else:
            active[number] = span
    if end > reached:
        _add(seconds, NOBODY, end - reached)
    return seconds


def _add(seconds: dict[Held, float], held: Held, more: float) -> None:
    seconds[held] = seconds.get(held, 0.0) + more


_RANK: Mapping[Bucket, int] = {bucket: rank for rank, bucket in enumerate(PRECEDENCE)}


def _holder(active: Mapping[int, Span]) -> Held:
    if not active:
        return NOBODY
    first = min(active.values(), key=lambda one: (_RANK[one.bucket], one.start, one.owner))
    return (first.bucket, first.owner)


def share_out(spans: Iterable[Span], start: float, end: float) -> dict[Bucket, float]:
    """Return the seconds of each bucket between ``start`` and ``end``; they sum to the whole exactly.

    Examples
    --------
    >>> found = share_out([Span("migration", 2.0, 6.0), Span("restart", 5.0, 8.0)], 0.0, 10.0)
    >>> found["migration"], found["restart"], found["productive"]
    (3.0, 3.0, 4.0)
    """
    return by_bucket(share_by_owner(spans, start, end))


def by_bucket(held: Mapping[Held, float]) -> dict[Bucket, float]:
    """Return the seconds of each bucket, whoever is the cause."""
    seconds: dict[Bucket, float] = dict.fromkeys(PRECEDENCE, 0.0)
    for (bucket, _), value in held.items():
        seconds[bucket] += value
    return seconds


@dataclass(slots=True)
class Sharing:
    """Shares out a time that goes on, keeping only the spans of its last part.

    However often and wherever it is settled, the seconds are those of :func:`share_by_owner` over all spans, provided
    that none is added, replaced or ended before a time up to which it was settled.
    """

    start: float
    settled: float = field(init=False)
    seconds: dict[Held, float] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.settled = self.start

    def settle(self, until: float, more: Iterable[Span] = ()) -> None:
        """Count the time up to ``until`` for good; ``more`` are spans of which the end is not known yet."""
        if until > self.settled:
            self.seconds = self.shared(until, more)
            self.settled = until
            self.spans = [one for one in self.spans if one.end > until]

    def shared(self, until: float, more: Iterable[Span] = ()) -> dict[Held, float]:
        """Return all seconds up to ``until``."""
        seconds = dict(self.seconds)
        for held, found in share_by_owner([*self.spans, *more], self.settled, until).items():
            _add(seconds, held, found)
        return seconds
