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
from models.trust import BURN_IN_FINDS

#: Which failures come, and when, depends on the seed alone; what the predictor says of them on another stream.
_FAILURES: Final = 1
_PREDICTOR: Final = 2


class Draws(NamedTuple):
    """Faults and alarms, each in the order of time.

    Parameters
    ----------
    fault_at, fault_slot, repair_s, memory_luck :
        (faults,) when and where; how long its repair takes; below ``memory_lost`` the peer's memory is lost too.
    alarm_at, alarm_slot, alarm_fault, alarm_found, alarm_truth :
        (alarms,) when and where; the fault that it foretells, or −1; whether burn-in would find that fault; the true
        share of true alarms then.
    phase_at, phase_recall :
        (phases,) from when on which share of failures is foreseen.
    """

    fault_at: NDArray[np.float64]
    fault_slot: NDArray[np.int64]
    repair_s: NDArray[np.float64]
    memory_luck: NDArray[np.float64]
    alarm_at: NDArray[np.float64]
    alarm_slot: NDArray[np.int64]
    alarm_fault: NDArray[np.int64]
    alarm_found: NDArray[np.bool_]
    alarm_truth: NDArray[np.float64]
    phase_at: NDArray[np.float64]
    phase_recall: NDArray[np.float64]


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
    alarm_at = np.concatenate((true_at[foreseen], false_at))
    slot = np.concatenate((faults.slot[foreseen], random.integers(0, profile.nodes, false_at.size)))
    fault = np.concatenate((foreseen, np.full(false_at.size, -1)))
    shown = np.concatenate((found[foreseen] < BURN_IN_FINDS, np.zeros(false_at.size, dtype=bool)))
    order = np.argsort(alarm_at, kind="stable")
    alarm_at = alarm_at[order]
    return Draws(
        *(faults.at, faults.slot, faults.repair_s, memory_luck),
        *(alarm_at, slot[order].astype(np.int64), fault[order].astype(np.int64), shown[order]),
        _truth(profile, case, begun, recall, rate, alarm_at),
        *(begun, recall),
    )


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
