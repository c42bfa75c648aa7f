"""A fleet that no predictor was trained on, watched by the pipeline's own operator and scored by a predictor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.fleet import FleetRecording
from experiments.fleet.presets import DAY_STEPS, prediction_fleet
from models.limits import WINDOW_FRAMES
from models.mlp import Predictor
from models.training.examples import Examples, examples
from models.training.recording import Part
from models.training.scores import alarms

#: Added to the seed of a command: a fleet that was trained on, with a small number for its seed, is none to judge by.
APART: Final = 7_000_000
#: Enough nodes and days for a hundred failures at the fleet's rate (about .15 a node-day).
NODES, DAYS = 256, 3
#: A predictor says nothing when all of its probabilities lie within such a width.
STUCK_WIDTH: Final = 0.02

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Watched:
    """Probabilities of all that was seen, the truth about it, and the predictor's horizon in intervals."""

    probability: Doubles
    seen: Examples
    horizon: int
    interval_s: float

    @property
    def node_hours(self) -> float:
        """How many hours of nodes were watched."""
        return len(self.probability) * self.interval_s / 3600.0

    @property
    def failures(self) -> int:
        """How many failures a predictor could have foreseen or missed."""
        return len(self.seen.failures)


def watch(predictor: Predictor, seed: int, nodes: int = NODES, days: float = DAYS) -> Watched:
    """Simulate a fleet apart from all training, watch it, and score each frame.

    Parameters
    ----------
    predictor : its features are those of the pipeline.
    seed : that of the command.
    """
    spec = prediction_fleet(nodes, APART + seed)
    horizon = max(round(predictor.horizon_s / spec.interval_s), 1)
    part = Part("test", np.arange(nodes), 0, round(days * DAY_STEPS))
    [(_, seen)] = examples(FleetRecording(spec), [part], horizon, horizon + WINDOW_FRAMES, {})
    return Watched(predictor.probability(seen.features), seen, horizon, spec.interval_s)


def figures(watched: Watched, threshold: float) -> dict[str, Any]:
    """What a threshold θ gives: accuracy beside that of "never", and what its alarms foresee.

    Recall counts failures whose alarm opened early enough to use; precision counts alarms, not frames.
    """
    failed = watched.seen.failed
    found = alarms(watched.probability, watched.seen, threshold, watched.horizon)
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
