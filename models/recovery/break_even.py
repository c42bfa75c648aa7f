"""Break-even migration: leave a node when the expected loss of staying exceeds the price of going."""

from __future__ import annotations

import math

#: Beyond so many free nodes a pool does not run dry within a horizon.
POOL_ENDLESS = 1000


def failure_cost_s(
    probability: float,
    durable_s: float,
    interval_s: float,
    cost_s: float,
    lead_mean_s: float,
    detection_s: float,
    restart_s: float,
) -> float:
    """Return W + min(T, √(2C·E[L]/P)) + D + R, in seconds: what a failure costs a job that stays and saves its work.

    Under an open alarm the hazard is about P/E[L], and the interval between its checkpoints so many seconds.

    >>> round(failure_cost_s(0.8, 120.0, 667.0, 20.0, 992.0, 60.0, 180.0))
    583
    >>> round(failure_cost_s(0.01, 120.0, 667.0, 20.0, 992.0, 60.0, 180.0))
    1027
    """
    alarmed_s = math.sqrt(2.0 * cost_s * lead_mean_s / probability) if probability > 0.0 else interval_s
    return durable_s + min(interval_s, alarmed_s) + detection_s + restart_s


def poisson_at_least(count: int, mean: float) -> float:
    """Return Pr[Poisson(mean) ≥ count].

    >>> poisson_at_least(0, 0.5), round(poisson_at_least(1, 0.5), 4), poisson_at_least(2000, 0.5)
    (1.0, 0.3935, 0.0)
    """
    if count >= POOL_ENDLESS:
        return 0.0
    term = math.exp(-mean)
    below = 0.0
    for index in range(count):
        below += term
        term *= mean / (index + 1.0)
    return max(0.0, 1.0 - below)


def spare_price_s(probability: float, free: int, horizon_s: float, mtbf_s: float) -> float:
    """Return the price of a spare: (1 − P)·Pr[Poisson(H/μ) ≥ free]·H/2, in seconds.

    A true alarm takes a spare sooner or later; a false one keeps a good node out of the pool for H, and whoever fails
    meanwhile waits half of that if no spare is left.

    >>> spare_price_s(1.0, 0, 3600.0, 11124.0), spare_price_s(0.5, 0, 3600.0, 11124.0)
    (0.0, 900.0)
    """
    return (1.0 - probability) * poisson_at_least(free, horizon_s / mtbf_s) * horizon_s / 2.0


def worth_leaving(chance: float, failure_s: float, price_s: float) -> bool:
    """Whether to migrate: P·S(a + C + M)·(cost of a failure) > M + C(1 − x)² + price of a spare.

    Parameters
    ----------
    chance :
        That the node fails, and not before it is left: P·S(a + C + M).

    Examples
    --------
    >>> worth_leaving(0.5, 600.0, 160.0), worth_leaving(0.2, 600.0, 160.0)
    (True, False)
    """
    return chance * failure_s > price_s
