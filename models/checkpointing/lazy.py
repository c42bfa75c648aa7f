"""Lazy checkpoints (iLazy, Tiwari et al. 2014): failures cluster, so the longer none came the longer the interval."""

from __future__ import annotations

import math


def lazy_interval_s(interval_s: float, since_failure_s: float, shape: float) -> float:
    """Return T·(t/T)^(1−k) for t ≥ T, in seconds; a shape of 1 leaves T as it is.

    Parameters
    ----------
    interval_s :
        T, the interval of Young.
    since_failure_s :
        t, time since the last failure.
    shape :
        k, Weibull shape of the times between failures; below 1 where they cluster.

    Examples
    --------
    >>> lazy_interval_s(600.0, 2400.0, 0.5), lazy_interval_s(600.0, 2400.0, 1.0), lazy_interval_s(600.0, 60.0, 0.5)
    (1200.0, 600.0, 600.0)
    """
    return interval_s * math.pow(max(1.0, since_failure_s / interval_s), 1.0 - shape)
