"""A fleet's faults over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Trace:
    """Faults in the order of their starts; those of one node do not overlap.

    Parameters
    ----------
    nodes : size of the fleet; nodes that no fault names never fail.
    node : (faults,) 0…nodes−1.
    start, end : (faults,) in seconds; ``end`` = ``start`` is a fault of zero length.
    merged : how many overlapping faults of one node were made one.
    """

    nodes: int
    node: NDArray[np.intp]
    start: NDArray[np.float64]
    end: NDArray[np.float64]
    merged: int = 0
