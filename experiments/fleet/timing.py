"""How long the making of a fleet takes, whole or in shards."""

from __future__ import annotations

import time

from experiments.fleet.fleet import CHUNK_STEPS, Fleet
from experiments.fleet.spec import FleetSpec


def make(spec: FleetSpec, steps: int, shard: tuple[int, int]) -> tuple[int, float]:
    """Frames made, and the seconds that they took, of one shard."""
    start = time.perf_counter()
    fleet = Fleet(spec, shard)
    while fleet.step < steps:
        fleet.block(min(CHUNK_STEPS, steps - fleet.step))
    return steps * len(fleet.names), time.perf_counter() - start
