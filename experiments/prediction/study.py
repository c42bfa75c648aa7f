"""The whole study: watch, fit, judge, on two processes; joined in order, so that a seed gives the same figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import Manager, get_context
from typing import Any, TypeVar

import numpy as np

from experiments.prediction.plan import Plan
from experiments.prediction.predictors import MEMBERS, NAMES, SHARES, Scorer, fitted
from experiments.prediction.watching import joined, judged, learned
from models.training.examples import Examples
from models.training.scores import Timeline

Result = TypeVar("Result")
#: (stage, done): how much of a stage is done since the last call.
Progress = Callable[[str, int], None]
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def stages(plan: Plan) -> dict[str, int]:
    """The work of each stage, in node-steps and epochs; the learning parts are watched by the ceiling too."""
    watched = (*plan.learning_parts(), *plan.learning_parts(), plan.judging_parts()[0])
    test = plan.judging_parts()[1]
    return {
        "watch": plan.shards * sum(len(p.nodes) * (p.end - p.first) for p in watched),
        "fit": plan.epochs * (1 + 2 * MEMBERS) + 1,
        "judge": 2 * plan.shards * len(test.nodes) * (test.end - test.first),
    }


def study(plan: Plan, progress: Progress = lambda stage, done: None) -> tuple[dict[str, Timeline], dict[str, Any]]:
    """The timelines of every predictor and of the ceiling on the test part, and what the parts hold."""
    plan.require_apart()
    with workers(plan.shards, progress) as run:
        parts = joined(run("watch", [partial(learned, plan, shard) for shard in range(plan.shards)]), plan)
        held = {name: _held(rows) for name, rows in parts.items()}
        tasks = [partial(_fit, names, plan, parts) for names in SHARES]
        scorers: dict[str, Scorer] = {}
        for found in run("fit", tasks):
            scorers |= found
        scorers = {name: scorers[name] for name in NAMES}
        shards = run("judge", [partial(judged, plan, shard, scorers) for shard in range(plan.shards)])
    return {name: side_by_side_lines([shard[name] for shard in shards]) for name in shards[0]}, held


def _fit(
    names: tuple[str, ...], plan: Plan, parts: Mapping[str, Examples], told: Callable[[int], None]
) -> dict[str, Scorer]:
    found = {}
    for name in names:
        found[name] = fitted(name, plan, parts, partial(told, 1))
    return found


def side_by_side_lines(lines: list[Timeline]) -> Timeline:
    """The timelines of shards as one."""
    return Timeline(
        np.concatenate([line.probability for line in lines], axis=1),
        lines[0].first,
        np.concatenate([line.node for line in lines]),
        tuple(one for line in lines for one in line.failures),
        tuple(one for line in lines for one in line.later),
    )


def _held(rows: Examples) -> dict[str, Any]:
    return {
        "rows": len(rows.failed),
        "failures": len(rows.failures),
        "positive_share": round(float(rows.failed.mean()), 5),
        "target_share": round(float(rows.target.mean()), 5),
    }


@contextmanager
def workers(count: int, progress: Progress) -> Iterator[Callable[[str, Sequence[Callable[..., Any]]], list[Any]]]:
    """Run tasks side by side in processes of one thread each; a task tells its progress to the function given to it."""
    if count == 1:
        yield lambda stage, tasks: [task(partial(progress, stage)) for task in tasks]
        return
    kept = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        context = get_context("spawn")
        with Manager() as manager, ProcessPoolExecutor(count, context) as pool:
            queue = manager.Queue()
            yield lambda stage, tasks: _side(pool, queue, stage, tasks, progress)
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def _side(pool: Executor, queue: Any, stage: str, tasks: Sequence[Callable[..., Any]], progress: Progress) -> list[Any]:
    futures: list[Future[Any]] = [pool.submit(task, queue.put) for task in tasks]
    while not all(future.done() for future in futures):
        _tell(queue, stage, progress)
    return [future.result() for future in futures]


def _tell(queue: Any, stage: str, progress: Progress) -> None:
    from queue import Empty

    try:
        progress(stage, queue.get(timeout=0.2))
    except Empty:
        return
