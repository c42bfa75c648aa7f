"""Simulated runs that nothing simulated: made for a test, with the waste that the test says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from experiments.policy_lab.runs import BUCKETS, Runs

WALL_S = 1_000_000.0
COUNTS = ("failures", "foreseen", "alarms", "false_alarms", "checkpoints", "migrations", "waits")


def runs_of(waste: Mapping[str, Sequence[float] | NDArray[np.float64]]) -> Runs:
    """Runs whose waste is given by policy, (seeds,); it is spread unevenly over the buckets that are not productive."""
    shares = np.array(list(waste.values()), np.float64)
    weights = np.arange(1.0, len(BUCKETS))
    wasted = shares[..., None] * weights / weights.sum() * WALL_S
    productive = WALL_S - wasted.sum(axis=-1, keepdims=True)
    count = np.ones_like(shares)
    return Runs(
        policies=tuple(waste),
        seeds=tuple(range(shares.shape[1])),
        wall_s=WALL_S,
        seconds=np.concatenate([productive, wasted], axis=-1),
        counts={name: count * place for place, name in enumerate(COUNTS)},
    )


def noisy(level: float, seeds: int = 20, sd: float = 0.002, seed: int = 0) -> NDArray[np.float64]:
    """(seeds,) waste around a level."""
    return np.maximum(level + sd * np.random.default_rng(seed).standard_normal(seeds), 1e-6)
