"""A job's ledger beside what losing the nodes that it left would have cost, for a page and a summary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from models.counterfactual import Counterfactual, counterfactuals
from models.job_story import job_story
from models.ledger import Ledger, ledger
from models.policy_settings import PolicySettings
from models.records import Event


def account(events: Iterable[Event], job: str, settings: PolicySettings) -> dict[str, Any] | None:
    """Where the job's seconds went, what acting cost, and what not acting would have; None before it has begun."""
    events = list(events)
    spent = ledger(events, job)
    if spent.wall_s <= 0:
        return None
    lost = counterfactuals(events, job, settings)
    cost_s = acting_cost_s(spent, own_start_s(events, job))
    return {
        "buckets": dict(spent.buckets),
        "wall_s": spent.wall_s,
        "ettr": round(spent.ettr, 4),
        "cost_s": round(cost_s, 3),
        "counterfactual": [asdict(one) for one in lost],
        "saying": saying(cost_s, lost),
    }


def own_start_s(events: Iterable[Event], job: str) -> float:
    """Seconds from the job's first running member to its first step: no doing of forestall's."""
    story = job_story(events, job)
    if story.first_at is None or not story.progress:
        return 0.0
    return story.progress[0].at - story.first_at


def acting_cost_s(spent: Ledger, start_s: float) -> float:
    """What was not productive, its own start and slow steps apart: checkpoints, moves, waiting, work done again."""
    return max(0.0, spent.waste_s - spent.buckets["degraded"] - start_s)


def saying(cost_s: float, lost: Iterable[Counterfactual]) -> str:
    """Cost against estimate in one sentence; empty when no node was left."""
    lost = list(lost)
    if not lost:
        return ""
    likely, low, high = (sum(getattr(one.total, key) for one in lost) for key in ("likely_s", "low_s", "high_s"))
    nodes, it = ", ".join(one.node for one in lost), "it" if len(lost) == 1 else "them"
    return (
        f"Leaving {nodes} in time cost the job {cost_s:.1f} s of work; losing {it} unforeseen would have cost "
        f"about {likely:.0f} s ({low:.0f} to {high:.0f})."
    )
