"""What a lane counts as it works: plain numbers, so that the hot path pays next to nothing; whoever asks reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

#: Upper bounds (s) of the classes of delays; one class more holds what is above the last.
DELAY_BOUNDS_S: Final = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 5.0, 10.0, 30.0, 60.0, 300.0),
)
#: From so many on numpy sorts delays into their classes sooner than one by one.
_MANY: Final = 64


@dataclass(slots=True)
class Delays:
    """How many delays fell into each class of :data:`DELAY_BOUNDS_S`, and their sum (s)."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(DELAY_BOUNDS_S) + 1))
    sum_s: float = 0.0

    def note(self, since: Sequence[float], now: float) -> None:
        """Take in what began at each of ``since`` (Unix s) and is done now; a clock that is ahead counts as no delay.

        >>> told = Delays()
        >>> told.note([99.9999, 99.6, 1.0], 100.0)
        >>> [count for count in told.counts if count], round(told.sum_s, 3)
        ([1, 1, 1], 99.4)
        """
        if len(since) < _MANY:
            for at in since:
                delay = max(0.0, now - at)
                self.counts[bisect_left(DELAY_BOUNDS_S, delay)] += 1
                self.sum_s += delay
            return
        delays = np.maximum(0.0, now - np.asarray(since))
        found = np.bincount(np.searchsorted(DELAY_BOUNDS_S, delays), minlength=len(self.counts))
        self.counts = [known + int(more) for known, more in zip(self.counts, found, strict=True)]
        self.sum_s += float(delays.sum())


@dataclass(slots=True)
class Tally:
    """One lane's counts since it was restored.

    ``records`` that it took in; outputs ``written``, and ``repeated`` where they were on the log already.
    ``snapshot_at`` (monotonic s) and ``snapshot_bytes`` are of the newest snapshot, None before the first.
    """

    records: int = 0
    written: int = 0
    repeated: int = 0
    delays: Delays = field(default_factory=Delays)
    snapshot_at: float | None = None
    snapshot_bytes: int = 0
