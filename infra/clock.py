"""The one place that reads the clock; everything else is told the time."""

from __future__ import annotations

import time


def now() -> float:
    """Return the wall clock as Unix seconds."""
    return time.time()


def monotonic() -> float:
    """Return seconds that never go back, for measuring how long something took."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait ``seconds``; for loops that ask until something has come true."""
    time.sleep(seconds)
