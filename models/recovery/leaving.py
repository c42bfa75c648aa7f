"""Break-even migration as the pipeline asks it: the functions that the lab measures, and every number told.

Leave iff P·S(a+C+M)·(W + min(T, √(2C·E[L]/P)) + D + R) > M + C(1−x)² + price of a spare.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.hazard_rate import still_to_come
from models.recovery.base import Choice, Stakes, Suspicion
from models.recovery.break_even import failure_cost_s, poisson_at_least, spare_price_s, worth_leaving
from models.recovery.resize import shrink_price_s

RULE = "break-even: staying is expected to cost more than leaving"


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Leave iff the expected loss of staying exceeds the price of going; P is earned, not claimed."""

    name: str = "break-even"

    def choose(self, suspicion: Suspicion) -> Choice:
        """Return whether to stay or to migrate, with both sides of the rule and what they are made of."""
        stakes = suspicion.stakes
        if stakes is None:
            return Choice("stay", RULE, {"P": 0.0, "claim": suspicion.probability})
        coming = still_to_come(stakes.trusted, stakes.survival_now, stakes.survival_then)
        failure_s = failure_cost_s(
            stakes.trusted,
            stakes.durable_s,
            stakes.interval_s,
            stakes.cost_s,
            stakes.lead_mean_s,
            suspicion.detection_s,
            suspicion.restart_s,
        )
        spare_s = _spare_s(stakes)
        price_s = suspicion.migration_s + stakes.save_s + spare_s
        numbers = {
            "P": stakes.trusted,
            "staying_s": coming * failure_s,
            "leaving_s": price_s,
            **_parts(suspicion, stakes),
            "P·S(a+C+M)": coming,
            "failure_s": failure_s,
            "spare_s": spare_s,
        }
        return Choice("migrate" if worth_leaving(coming, failure_s, price_s) else "stay", RULE, numbers)


def _spare_s(stakes: Stakes) -> float:
    if stakes.replica_nodes is None:
        return spare_price_s(stakes.trusted, stakes.free_spares, stakes.horizon_s, stakes.mtbf_s)
    dry = poisson_at_least(stakes.free_spares, stakes.horizon_s / stakes.mtbf_s)
    return shrink_price_s(stakes.trusted, dry, stakes.replica_nodes, stakes.nodes, stakes.horizon_s)


def _parts(suspicion: Suspicion, stakes: Stakes) -> dict[str, float]:
    return {
        "claim": suspicion.probability,
        **stakes.earned,
        "a": stakes.age_s,
        "S(a)": stakes.survival_now,
        "E[L]": stakes.lead_mean_s,
        "C": stakes.cost_s,
        "W": stakes.durable_s,
        "D": suspicion.detection_s,
        "R": suspicion.restart_s,
        "M": suspicion.migration_s,
        "T_young": stakes.interval_s,
        "unsaved_s": suspicion.unsaved_s,
        "C(1-x)2": stakes.save_s,
        "free_spares": float(stakes.free_spares),
        "H": stakes.horizon_s,
        "mtbf_s": stakes.mtbf_s,
    }
