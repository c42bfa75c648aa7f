"""The breaker: it latches when more of the fleet would be out within its window than its bound allows.

The fleet, its denominator, are the nodes of the partition's jobs that forestall can act upon: those that run a rank,
the spares, those that it has vacated itself, and whatever is out; not those that are opted out. A node goes out when it
is ordered to be left, or is told to have failed, and counts for a window from then on, whatever becomes of it. Time is
that of ticks, so that no record with a time of its own can open the window.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from models.brakes.state import Trip
from models.decision_state import DecisionState


class Standing(NamedTuple):
    """How many nodes are out within the window, of how many, and how many may be."""

    outs: int
    fleet: int
    bound: int


def bound_of(fleet: int, share: float, nodes_min: int) -> int:
    """Return how many nodes may be out: the share of the fleet, and ``nodes_min`` at least.

    >>> bound_of(100, 0.05, 2), bound_of(10, 0.05, 2), bound_of(59, 0.05, 2)
    (5, 2, 2)
    """
    return max(nodes_min, math.floor(share * fleet + 1e-9))


def standing(state: DecisionState, leaving: frozenset[str] = frozenset()) -> Standing:
    """Return how the breaker stands, were the nodes ``leaving`` out as well."""
    outs = state.brakes.outs.keys() | leaving
    fleet = len(_fleet(state) | outs)
    return Standing(len(outs), fleet, bound_of(fleet, state.settings.breaker_share, state.settings.breaker_nodes))


def _fleet(state: DecisionState) -> set[str]:
    places = ((node, place) for job in state.jobs.values() for node, place in job.places.items())
    return {
        node
        for node, place in places
        if (place.state in {"running", "spare"} or place.left is not None) and state.brakes.opted_out(node) is None
    }


def goes_out(state: DecisionState, node: str, at: float) -> None:
    """A node is out from now on: by an order of ours, or by a failure; too many of them trip the breaker."""
    state.brakes.outs[node] = at
    _trip(state, frozenset(), at)


def would_trip(state: DecisionState, node: str, at: float) -> bool:
    """Whether the breaker is tripped, or trips now because ``node`` would be one too many."""
    if state.brakes.tripped is None:
        _trip(state, frozenset({node}), at)
    return state.brakes.tripped is not None


def _trip(state: DecisionState, leaving: frozenset[str], at: float) -> None:
    stands = standing(state, leaving)
    if state.brakes.tripped is None and stands.outs > stands.bound:
        nodes = tuple(sorted(state.brakes.outs.keys() | leaving))[: stands.bound + 1]
        state.brakes.tripped = Trip(at, stands.outs, stands.fleet, stands.bound, nodes)


def pass_window(state: DecisionState, now: float) -> None:
    """At a tick: what went out a window ago counts no more. A trip stays until somebody resets it."""
    since = now - state.settings.breaker_window_s
    outs = state.brakes.outs
    for node in [node for node, at in outs.items() if at <= since]:
        del outs[node]


def reset(state: DecisionState) -> None:
    """Somebody has looked: the breaker closes, and its window begins anew."""
    state.brakes.tripped = None
    state.brakes.outs.clear()


def trip_text(trip: Trip, window_s: float) -> str:
    """Return in words why the breaker is open.

    >>> trip_text(Trip(0.0, 3, 40, 2, ()), 3600.0)
    'the breaker is open: 3 of 40 nodes out within 3600 s, 2 may be; forestall resume --breaker closes it'
    """
    return (
        f"the breaker is open: {trip.outs} of {trip.fleet} nodes out within {window_s:.0f} s, {trip.bound} may be; "
        "forestall resume --breaker closes it"
    )
