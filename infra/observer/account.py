"""A job's ledger beside what losing the nodes that it left would have cost, for a page, a database and a summary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from models.counterfactual import Counterfactual, counterfactuals_of
from models.job_account import Folds, account_of
from models.ledger import ledger_of
from models.node_costs import NodeTally
from models.policy_settings import PolicySettings
from models.records import Event
from models.spans import Held
from models.young_baseline import acting_cost_s, saved_against_young


def account(events: Iterable[Event], job: str, settings: PolicySettings) -> dict[str, Any] | None:
    """Where the job's seconds went, what acting cost, and what not acting would have; None before it has begun."""
    return account_from(account_of(events, job), settings)


def account_from(folds: Folds, settings: PolicySettings) -> dict[str, Any] | None:
    """The same of a job whose events were taken in as they came (:class:`models.job_account.JobAccount`)."""
    spent = ledger_of(folds)
    if spent.wall_s <= 0:
        return None
    lost = counterfactuals_of(folds, settings)
    cost_s = acting_cost_s(folds)
    return {
        "buckets": dict(spent.buckets),
        "wall_s": spent.wall_s,
        "ettr": round(spent.ettr, 4),
        "waste_s": spent.waste_s,
        "downtime_s": spent.downtime_s,
        "cost_s": round(cost_s, 3),
        "saved": asdict(saved_against_young(folds, settings)),
        "nodes": node_rows(folds),
        "counterfactual": [asdict(one) for one in lost],
        "saying": saying(cost_s, lost),
    }


def node_rows(folds: Folds) -> list[dict[str, Any]]:
    """One row a node, the dearest first: its counts, and the seconds of the job that it caused, by bucket.

    With the row of the node "", which nobody caused, the seconds of each bucket add up to the job's.
    """
    held, _ = folds.claims.shared()
    at = folds.claims.last_at
    tallies = {} if at is None else folds.nodes.counted(at)
    owners = {owner for _, owner in held} | set(tallies)
    rows = [_row(node, tallies.get(node), held) for node in owners]
    return sorted(rows, key=lambda row: (-row["caused_s"], row["node"]))


def _row(node: str, tally: NodeTally | None, held: Mapping[Held, float]) -> dict[str, Any]:
    seconds = {bucket: found for (bucket, owner), found in sorted(held.items()) if owner == node and found > 0}
    caused_s = sum(found for bucket, found in seconds.items() if bucket != "productive") if node else 0.0
    return {"node": node, "caused_s": caused_s, "seconds": seconds, **asdict(tally or NodeTally())}


def saying(cost_s: float, lost: Sequence[Counterfactual]) -> str:
    """Cost against estimate in one sentence; empty when no node was left."""
    if not lost:
        return ""
    likely, low, high = (sum(getattr(one.total, key) for one in lost) for key in ("likely_s", "low_s", "high_s"))
    nodes, it = ", ".join(one.node for one in lost), "it" if len(lost) == 1 else "them"
    return (
        f"Leaving {nodes} in time cost the job {cost_s:.1f} s of work; losing {it} unforeseen would have cost "
        f"about {likely:.0f} s ({low:.0f} to {high:.0f})."
    )
