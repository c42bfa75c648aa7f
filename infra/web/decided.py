"""A decision as the view knows it: the command or the incident, what it belongs to, and what came of it."""

from __future__ import annotations

from typing import Any

from infra.observer.view import View


def decided(view: View, id: str) -> dict[str, Any] | None:
    """The command or incident of that id with whatever shares its incident; None when neither is known."""
    for name, job in view.jobs.items():
        known = job.commands.get(id)
        if known is not None:
            incident = known.command.incident
        elif id in job.incidents:
            incident = id
        else:
            continue
        told = job.to_json()
        return {
            "id": id,
            "kind": "incident" if known is None else "command",
            "job": name,
            "command": None if known is None else known.to_json(),
            "incident": next((one for one in told["incidents"] if one["id"] == incident), None),
            "related": [one for one in told["commands"] if incident is not None and one["incident"] == incident],
        }
    return None
