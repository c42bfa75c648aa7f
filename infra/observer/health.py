"""The fleet health number of all nodes that the topics tell of, with what it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from infra.observer.fleet import FleetView, natural_key
from infra.observer.job import JobView
from models.fleet_health import DEFINITION, FleetHealth, NodeState, fleet_health


def health_of(fleet: FleetView, jobs: Mapping[str, JobView]) -> dict[str, Any]:
    """The number with its terms, as ``forestall status --json`` and the page have it."""
    return as_told(fleet_health(node_states(fleet, jobs)))


def node_states(fleet: FleetView, jobs: Mapping[str, JobView]) -> Iterator[NodeState]:
    """Every node that was assessed or that a job told of: out by its newest word, else as assessed, else unknown."""
    standing = _standing(jobs)
    for name in sorted({*fleet.nodes, *standing}, key=natural_key):
        view = fleet.nodes.get(name)
        latest = None if view is None else view.latest()
        if standing.get(name) == "vacated":
            yield NodeState(name, "out", None if latest is None else latest.probability)
        elif latest is None:
            yield NodeState(name, "unknown")
        else:
            yield NodeState(name, latest.verdict, latest.probability)


def _standing(jobs: Mapping[str, JobView]) -> dict[str, str]:
    """Where each node stands by the newest word of any job: a failed one is vacated there."""
    newest: dict[str, tuple[float, str]] = {}
    for job in jobs.values():
        for member in job.members.values():
            if member.node not in newest or member.at > newest[member.node][0]:
                newest[member.node] = (member.at, member.state)
    return {node: state for node, (_, state) in newest.items()}


def as_told(health: FleetHealth) -> dict[str, Any]:
    """As JSON; P and worth of the healthy nodes together, of each other node on its own."""
    return {
        "number": health.number,
        "nodes": health.nodes,
        "worth": round(health.worth, 6),
        "terms": [
            {
                "state": one.state,
                "nodes": one.nodes,
                "probability": round(one.probability, 6),
                "worth": round(one.worth, 6),
            }
            for one in health.terms
        ],
        "lessened": [
            {"node": one.node, "state": one.state, "probability": one.probability, "worth": round(one.worth, 6)}
            for one in health.lessened
        ],
        "definition": DEFINITION,
    }
