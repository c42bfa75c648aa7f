"""Fleets that fail by a known law, for tests of what a fault log tells."""

from __future__ import annotations

import numpy as np

from experiments.failure_trace.trace import Trace

DAY_S = 86_400.0


def fleet_log(
    seed: int,
    *,
    nodes: int = 100,
    days: float = 120.0,
    a_day: float = 0.01,
    relapse: float = 0.0,
    together: float = 0.0,
) -> Trace:
    """Faults of a fleet, each node by itself unless ``together``.

    Parameters
    ----------
    a_day : faults of their own a node and day (Poisson).
    relapse : chance that a repaired node fails again, after an exponential time of 3 hours on average.
    together : chance that a fault takes another node with it, within a minute.
    """
    random = np.random.default_rng(seed)
    faults: list[tuple[int, float]] = []
    for node in range(nodes):
        faults += [(node, at) for at in random.random(random.poisson(a_day * days)) * days * DAY_S]
    extra = [(int(random.integers(nodes)), at + 60 * random.random()) for _, at in faults if random.random() < together]
    kept: list[tuple[float, float, int]] = []
    free = np.zeros(nodes)
    waiting = sorted((at, node) for node, at in [*faults, *extra])
    while waiting:
        at, node = waiting.pop(0)
        if at <= free[node] or at > days * DAY_S:
            continue
        end = at + random.exponential(6 * 3600.0)
        kept.append((at, end, node))
        free[node] = end
        if random.random() < relapse:
            waiting = sorted([*waiting, (end + random.exponential(3 * 3600.0), node)])
    kept.sort()
    return Trace(
        nodes,
        np.array([node for _, _, node in kept], np.intp),
        np.array([start for start, _, _ in kept]),
        np.array([end for _, end, _ in kept]),
    )
