"""What the first page says in a few kilobytes, however large the fleet and however many jobs."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

from infra.observer.job import JobView
from infra.observer.view import View
from infra.web.packed import VERDICTS, roles_of
from models.records import Assessment

WATCHED_MAX: Final = 12
JOBS_MAX: Final = 100
RECENT_MAX: Final = 14
#: From each job so many of its newest commands and incidents are looked at.
EACH_MAX: Final = 20


def digest(view: View) -> dict[str, Any]:
    """Counts, the nodes that need a look, each job in a line, what happened last, what holds."""
    return {
        "counts": view.counted(),
        "models": view.models(),
        "outcomes": dict(view.outcomes),
        "unreadable": view.unreadable,
        "dead_reasons": dict(view.dead_reasons),
        "watch": watch(view),
        "jobs": [line(view.jobs[name]) for name in sorted(view.jobs)[:JOBS_MAX]],
        "jobs_known": len(view.jobs),
        "recent": heapq.nlargest(
            RECENT_MAX, recent(view), key=lambda one: (one["at"], one["kind"] != "INCIDENT", one["id"])
        ),
        "brakes": view.brakes.to_json(),
        "shadow_policies": shadows(view),
    }


def shadows(view: View) -> list[dict[str, Any]]:
    """How the policies that run in the shadow compare, job by job."""
    return [] if view.shadows is None else [asdict(one) for one in view.shadows.compared()[:JOBS_MAX]]


def watch(view: View) -> list[dict[str, Any]]:
    """The nodes that are not healthy, the worst first; one that warms up needs nobody."""
    roles = roles_of(view)
    worst = heapq.nlargest(WATCHED_MAX, _troubled(view), key=_badness)
    return [
        {
            "node": one.node,
            "verdict": one.verdict,
            "probability": None if one.probability is None else round(one.probability, 4),
            "deviation": None if one.deviation is None else round(one.deviation, 2),
            "role": roles.get(one.node, ("", ""))[0],
            "job": roles.get(one.node, ("", one.job or ""))[1],
            "incident": one.incident,
            "alarmed": view.fleet.nodes[one.node].alarmed,
        }
        for one in worst
    ]


def _troubled(view: View) -> Iterator[Assessment]:
    for name in view.fleet.names():
        latest = view.fleet.nodes[name].latest()
        if latest is not None and latest.verdict in ("suspect", "failing", "unknown"):
            yield latest


def _badness(one: Assessment) -> tuple[int, float]:
    return VERDICTS.index(one.verdict), one.probability or 0.0


def line(job: JobView) -> dict[str, Any]:
    """One job in a line."""
    states = [member.state for member in job.members.values()]
    open_now = [one for one in job.incidents.values() if one.state != "closed" and not one.history]
    return {
        "job": job.job,
        "step": job.step_max,
        "ranks": states.count("running"),
        "spares": states.count("spare"),
        "vacated": states.count("vacated"),
        "commands": len(job.commands),
        "incidents": len(open_now),
        "told": max((progress.at for progress in job.ranks.values()), default=None),
    }


def recent(view: View) -> Iterator[dict[str, Any]]:
    """What happened last: commands and incidents of every job."""
    for name, job in view.jobs.items():
        for one in list(job.commands.values())[-EACH_MAX:]:
            command = one.command
            ends = {stage for stage in ("done", "failed", "expired", "rejected") if one.ended(stage)}
            yield {
                "at": command.issued_at,
                "id": command.id,
                "kind": command.action,
                "job": name,
                "node": command.node,
                "spare": command.spare,
                "rule": command.reason.rule,
                "ended": "done" if ends == {"done"} else ", ".join(sorted(ends - {"done"})) or "under way",
            }
        for incident in [one for one in job.incidents.values() if not one.history][-EACH_MAX:]:
            yield {
                "at": job.opened_at.get(incident.incident, incident.at),
                "id": incident.incident,
                "kind": "INCIDENT",
                "job": name,
                "node": incident.node,
                "spare": None,
                "rule": f"P {incident.probability:.2f}",
                "ended": "closed" if incident.state == "closed" else "open",
            }
