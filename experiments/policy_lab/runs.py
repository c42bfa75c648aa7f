"""What came of simulated runs: the seconds of each policy and seed, each second in one bucket."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: The ledger's buckets, in the order of the last axis of :attr:`Runs.seconds`.
BUCKETS: Final = (
    "productive",
    "checkpoint",
    "recomputed",
    "detection",
    "restart",
    "migration",
    "waiting",
    "degraded",
)


@dataclass(frozen=True, slots=True)
class Runs:
    """Paired runs: the failures of a seed are the same under every policy.

    Parameters
    ----------
    policies : names, in the order of the first axis.
    seeds : in the order of the second axis.
    wall_s : simulated wall time of a run.
    seconds : (policies, seeds, buckets), each row summing to ``wall_s``.
    counts : by name (``failures``, ``foreseen``, ``alarms``, ``false_alarms``, ``checkpoints``, ``migrations``,
        ``waits``), each (policies, seeds).
    """

    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    wall_s: float
    seconds: NDArray[np.float64]
    counts: Mapping[str, NDArray[np.float64]]

    @property
    def waste(self) -> NDArray[np.float64]:
        """(policies, seeds): the share of wall time that was not productive."""
        productive = self.seconds[..., BUCKETS.index("productive")]
        return 1.0 - productive / self.wall_s
