"""The fleet health number of all nodes that the topics tell of, with what it is made of."""

from __future__ import annotations

from typing import Any

from infra.observer.fleet import FleetView
from models.fleet_health import DEFINITION, FleetHealth, Standing, fleet_health, node_states


def health_of(fleet: FleetView, standing: Standing) -> dict[str, Any]:
    """The number with its terms, as ``forestall status --json`` and the page have it.

    Of every node that was assessed or that a job told of.
    """
    latest = {name: view.latest() for name, view in fleet.nodes.items()}
    assessed = {name: one for name, one in latest.items() if one is not None}
    return as_told(fleet_health(node_states({*latest, *standing.members()}, assessed, standing)))


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
