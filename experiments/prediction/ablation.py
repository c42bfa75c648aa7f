"""What each group of metrics, and each way to normalise, is worth to the predictor: leave one out, for every way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from experiments.fleet import NAMES, FleetRecording
from experiments.fleet.presets import USABLE_LEAD_STEPS
from experiments.prediction.figures import interval, labels, node_draws
from experiments.prediction.normalising import WAYS, columns_of, fleet_law, side_by_side
from experiments.prediction.plan import HORIZON, Plan
from experiments.prediction.plan import QUICK as SMALL
from experiments.prediction.predictors import INTERVAL_S
from experiments.prediction.study import Progress, side_by_side_lines, workers
from experiments.prediction.watching import joined
from models.features import WINDOW_NAMES
from models.limits import WINDOW_FRAMES
from models.mlp import Predictor
from models.signals import SIGNALS, signal_of
from models.training.examples import Examples, Samples, examples, watch
from models.training.scores import Timeline, at_budget, auc, calibration_error, curve

Floats = NDArray[np.float32]
Told = Callable[[int], None]

#: A small fleet: its intervals are wide, and only large differences mean anything.
FULL: Final = Plan(
    train_blocks=3,
    validation_blocks=1,
    calibration_blocks=3,
    test_blocks=5,
    train_steps=900,
    validation_steps=500,
    calibration_steps=600,
    test_steps=1_000,
    epochs=5,
)
QUICK: Final = replace(SMALL, epochs=1)
HIDDEN: Final = (24,)
BUDGET: Final = 1e-2
#: Signal groups that the fleet has metrics of.
GROUPS: Final = tuple(signal for signal in SIGNALS if signal in {signal_of(name) for name in NAMES})


def stages(plan: Plan, groups: Sequence[str] = GROUPS) -> dict[str, int]:
    """The work of each stage, in node-steps and fits."""
    parts = (*plan.learning_parts(), *plan.judging_parts())
    watched = plan.shards * sum(len(p.nodes) * (p.end - p.first) for p in parts)
    return {"watch": watched, "fit": len(WAYS) * (1 + len(groups))}


def ablation(
    plan: Plan, progress: Progress = lambda stage, done: None, groups: Sequence[str] = GROUPS
) -> tuple[list[dict[str, Any]], Timeline]:
    """A row for each way and each group left out (None: all are there), and a timeline to tell the test part by."""
    plan.require_apart()
    asked = list(product(WAYS, (None, *groups)))
    with workers(plan.shards, progress) as run:
        shards = run("watch", [partial(_watched, plan, shard) for shard in range(plan.shards)])
        parts = joined([parts for parts, _, _ in shards], plan)
        line = side_by_side_lines([one for _, one, _ in shards])
        test = np.concatenate([_in_grid(one, features) for _, one, features in shards], axis=1)
        features = test[~np.isnan(line.probability)]
        chunks = [asked[k :: plan.shards] for k in range(plan.shards)]
        found = run("fit", [partial(_rows, plan, parts, line, features, chunk) for chunk in chunks])
    rows = {(row["normalisation"], row["dropped"]): row for chunk in found for row in chunk}
    return [rows[one] for one in asked], line


def _in_grid(line: Timeline, features: NDArray[np.float16]) -> NDArray[np.float16]:
    grid = np.zeros((*line.probability.shape, features.shape[1]), np.float16)
    grid[~np.isnan(line.probability)] = features
    return grid


def _watched(plan: Plan, shard: int, told: Told) -> tuple[dict[str, Examples], Timeline, NDArray[np.float16]]:
    """Rows of three parts, and of the test part a timeline of noughts and the features of its told places in order."""
    at = shard, plan.shards
    kind = side_by_side(fleet_law(FleetRecording(plan.learning), len(plan.learning_parts()[0].nodes)))
    held: dict[str, Examples] = {}
    for recording, parts in (
        (FleetRecording(plan.learning, at), plan.learning_parts()),
        (FleetRecording(plan.judging, at), plan.judging_parts()[:1]),
    ):
        watched = examples(recording, parts, HORIZON, plan.gap, plan.every, kind)
        for (name, rows), part in zip(watched, parts, strict=True):
            held[name] = rows
            told(len(part.nodes) * (part.end - part.first))
    part = plan.judging_parts()[1]
    recording = FleetRecording(plan.judging, at)
    samples = Samples(recording, part.end + HORIZON)
    grid = np.full((part.end - part.first, len(part.nodes)), np.nan, np.float32)
    features = []
    for step, nodes, shown in watch(recording, part, samples, kind):
        grid[step - part.first, nodes[shown.warm] - part.nodes[0]] = 0
        features.append(shown.features[shown.warm].astype(np.float16))
        told(len(part.nodes))
    samples.skip_to(part.end + HORIZON)
    base = shard * (int(part.nodes.max()) + 1)
    warm = np.where(np.isnan(grid).all(axis=0), len(grid), np.argmax(~np.isnan(grid), axis=0)) + part.first
    own = [(n, s) for n, s in sorted(recording.failures()) if n in part.nodes and warm[n - part.nodes[0]] < s]
    now = tuple((n + base, s) for n, s in own if s <= part.end)
    later = tuple((n + base, s) for n, s in own if s > part.end)
    return held, Timeline(grid, part.first, part.nodes + base, now, later), np.concatenate(features)


def _rows(
    plan: Plan,
    parts: Mapping[str, Examples],
    line: Timeline,
    features: NDArray[np.float16],
    asked: Sequence[tuple[str, str | None]],
    told: Told,
) -> list[dict[str, Any]]:
    failed, draws = labels(line), node_draws(line, plan.seed)
    rows = []
    for way, dropped in asked:
        columns = columns_of(way, dropped)
        predictor = _fitted(plan, parts, columns)
        probability = predictor.calibration(_logit(predictor, features, columns))
        grid = line.probability.copy()
        grid[~np.isnan(grid)] = probability
        own = replace(line, probability=grid)
        best = at_budget(curve(own, HORIZON, BUDGET, USABLE_LEAD_STEPS), own, BUDGET, HORIZON)
        rows.append(
            {
                "dropped": dropped,
                "normalisation": way,
                "usable_recall": round(best.recall, 4),
                "usable_recall_ci95": interval(best, own, draws),
                "false_episodes": best.false,
                "ece": round(calibration_error(probability, failed), 5),
                "auc": round(auc(probability, failed), 4),
            }
        )
        told(1)
    return rows


def _fitted(plan: Plan, parts: Mapping[str, Examples], columns: NDArray[np.intp]) -> Predictor:
    from models.training.fit import Recipe, fit

    names = tuple(WINDOW_NAMES[column % len(WINDOW_NAMES)] for column in columns)
    own = {part: replace(rows, features=rows.features[:, columns]) for part, rows in parts.items()}
    frame = {"feature_names": names, "horizon_s": HORIZON * INTERVAL_S, "window": WINDOW_FRAMES}
    return fit(Recipe(seed=plan.seed, hidden=HIDDEN, epochs=plan.epochs), own, frame)


def _logit(predictor: Predictor, features: NDArray[np.float16], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Raw logits by matrix products: faster than the pipeline's own sums, and the same but for the last digits."""
    found = []
    for start in range(0, len(features), 8_192):
        x = features[start : start + 8_192][:, columns].astype(np.float32)
        x = np.clip((x - predictor.mean) / predictor.std, -predictor.clip, predictor.clip)
        for layer in predictor.layers[:-1]:
            x = np.maximum(x @ layer.weight.T + layer.bias, 0.0)
        found.append((x @ predictor.layers[-1].weight.T + predictor.layers[-1].bias)[:, 0])
    return np.concatenate(found)
