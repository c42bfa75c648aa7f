"""What a fault log alone saves: the history hazard sets the checkpoint rate and orders the nodes, without telemetry."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from experiments.failure_trace.job import (
    Placement,
    Prices,
    TracedJob,
    by_number,
    least_hazard,
    longest_up,
    not_of_the_last_day,
    steps,
)
from experiments.failure_trace.scoring import fault_log
from experiments.failure_trace.trace import Trace
from experiments.policy_lab.runs import BUCKETS
from models.checkpointing import young_interval_s
from models.history import HistoryShape

YOUNG: Final = "young"
OURS: Final = "history"
#: name → (which nodes, whether the history sets the checkpoint rate)
POLICIES: Final[dict[str, tuple[Placement, bool]]] = {
    YOUNG: (by_number, False),
    "young+queue": (longest_up, False),
    "young+day-rule": (not_of_the_last_day, False),
    "history-rate": (by_number, True),
    "history-placement": (least_hazard, False),
    OURS: (least_hazard, True),
}
#: Seeds stretch the log's time by up to this share: whether a fault strikes just before or just after a checkpoint is
#: chance, and averages out; the fleet's numbering is drawn anew with each.
STRETCH: Final = 0.03
BLOCKS: Final = 24
RESAMPLES: Final = 2000
_TUNING_ROUNDS: Final = 3

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Saving:
    """Paired runs of every policy on one log.

    Parameters
    ----------
    spares : nodes of the fleet that the job does not hold.
    interval_s : Young's T, from the failures that this very job had.
    shares : (policies, seeds, buckets) of wall time.
    blocks : (policies, blocks) waste by blocks of time, mean over seeds, in shares of all wall time.
    interruptions, checkpoints : (policies,) mean over seeds.
    """

    spares: int
    interval_s: float
    shares: Doubles
    blocks: Doubles
    interruptions: Doubles
    checkpoints: Doubles

    def waste(self, policy: str) -> float:
        """The share of wall time that was not productive."""
        return 1.0 - float(self.shares[_place(policy), :, BUCKETS.index("productive")].mean())

    def ledger(self, policy: str) -> dict[str, float]:
        """Shares of wall time by bucket, summing to 1."""
        return dict(zip(BUCKETS, self.shares[_place(policy)].mean(axis=0).tolist(), strict=True))

    def saved(self, policy: str, against: str = YOUNG) -> float:
        """1 − waste / waste of ``against``."""
        return 1.0 - self.waste(policy) / self.waste(against)

    def interval(self, policy: str, seed: int, against: str = YOUNG) -> tuple[float, float]:
        """95 % interval of :meth:`saved` by bootstrap over blocks of time: seeds share the log's faults."""
        chosen = np.random.default_rng(seed).integers(self.blocks.shape[1], size=(RESAMPLES, self.blocks.shape[1]))
        ours, theirs = (self.blocks[_place(one)][chosen].sum(axis=1) for one in (policy, against))
        low, high = np.quantile(1.0 - ours / np.maximum(theirs, 1e-12), [0.025, 0.975]).tolist()
        return low, high


def _place(policy: str) -> int:
    return list(POLICIES).index(policy)


def most_down(trace: Trace) -> int:
    """Return how many nodes were down at once, at most."""
    times = np.concatenate([trace.start, trace.end])
    change = np.concatenate([np.ones(len(trace.start), int), -np.ones(len(trace.end), int)])
    order = np.lexsort((-change, times))
    return int(np.cumsum(change[order]).max())


def enough_spares(trace: Trace) -> int:
    """Return a tenth of the fleet, or as many as were ever down at once: a job that never waits."""
    return min(trace.nodes - 1, max(math.ceil(trace.nodes / 10), most_down(trace)))


def save(
    trace: Trace,
    shape: HistoryShape,
    prices: Prices,
    *,
    spares: int,
    seeds: Sequence[int],
    since: float,
    until: float,
    progress: Callable[[int], None],
) -> Saving:
    """Let every policy live through the log between two times, having seen what came before.

    Young's interval is the best first-order one in hindsight: μ is the wall time over the job's own interruptions.
    """
    shares = np.zeros((len(POLICIES), len(seeds), len(BUCKETS)))
    blocks = np.zeros((len(POLICIES), BLOCKS))
    interruptions, checkpoints = np.zeros(len(POLICIES)), np.zeros(len(POLICIES))
    origin = float(trace.start[0])
    trace, since, until = (
        replace(trace, start=trace.start - origin, end=trace.end - origin),
        since - origin,
        until - origin,
    )
    interval_s = _young_interval(trace, shape, prices, spares, seeds[0], since, until)
    for k, seed in enumerate(seeds):
        stretch = 1.0 + STRETCH * (2.0 * np.random.default_rng([seed, 1]).random() - 1.0)
        log = fault_log(_stretched(trace, stretch))
        begin, finish = since * stretch, until * stretch
        known = steps(log, shape)
        for p, (place, by_history) in enumerate(POLICIES.values()):
            job = TracedJob(
                trace.nodes,
                trace.nodes - spares,
                begin,
                finish,
                prices,
                shape,
                place,
                None if by_history else interval_s,
                np.random.default_rng([seed, 2]),
                (finish - begin) / BLOCKS,
            ).run(known)
            shares[p, k] = _shares(job)
            blocks[p] += job.wasted / (finish - begin) / len(seeds)
            interruptions[p] += job.interruptions / len(seeds)
            checkpoints[p] += job.checkpoints / len(seeds)
            progress(k * len(POLICIES) + p + 1)
    return Saving(spares, interval_s, shares, blocks, interruptions, checkpoints)


def _shares(job: TracedJob) -> Doubles:
    seconds, wall_s = np.array([job.seconds[name] for name in BUCKETS]), job.finish - job.begin
    if abs(seconds.sum() - wall_s) > 1e-9 * max(wall_s, job.finish) or seconds.min() < 0.0:
        raise AssertionError(f"the ledger holds {seconds.sum():.6f} s of {wall_s:.6f} s")
    shares: Doubles = seconds / seconds.sum()
    return shares


def _stretched(trace: Trace, by: float) -> Trace:
    return replace(trace, start=trace.start * by, end=trace.end * by)


def _young_interval(
    trace: Trace, shape: HistoryShape, prices: Prices, spares: int, seed: int, since: float, until: float
) -> float:
    known = steps(fault_log(trace), shape)
    interval_s = until - since
    for _ in range(_TUNING_ROUNDS):
        job = TracedJob(
            trace.nodes,
            trace.nodes - spares,
            since,
            until,
            prices,
            shape,
            by_number,
            interval_s,
            np.random.default_rng([seed, 2]),
            until - since,
        ).run(known)
        interval_s = young_interval_s(prices.cost_s, (until - since) / max(1, job.interruptions))
    return interval_s
