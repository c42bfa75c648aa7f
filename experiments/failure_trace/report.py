"""Everything that a fault log tells of a history hazard, forward in time, as one JSON object."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from experiments.failure_trace.job import Prices
from experiments.failure_trace.saving import OURS, POLICIES, Saving, enough_spares, save
from experiments.failure_trace.scoring import (
    DAY_S,
    OWN_PAST,
    Gain,
    digest,
    fault_log,
    gain,
    lift,
)
from experiments.failure_trace.trace import Trace
from models.history import WEIGHED, HistoryShape
from models.history_fit import fit_history, log_likelihood

#: A log with fewer faults shows nothing.
FAULTS_MIN: Final = 4
_BLOCKS, _RESAMPLES = 24, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is scored on which job; ``spares`` None: so many that it never waits."""

    prices: Prices
    spares: int | None
    seeds: Sequence[int]


def history_report(
    trace: Trace, shape: HistoryShape, fitted_on: str | None, asked: Asked, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Score a shape on a whole log; where it was fitted to this very one, also one fitted to its first half only.

    Parameters
    ----------
    fitted_on : digest of the log that the shape was fitted to.
    progress : is told how many runs are done, of :func:`runs_of`.
    """
    log = fault_log(trace)
    mine = digest(trace)
    result = _scored(trace, shape, asked, (log.begin, log.finish), progress)
    result |= {"trace": mine, "in_sample": mine == fitted_on}
    if mine == fitted_on:
        middle = (log.begin + log.finish) / 2.0
        done = len(POLICIES) * len(asked.seeds)
        honest = _scored(
            trace, fit_history(log, middle), asked, (middle, log.finish), lambda more: progress(done + more)
        )
        result["forward"] = {"fitted_until_s": middle, **honest}
    return result


def runs_of(trace: Trace, fitted_on: str | None, asked: Asked) -> int:
    """Return how many runs :func:`history_report` makes."""
    return len(POLICIES) * len(asked.seeds) * (2 if digest(trace) == fitted_on else 1)


def _scored(
    trace: Trace, shape: HistoryShape, asked: Asked, span: tuple[float, float], progress: Callable[[int], None]
) -> dict[str, Any]:
    since, until = span
    edges = np.linspace(since, until, _BLOCKS + 1)
    whole = gain(trace, shape, edges)
    ranked = lift(trace, shape, since, until)
    spares = enough_spares(trace) if asked.spares is None else asked.spares
    saving = save(
        trace, shape, asked.prices, spares=spares, seeds=asked.seeds, since=since, until=until, progress=progress
    )
    low, high = saving.interval(OURS, asked.seeds[0])
    return {
        "nats_per_fault_gain": whole.per_fault[0],
        "lift_top_1pct": ranked.top,
        "saved_vs_young": saving.saved(OURS),
        "ci95": [low, high],
        "faults": int(((trace.start >= since) & (trace.start <= until)).sum()),
        "faults_scored": int(whole.faults.sum()),
        "merged": trace.merged,
        "nodes": trace.nodes,
        "days": (until - since) / DAY_S,
        "nats": _nats(trace, shape, edges, whole, asked.seeds[0]),
        "lift": {
            "day_rule": ranked.rule,
            "day_rule_share": ranked.rule_share,
            "same_share": ranked.top_rule_share,
        },
        "believed": _believed(trace, shape, until),
        "job": {"nodes": trace.nodes - spares, "spares": spares, "young_interval_s": saving.interval_s},
        "policies": [_policy(saving, name, asked.seeds[0]) for name in POLICIES],
        "seeds": len(asked.seeds),
    }


def _nats(trace: Trace, shape: HistoryShape, edges: Any, whole: Gain, seed: int) -> dict[str, Any]:
    """Where the gain comes from: faults of the fleet within seconds of each other foretell much and help nobody."""
    slow = replace(shape, shared=(0.0, *shape.shared[1:]))
    return {
        "over_hindsight": whole.per_fault[0],
        "ci95": _interval(whole, seed),
        "over_online": whole.per_fault[1],
        "own_past_only": gain(trace, shape, edges, OWN_PAST).per_fault[0],
        "without_bursts": gain(trace, slow, edges).per_fault[0],
    }


def _interval(whole: Gain, seed: int) -> list[float]:
    """95 % interval of nats a fault, by bootstrap over blocks of time."""
    blocks = len(whole.faults)
    chosen = np.random.default_rng(seed).integers(blocks, size=(_RESAMPLES, blocks))
    faults = np.maximum(whole.faults[chosen].sum(axis=1), 1)
    ends: list[float] = np.quantile(whole.over_hindsight[chosen].sum(axis=1) / faults, [0.025, 0.975]).tolist()
    return ends


def _believed(trace: Trace, shape: HistoryShape, until: float) -> Mapping[str, float]:
    """How far the shape is believed by the end: the means of m and m′."""
    weights = log_likelihood(fault_log(trace), shape, until=until)[1].weights()
    pairs = list(zip(weights, WEIGHED, strict=True))
    return {"own": math.fsum(w * b.own for w, b in pairs), "shared": math.fsum(w * b.shared for w, b in pairs)}


def _policy(saving: Saving, name: str, seed: int) -> dict[str, Any]:
    row = list(POLICIES).index(name)
    return {
        "name": name,
        "waste": saving.waste(name),
        "saved_vs_young": saving.saved(name),
        "ci95": list(saving.interval(name, seed)),
        "saved_vs_queue": saving.saved(name, "young+queue"),
        "saved_vs_queue_ci95": list(saving.interval(name, seed, "young+queue")),
        "interruptions": float(saving.interruptions[row]),
        "checkpoints": float(saving.checkpoints[row]),
        "ledger": saving.ledger(name),
    }
