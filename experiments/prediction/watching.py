"""Watching the fleets through the pipeline's own operator: rows to fit on, and the scores of the test part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.fleet import FleetRecording, FleetSpec
from experiments.fleet.ceiling import ceiling
from experiments.prediction.plan import HORIZON, Plan
from experiments.prediction.predictors import Floats, Scorer
from models.cohort import Index
from models.features import pool_deviation, squashed
from models.limits import BASELINE_FRAMES
from models.training.examples import Examples, FeaturesAlone, Samples, examples, side_by_side, watch
from models.training.recording import Part
from models.training.scores import Timeline

CEILING: Final = "ceiling"
#: Steps of which the rows are scored together.
_TOGETHER: Final = 8
Told = Callable[[int], None]


class Reading(FeaturesAlone):
    """The pipeline's cohort; of its features only those that are read are worked out, in less than half of the time."""

    def _features(self, rows: Index, deviation: Floats) -> Floats:
        told = self.state["seen"][rows] >= BASELINE_FRAMES
        gathered = squashed(self.evidence.features(rows, told, self.eventful(rows), self.aspects))
        return np.concatenate([pool_deviation(told, deviation, self.columns), gathered], axis=1)


def learned(plan: Plan, shard: int, told: Told) -> dict[str, Examples]:
    """Rows of train, validation and calibration in one shard; nodes are numbered over all shards."""
    held: dict[str, Examples] = {}
    at = (shard, plan.shards)
    for recording, parts in (
        (FleetRecording(plan.learning, at), plan.learning_parts()),
        (FleetRecording(plan.judging, at), plan.judging_parts()[:1]),
    ):
        for (name, rows), part in zip(
            examples(recording, parts, HORIZON, plan.gap, plan.every, Reading), parts, strict=True
        ):
            held[name] = rows
            told(len(part.nodes) * (part.end - part.first))
    for part in plan.learning_parts():
        posterior = np.nan_to_num(_ceiling(plan, plan.learning, part, shard, told))
        rows = held[part.name]
        believed = posterior[rows.step - part.first, rows.node - part.nodes[0]]
        held[part.name] = replace(rows, believed=believed)
    return held


def joined(shards: list[dict[str, Examples]], plan: Plan) -> dict[str, Examples]:
    """The rows of all shards together, nodes renumbered so that no two shards share one."""
    return {
        part.name: side_by_side([shard.pop(part.name) for shard in shards], int(part.nodes.max()) + 1)
        for part in (*plan.learning_parts(), plan.judging_parts()[0])
    }


def judged(plan: Plan, shard: int, scorers: Mapping[str, Scorer], told: Told) -> dict[str, Timeline]:
    """The probabilities of each predictor, and of the ceiling, on one shard's test nodes."""
    part = plan.judging_parts()[1]
    recording = FleetRecording(plan.judging, (shard, plan.shards))
    samples = Samples(recording, part.end + HORIZON)
    shape = part.end - part.first, len(part.nodes)
    grids = {name: np.full(shape, np.nan, np.float32) for name in scorers}
    waiting: list[tuple[int, NDArray[np.intp], Floats]] = []
    warm = np.full(len(part.nodes), part.end)
    for step, nodes, shown in watch(recording, part, samples, Reading):
        columns = nodes[shown.warm] - part.nodes[0]
        np.minimum.at(warm, columns, step)
        waiting.append((step - part.first, columns, shown.features[shown.warm]))
        if len(waiting) == _TOGETHER:
            _score(waiting, scorers, grids)
            told(_TOGETHER * len(part.nodes))
    _score(waiting, scorers, grids)
    samples.skip_to(part.end + HORIZON)
    seen = ~np.isnan(next(iter(grids.values())))
    # Of a node that is being worked on the ceiling says nothing: it knows that no fault is developing.
    grids[CEILING] = np.where(seen, np.nan_to_num(_ceiling(plan, plan.judging, part, shard, told)), np.float32(np.nan))
    own = sorted((row, at) for row, at in recording.failures() if row in part.nodes and warm[row - part.nodes[0]] < at)
    base = shard * (int(part.nodes.max()) + 1)
    now = tuple((row + base, at) for row, at in own if at <= part.end)
    later = tuple((row + base, at) for row, at in own if part.end < at)
    return {name: Timeline(grid, part.first, part.nodes + base, now, later) for name, grid in grids.items()}


def _score(
    waiting: list[tuple[int, NDArray[np.intp], Floats]], scorers: Mapping[str, Scorer], grids: dict[str, Floats]
) -> None:
    if not waiting:
        return
    rows = np.concatenate([np.full(len(columns), step) for step, columns, _ in waiting])
    columns, features = (np.concatenate([one[k] for one in waiting]) for k in (1, 2))
    for name, scorer in scorers.items():
        if len(rows):
            grids[name][rows, columns] = scorer(features)
    waiting.clear()


def _ceiling(plan: Plan, fleet: FleetSpec, part: Part, shard: int, told: Told) -> Floats:
    """P by the one who knows everything but whether a node is failing, of a part's steps and nodes.

    He believes in the rates of the fleet to be judged on, in the learning fleet too.
    """
    width = fleet.nodes // plan.shards
    rows = slice(shard * width + int(part.nodes[0]), shard * width + int(part.nodes[-1]) + 1)
    chunks = []
    for chunk in ceiling(fleet, HORIZON, part.end, first=part.first, rows=rows, believing=plan.judging):
        chunks.append(chunk)
        told(chunk.size)
    return np.concatenate(chunks)
