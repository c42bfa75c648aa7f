"""Three ways to make a node's metrics comparable, side by side: what the node's own baseline is worth.

*adaptive*: in the node's own units, against a baseline that follows it (the pipeline's way). *own*: in the node's own
units, from its first frames on. *fleet*: against mean and standard deviation of the whole fleet.
"""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from models.cohort import Index, Observed
from models.features import WINDOW_NAMES, pool_features
from models.limits import BASELINE_FRAMES, RANGE_FRAMES, WINDOW_FRAMES
from models.markov import node_deviation
from models.training.examples import FeaturesAlone
from models.training.recording import Recording
from models.windows import window_statistics

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

WAYS: Final = ("adaptive", "own", "fleet")
#: Steps from which mean and deviation of the fleet are taken.
_FLEET_STEPS: Final = 256


def fleet_law(recording: Recording, nodes: int) -> tuple[Doubles, Doubles]:
    """Mean and standard deviation of each metric over the first nodes and steps, counters as rates a second.

    The deviation of a counter is at least the rate of one count in a window.
    """
    block = next(iter(recording.blocks(_FLEET_STEPS)))[:, :nodes].astype(np.float64)
    counters = np.array(recording.counters)
    rate = np.diff(block[..., counters], axis=0) / recording.interval_s
    block = block[1:]
    block[..., counters] = np.where(rate >= 0, rate, np.nan)
    whole = block.reshape(-1, block.shape[-1])
    mean, spread = np.nanmean(whole, axis=0), np.nanstd(whole, axis=0)
    least = np.where(counters, 1.0 / (WINDOW_FRAMES * recording.interval_s), 1e-6)
    return mean, np.maximum(spread, least)


class SideBySide(FeaturesAlone):
    """A cohort whose features are those of all :data:`WAYS`, one after the other; ``law`` is that of the fleet."""

    law: ClassVar[tuple[Doubles, Doubles]]

    def _observe(self, rows: Index, z: Floats) -> Observed:
        state, (mean, spread) = self.state, self.law
        deviation = self.chains.deviation(rows)
        told = state["seen"][rows] >= BASELINE_FRAMES
        window, unit = state["window"][rows], state["unit"][rows]
        none = np.zeros_like(state["centre"][rows])
        baselines = (
            (state["centre"][rows], state["scale"][rows]),
            (none, none + np.float32(1.0)),
            (((mean - state["anchor"][rows]) / unit).astype(np.float32), (spread / unit).astype(np.float32)),
        )
        features = [pool_features(window_statistics(window, *one), told, deviation, self.columns) for one in baselines]
        warm = state["frames"][rows] > RANGE_FRAMES
        return Observed(np.concatenate(features, axis=1), node_deviation(deviation), z, warm)


def side_by_side(law: tuple[Doubles, Doubles]) -> type[SideBySide]:
    """The cohort of a fleet of which this is the law."""

    class OfFleet(SideBySide):
        pass

    OfFleet.law = law
    return OfFleet


def columns_of(way: str, dropped: str | None) -> NDArray[np.intp]:
    """The columns of one way without those of a signal group."""
    start = WAYS.index(way) * len(WINDOW_NAMES)
    kept = [k for k, name in enumerate(WINDOW_NAMES) if dropped is None or not name.startswith(f"{dropped}.")]
    return np.array(kept, np.intp) + start
