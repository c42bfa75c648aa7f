"""The law of lead times: lognormal time from an alarm to the failure that it foretells."""

from __future__ import annotations

import math


def lead_survival(age_s: float, median_s: float, sigma: float) -> float:
    """Return S(a) = P(L > a); 1 for an age that is not positive.

    >>> lead_survival(720.0, 720.0, 0.8), lead_survival(0.0, 720.0, 0.8)
    (0.5, 1.0)
    """
    if age_s <= 0.0:
        return 1.0
    return 0.5 * math.erfc(math.log(age_s / median_s) / (sigma * math.sqrt(2.0)))


def lead_density(age_s: float, median_s: float, sigma: float) -> float:
    """Return f(a), in 1/s; 0 for an age that is not positive.

    >>> round(lead_density(720.0, 720.0, 0.8) * 720.0 * 0.8 * (2.0 * math.pi) ** 0.5, 12)
    1.0
    """
    if age_s <= 0.0:
        return 0.0
    deviation = math.log(age_s / median_s) / sigma
    return math.exp(-0.5 * deviation * deviation) / (age_s * sigma * math.sqrt(2.0 * math.pi))


def lead_peak(median_s: float, sigma: float) -> float:
    """Return the largest value of f, at the mode median·exp(−σ²), in 1/s.

    >>> lead_peak(720.0, 0.8) == lead_density(720.0 * math.exp(-0.64), 720.0, 0.8)
    True
    """
    return math.exp(0.5 * sigma * sigma) / (median_s * sigma * math.sqrt(2.0 * math.pi))


def lead_mean_s(median_s: float, sigma: float) -> float:
    """Return E[L] = median·exp(σ²/2), in seconds.

    >>> round(lead_mean_s(720.0, 0.8))
    992
    """
    return median_s * math.exp(0.5 * sigma * sigma)
