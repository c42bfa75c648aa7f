"""A job's normal pace: the median of all that its ranks have told so far, kept in little room."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

#: Paces are told apart to this share: a step of 1.000 s and one of 1.004 s are the same.
WIDTH = 0.01
_LOG_WIDTH = math.log1p(WIDTH)


@dataclass(slots=True)
class Pace:
    """Counts of paces (s a step) by size, and the median among them.

    >>> pace = Pace()
    >>> for step_s in (1.0, 1.0, 3.0):
    ...     pace.note(step_s)
    >>> pace.median_s
    1.0
    """

    counts: dict[int, int] = field(default_factory=dict)
    total: int = 0
    _at: int = 0
    _below: int = 0

    def note(self, step_s: float) -> None:
        """Take in one pace; what is not above 0 or not finite tells nothing."""
        if not (0.0 < step_s < math.inf):
            return
        size = round(math.log(step_s) / _LOG_WIDTH)
        if not self.total:
            self._at = size
        self.counts[size] = self.counts.get(size, 0) + 1
        self.total += 1
        self._below += size < self._at
        self._follow()

    @property
    def median_s(self) -> float | None:
        """The lower median, to half of ``WIDTH``; None before anything was told."""
        return math.exp(self._at * _LOG_WIDTH) if self.total else None

    def _follow(self) -> None:
        """Move to where the lower median is now: a size or two at a time, however many were told."""
        middle = (self.total - 1) // 2
        while self._below > middle:
            self._at = max(size for size in self.counts if size < self._at)
            self._below -= self.counts[self._at]
        while self._below + self.counts[self._at] <= middle:
            self._below += self.counts[self._at]
            self._at = min(size for size in self.counts if size > self._at)
