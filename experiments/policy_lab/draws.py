"""The chances of a run, drawn beforehand: they are the same under every policy of a seed.

A fault sits in a slot (a place in the job) and belongs to the node that is there when its alarm comes, or, without an
alarm, when it strikes. A policy changes which node is in the slot then, and nothing else.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.failure_trace.trace import Trace
from experiments.policy_lab.cases import DAY_S, Case
from experiments.policy_lab.profile import Profile
from experiments.policy_lab.state import ALARM, FAULT, PHASE
from models.trust import BURN_IN_FINDS

#: Which failures come, and when, depends on the seed alone; what the predictor says of them on another stream.
_FAILURES: Final = 1
_PREDICTOR: Final = 2


class Draws(NamedTuple):
    """Faults, alarms and phases, each in the order of time, as ``state.FAULT``, ``ALARM`` and ``PHASE`` have them."""

    faults: NDArray[np.void]
    alarms: NDArray[np.void]
    phases: NDArray[np.void]


class Faults(NamedTuple):
    """(faults,) in the order of time."""

    at: NDArray[np.float64]
    slot: NDArray[np.int64]
    repair_s: NDArray[np.float64]


def drawn_faults(profile: Profile, wall_s: float, seed: int) -> Faults:
    """Draw the times between the job's failures from its Weibull law, slots evenly, repairs lognormally."""
    random = np.random.default_rng((seed, _FAILURES))
    scale = profile.mtbf_s / math.gamma(1.0 + 1.0 / profile.weibull_shape)
    at: NDArray[np.float64] = np.zeros(0)
    batch = int(1.2 * wall_s / profile.mtbf_s) + 20
    last = 0.0
    while last < wall_s:
        more = last + np.cumsum(scale * random.weibull(profile.weibull_shape, batch))
        at, last = np.concatenate((at, more)), float(more[-1])
    at = at[at < wall_s]
    slot = random.integers(0, profile.nodes, at.size)
    repair_s = profile.repair_median_s * np.exp(profile.repair_sigma * random.standard_normal(at.size))
    return Faults(at, slot, repair_s)


def traced_faults(trace: Trace) -> tuple[Faults, float]:
    """Return the faults of a trace from its first one on, and the time until its last (s)."""
    order = np.argsort(trace.start, kind="stable")
    start, end = trace.start[order], trace.end[order]
    at = start - start[0]
    before_last = at < at[-1]
    faults = Faults(at[before_last], trace.node[order][before_last].astype(np.int64), (end - start)[before_last])
    return faults, float(at[-1])


def draw(profile: Profile, case: Case, faults: Faults, wall_s: float, seed: int) -> Draws:
    """Draw what the predictor says of the faults, and when it is wrong."""
    random = np.random.default_rng((seed, _PREDICTOR))
    luck, normal, found, memory_luck = (
        random.random(faults.at.size),
        random.standard_normal(faults.at.size),
        random.random(faults.at.size),
        random.random(faults.at.size),
    )
    spans = np.array(list(case.spans(profile, wall_s)))
    begun, recall, rate = spans[:, 0], spans[:, 2], spans[:, 3]
    lead_s = profile.lead_median_s * case.lead_scale * np.exp(profile.lead_sigma * normal)
    true_at = faults.at - lead_s
    phase = np.searchsorted(begun, faults.at, side="right") - 1
    foreseen = np.flatnonzero((luck < recall[phase]) & (true_at >= 0.0))
    false_at = _false_alarms(case, spans, wall_s, random)
    alarms = np.zeros(foreseen.size + false_at.size, ALARM)
    alarms["at"] = np.concatenate((true_at[foreseen], false_at))
    alarms["slot"] = np.concatenate((faults.slot[foreseen], random.integers(0, profile.nodes, false_at.size)))
    alarms["fault"] = np.concatenate((foreseen, np.full(false_at.size, -1)))
    alarms["found"][: foreseen.size] = found[foreseen] < BURN_IN_FINDS
    alarms = alarms[np.argsort(alarms["at"], kind="stable")]
    alarms["truth"] = _truth(profile, case, begun, recall, rate, alarms["at"])
    return Draws(_table(faults, memory_luck), alarms, _phases(begun, recall))


def _table(faults: Faults, memory_luck: NDArray[np.float64]) -> NDArray[np.void]:
    table = np.zeros(faults.at.size, FAULT)
    table["at"], table["slot"], table["repair_s"] = faults
    table["memory_luck"], table["blamed"] = memory_luck, -1
    return table


def _phases(begun: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.void]:
    phases = np.zeros(begun.size, PHASE)
    phases["at"], phases["recall"] = begun, recall
    return phases


def _false_alarms(
    case: Case, spans: NDArray[np.float64], wall_s: float, random: np.random.Generator
) -> NDArray[np.float64]:
    at = [
        begun + (until - begun) * random.random(random.poisson(rate * (until - begun)))
        for begun, until, _, rate in spans
    ]
    if case.storm_alarms:
        storms = np.arange(case.storm_every_days * DAY_S, wall_s - case.storm_s, case.storm_every_days * DAY_S)
        at.append((storms[:, None] + case.storm_s * random.random((storms.size, case.storm_alarms))).ravel())
    return np.concatenate(at)


def _truth(
    profile: Profile,
    case: Case,
    begun: NDArray[np.float64],
    recall: NDArray[np.float64],
    rate: NDArray[np.float64],
    at: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the share of true alarms at each time, storms counted."""
    phase = np.maximum(np.searchsorted(begun, at, side="right") - 1, 0)
    true_rate, false_rate = recall[phase] / profile.mtbf_s, rate[phase]
    if case.storm_alarms:
        every = case.storm_every_days * DAY_S
        within = (at >= every) & (at % every < case.storm_s)
        false_rate = false_rate + within * case.storm_alarms / case.storm_s
    total = true_rate + false_rate
    return np.divide(true_rate, total, out=np.zeros_like(total), where=total > 0.0)
