"""Going on smaller: a job that may shrink runs with whole replicas only, and grows back when that pays."""

from __future__ import annotations


def whole_replicas(healthy: int, replica_nodes: int) -> int:
    """Return how many nodes run: whole replicas of the healthy ones.

    >>> whole_replicas(2047, 16), whole_replicas(2048, 16)
    (2032, 2048)
    """
    return healthy // replica_nodes * replica_nodes


def growth_gain_s(more_nodes: int, nodes: int, until_restart_s: float) -> float:
    """Return the work gained by growing now and not at the next restart, where it comes for nothing (s).

    >>> growth_gain_s(32, 2048, 11124.0)
    173.8125
    """
    return more_nodes / nodes * until_restart_s


def shrink_price_s(probability: float, dry: float, replica_nodes: int, nodes: int, horizon_s: float) -> float:
    """Return the price of vacating a node for a job that shrinks where others wait: (1 − P)·Pr[pool dry]·H·replica/n.

    >>> shrink_price_s(0.5, 1.0, 16, 2048, 3600.0)
    14.0625
    """
    return (1.0 - probability) * dry * horizon_s * replica_nodes / nodes
