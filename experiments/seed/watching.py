"""A fleet that no predictor was trained on, watched by the pipeline's own operator and scored by a predictor."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.fleet import FleetRecording
from experiments.fleet.presets import DAY_STEPS, USABLE_LEAD_STEPS, prediction_fleet
from experiments.prediction.plan import HORIZON
from models.cohort import Cohort
from models.features import columns_of
from models.mlp import Predictor
from models.training.examples import Examples, before, side_by_side
from models.training.scores import alarms

#: Added to the seed of a command: a fleet that was trained on, with a small number for its seed, is none to judge by.
APART: Final = 7_000_000
#: Fleets, and nodes and days of each: about a hundred failures together, at the fleet's .15 a node-day.
FLEETS, NODES, DAYS = 2, 256, 1.5
#: A predictor says nothing when all of its probabilities lie within such a width.
STUCK_WIDTH: Final = 0.02

Doubles = NDArray[np.float64]
Index = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Watched:
    """Probabilities of all that was seen, the truth about it, and the fleet's horizon in intervals.

    A predictor's own horizon is counted in the intervals that it was trained at; alarms are judged by the fleet's.
    ``cpu_s`` is what watching and predicting took, on one core.
    """

    probability: Doubles
    seen: Examples
    horizon: int
    interval_s: float
    cpu_s: float

    @property
    def node_hours(self) -> float:
        """How many hours of nodes were watched."""
        return len(self.probability) * self.interval_s / 3600.0

    @property
    def failures(self) -> int:
        """How many failures a predictor could have foreseen or missed."""
        return len(self.seen.failures)


def watch(predictor: Predictor, seed: int) -> Watched:
    """Simulate fleets apart from all training, one a core, watch them, and score each frame as it comes.

    Parameters
    ----------
    predictor : its features are those of the pipeline.
    seed : that of the command.
    """
    seeds = [APART + FLEETS * seed + number for number in range(FLEETS)]
    with ProcessPoolExecutor(FLEETS, mp_context=get_context("spawn")) as pool:
        return joined(list(pool.map(watch_fleet, repeat(predictor), seeds)))


def joined(fleets: Sequence[Watched]) -> Watched:
    """Several fleets as one, nodes numbered on."""
    first, apart = fleets[0], max(int(each.seen.node.max()) for each in fleets) + 1
    seen = side_by_side([each.seen for each in fleets], apart)
    probability = np.concatenate([each.probability for each in fleets])
    return Watched(probability, seen, first.horizon, first.interval_s, sum(each.cpu_s for each in fleets))


def watch_fleet(predictor: Predictor, seed: int, nodes: int = NODES, days: float = DAYS) -> Watched:
    """Watch one simulated fleet from its first frame on."""
    spec = prediction_fleet(nodes, seed)
    recording, steps = FleetRecording(spec), round(days * DAY_STEPS)
    cohort = Cohort(recording.metrics, recording.counters)
    rows = cohort.add(nodes)
    columns = columns_of(predictor.feature_names)
    told: list[tuple[Doubles, Index, Index]] = []
    cpu_s = 0.0
    for at, values in enumerate(sample for block in recording.blocks(steps) for sample in block.astype(np.float64)):
        began = time.process_time()
        present = np.flatnonzero(~np.isnan(values).all(axis=1))
        seen = cohort.advance(rows[present], np.full(len(present), at * spec.interval_s), values[present])
        warm = present[seen.warm]
        if len(warm):
            own = seen.features[seen.warm][:, columns]
            told.append((predictor.probability(own), warm, np.full(len(warm), at)))
        cpu_s += time.process_time() - began
    probability, node, step = (np.concatenate(each) for each in zip(*told, strict=True))
    return Watched(probability, label(node, step, recording.failures(), HORIZON), HORIZON, spec.interval_s, cpu_s)


def label(node: Index, step: Index, failures: Sequence[tuple[int, int]], horizon: int) -> Examples:
    """What was seen, without its features: failed is what fails within the horizon after.

    Failures of nodes that were not yet warm, which nobody could foresee, are left out.
    """
    own = [(row, at) for row, at in sorted(failures) if (step[node == row] < at).any()]
    return Examples(np.empty((len(node), 0), np.float32), before(node, step, failures, horizon), node, step, tuple(own))


def figures(watched: Watched, threshold: float) -> dict[str, Any]:
    """What a threshold θ gives: accuracy beside that of "never", and what its alarms foresee.

    Recall counts failures whose alarm opened early enough to use; precision counts alarms, not frames.
    """
    failed = watched.seen.failed
    found = alarms(watched.probability, watched.seen, threshold, watched.horizon, USABLE_LEAD_STEPS)
    return {
        "theta": threshold,
        "accuracy": round(float(((watched.probability >= threshold) == failed).mean()), 5),
        "accuracy_of_never": round(float(1 - failed.mean()), 5),
        "recall": round(found.recall, 4),
        "precision": round(found.precision, 4),
        "false_per_node_day": round(found.false_per_day, 5),
    }


def stuck(probability: Doubles) -> float | None:
    """The one value that a predictor gives whatever it sees, or nothing where it tells cases apart.

    An untrained network, or one whose inputs are not normalised, says about .5 (or 0, or 1) of everything.

    >>> stuck(np.full(100, 0.5)), stuck(np.linspace(0, 1, 100))
    (0.5, None)
    """
    if float(probability.max() - probability.min()) > STUCK_WIDTH:
        return None
    return round(float(np.median(probability)), 3)
