"""The ceiling: P(a node fails within the horizon) to one who is told all but whether, how and since when it is failing.

``ceiling(spec, horizon, steps)`` makes the very samples of ``FleetRecording(spec)`` again and gives, chunk by chunk, the
posterior of every node at every step, from that node's samples up to then. No predictor that watches nodes one by one
can rank better on average.

>>> from experiments.fleet import prediction_fleet
>>> blocks = ceiling(prediction_fleet(nodes=3, seed=1), horizon=30, steps=100)
>>> [block.shape for block in blocks]
[(64, 3), (36, 3)]

**Told** are: every law and rate of the generator, each node's offsets and drift, its load, checkpoints, room and
services, and each class's signature and noise. **Hidden** are: whether a fault is developing, its class, onset, lead,
amplitude, growth, and what the monitoring will lose; whether a counter is merely noisy; whether an exporter merely
hangs. It is the forward algorithm over (class × course × age), :mod:`experiments.fleet.hypotheses`, with the benign
explanations as chains of their own: they are independent of a fault, so a likelihood ratio against their prediction is
exact.

**Approximated** are: the continuous laws of lead, amplitude and growth by :data:`COURSES` courses, for which the severity
may stray :data:`STRAY` (standard deviation, as a share) about its course from step to step; rounding as independent
noise; values cut off at 0 as if they were not; a counter that was noisy before its own fault begins, and a hung
exporter in a fault, as impossible (both are rare); a burst's other nodes are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from experiments.compiled import compiled, entry
from experiments.fleet.evidence import Reader, signs_of
from experiments.fleet.fleet import CHUNK_STEPS, Fleet, Told
from experiments.fleet.hypotheses import NO_GPU, NOTHING, SEVERITIES, Hypotheses, courses_of
from experiments.fleet.latents import CHATTERERS, Floats
from experiments.fleet.metrics import EVENTS, INDEX
from experiments.fleet.schedule import BURST_NODES_MEAN, CHATTER_MEDIAN, CHATTER_SIGMA, CHATTER_STEPS, GAP_STEPS
from experiments.fleet.spec import FAULT_CLASSES, FAULT_SHARES, FleetSpec

COURSES: Final = 128
STRAY: Final = np.float32(0.5)
#: Nodes worked on together: two vectors of a processor's registers.
_LANES: Final = 16
#: Steps watched before the first that is given out; a fault that goes on longer is rare.
_WARM_STEPS: Final = 4 * CHUNK_STEPS
_CLASSES: Final = len(FAULT_CLASSES)
_LEVELS: Final = len(SEVERITIES)
#: Rates that a noisy counter may have, in sigmas of its law; their weights are those of the normal density.
_CHATTER_Z: Final = np.arange(-2.4, 2.41, 0.6)
_CHATTER_RATES: Final = (CHATTER_MEDIAN * np.exp(CHATTER_SIGMA * _CHATTER_Z)).astype(np.float32)
_CHATTER_WEIGHTS: Final = (norm.pdf(_CHATTER_Z) / norm.pdf(_CHATTER_Z).sum()).astype(np.float32)
_CHATTERING: Final = np.array([INDEX[name] - EVENTS.start for name in CHATTERERS])
#: (class, kind of event, events an interval at severity 1) of every sign on single events.
_SIGNS: Final = [(kind, column - EVENTS.start, sign.per_severity) for kind, column, sign in signs_of(EVENTS)]
_SIGN_PLACES: Final = np.array([(kind, event) for kind, event, _ in _SIGNS])
_SIGN_RATES: Final = np.array([rate for *_, rate in _SIGNS], np.float32)
_NOUGHT: Final = np.float32(1e-15)
_LEAST: Final = np.float32(1e-20)


def ceiling(
    spec: FleetSpec, horizon: int, steps: int, *, first: int = 0, rows: slice | None = None, courses: int = COURSES
) -> Iterator[Floats]:
    """P(fails within ``horizon`` intervals | the node's samples so far), chunk by chunk.

    Parameters
    ----------
    spec : the fleet
    horizon : in intervals, as in ``models.training.examples``: the failure comes after this step, at most so many later
    steps : how many steps from the fleet's first, that is the end of the last chunk
    first : the first step given out; it is watched from a while before
    rows : a range of nodes; all when not given
    courses : how finely the laws of faults are resolved

    Yields
    ------
    ``(steps, nodes)`` float32; NaN where the node is down or being worked on, or nothing arrived of its sample.
    """
    rows = slice(0, spec.nodes) if rows is None else rows
    law = _Law.of(spec, horizon, courses)
    fleet, watchers = Fleet(spec), {}
    while fleet.step < steps:
        at, parts = fleet.step, []
        for told in fleet.told(rows):
            if at + _WARM_STEPS < first:
                continue
            if told.row not in watchers:
                watchers[told.row] = _Watcher(law, told.values.shape[1], spec.interval_s)
            parts.append(watchers[told.row].watch(told))
        if fleet.step > first:
            begin = rows.start - min(watchers)
            chunk = np.concatenate(parts, axis=1)[:, begin : begin + rows.stop - rows.start]
            yield chunk[max(first - at, 0) : steps - at]


@dataclass(frozen=True, slots=True)
class _Law:
    """What the generator's spec says before any sample: hidden states, their inflow, and the chances of the rest.

    ``onset`` (classes,) is the chance that a gradual fault of a class and one course begins in an interval; ``ahead``
    that a node without a fault fails within the horizon; ``soon`` (states,) is 1 where the failure is within it.
    """

    hidden: Hypotheses
    onset: Floats
    ahead: np.float32
    soon: Floats
    look_alike: np.float32
    missing: np.float32

    @classmethod
    def of(cls, spec: FleetSpec, horizon: int, courses: int) -> _Law:
        hidden = Hypotheses.of(courses_of(spec, courses), spec.missing)
        burst = spec.burst_share / (BURST_NODES_MEAN - (BURST_NODES_MEAN - 1) * spec.burst_share)
        rate = spec.fault_rate * (1 + (BURST_NODES_MEAN - 1) * burst)
        ahead = spec.sudden_share * horizon + (1 - spec.sudden_share) * np.maximum(horizon - hidden.lead, 0).mean()
        return cls(
            hidden,
            np.array([rate * (1 - spec.sudden_share) * share / courses for share in FAULT_SHARES.values()], np.float32),
            np.float32(rate * ahead),
            (hidden.remaining <= horizon).astype(np.float32),
            np.float32(spec.look_alike_rate),
            np.float32(spec.missing),
        )


class _Watcher:
    """The posterior of one block of nodes, which are worked on in groups of :data:`_LANES`."""

    def __init__(self, law: _Law, nodes: int, interval_s: float) -> None:
        self._law, self._nodes = law, nodes
        self._reader = Reader(nodes, interval_s)
        groups = -(-nodes // _LANES)
        self._faults = np.zeros((groups, _CLASSES, len(law.hidden.remaining), _LANES), np.float32)
        self._reach = np.zeros((groups, _CLASSES, len(law.hidden.lead)), np.intp)
        self._healthy, self._shrink = np.ones((2, groups, _LANES), np.float32)
        self._chatter = np.zeros((groups, len(_CHATTERING), 1 + len(_CHATTER_RATES), _LANES), np.float32)
        self._chatter[:, :, 0] = 1
        self._gap = np.zeros((groups, _LANES), np.float32)

    def watch(self, told: Told) -> Floats:
        """The posterior in the next chunk, ``(steps, nodes)``."""
        seen = self._reader.read(told)
        law, hidden = self._law, self._law.hidden
        probability = np.empty((len(self._healthy), len(seen.pattern), _LANES), np.float32)
        _forward(
            (self._faults, self._reach, self._healthy, self._shrink, self._chatter, self._gap),
            tuple(map(self._grouped, (seen.fresh[0], seen.fresh[1], seen.level[0], seen.level[1], seen.events))),
            tuple(map(self._grouped, (seen.spans, seen.base, seen.pattern, seen.away))),
            (hidden.start, hidden.lead, hidden.severity, hidden.innovation, hidden.pattern, law.soon),
            (law.onset, law.ahead, law.look_alike, law.missing),
            probability,
        )
        out = probability.transpose(1, 0, 2).reshape(len(seen.pattern), -1)[:, : self._nodes]
        return np.where(seen.away | (seen.pattern == NOTHING), np.float32(np.nan), out)

    def _grouped(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """(…, nodes) as (groups, …, lanes), the last node repeated to fill up."""
        lanes = len(self._healthy) * _LANES
        filled = array[..., np.minimum(np.arange(lanes), self._nodes - 1)].reshape(*array.shape[:-1], -1, _LANES)
        return np.ascontiguousarray(np.moveaxis(filled, -2, 0))


@entry
def _forward(state, evidence, circumstances, hidden, law, probability):  # type: ignore[no-untyped-def]
    """Advance the hidden states of every group through a chunk, in place, and fill in P, ``(groups, steps, lanes)``."""
    faults, reach, healthy, shrink, chatter, gap = state
    fresh_b, fresh_q, level_b, level_q, events = evidence
    spans, base, pattern, away = circumstances
    onset, ahead, look_alike, missing = law
    likely = np.empty((2, _CLASSES, _LEVELS, _LANES), np.float32)
    scale = np.empty((_CLASSES, _LANES), np.float32)
    explained = np.empty((len(_CHATTERING), _LANES), np.float32)
    calm, total, near = np.empty(_LANES, np.float32), np.empty(_LANES, np.float32), np.empty(_LANES, np.float32)
    for group in range(faults.shape[0]):
        for step in range(probability.shape[1]):
            _noisy(chatter[group], events[group, step], spans[group, step], base[group], look_alike, explained)
            _silent(gap[group], pattern[group, step], look_alike, missing, calm)
            _weigh(fresh_b[group, step], fresh_q[group, step], likely[0])
            _weigh(level_b[group, step], level_q[group, step], likely[1])
            _count(events[group, step], spans[group, step], base[group], explained, likely[1])
            _normalise(likely, scale, calm, shrink[group])
            _grow(
                faults[group],
                reach[group],
                healthy[group],
                likely,
                pattern[group, step],
                hidden,
                onset,
                total,
                near,
            )
            _conclude(
                faults[group],
                healthy[group],
                shrink[group],
                calm,
                away[group, step],
                ahead,
                total,
                near,
                probability[group, step],
            )


@compiled
def _noisy(chatter, events, spans, base, look_alike, explained):  # type: ignore[no-untyped-def]
    """Advance each chatterer's chain; ``explained`` is log P(events) by it over log P(events) by the own rate alone."""
    rates = len(_CHATTER_RATES)
    begins, ends = look_alike / np.float32(len(_CHATTERING)), np.float32(1 / CHATTER_STEPS)
    for counter in range(len(_CHATTERING)):
        event = _CHATTERING[counter]
        for lane in range(_LANES):
            chain = chatter[counter, :, lane]
            quiet = chain[0]
            chain[0] = quiet * (np.float32(1) - begins)
            for rate in range(rates):
                chain[0] += chain[1 + rate] * ends
                chain[1 + rate] = chain[1 + rate] * (np.float32(1) - ends) + quiet * begins * _CHATTER_WEIGHTS[rate]
            explained[counter, lane] = np.float32(0)
            number = events[event, lane]
            if number < 0:
                continue
            own = base[event, lane]
            total = chain[0]
            for rate in range(rates):
                caused = _CHATTER_RATES[rate]
                chain[1 + rate] *= np.exp(number * np.log1p(caused / own) - spans[event, lane] * caused)
                total += chain[1 + rate]
            explained[counter, lane] = np.log(total)
            for at in range(1 + rates):
                chain[at] = max(chain[at] / total, _NOUGHT)


@compiled
def _silent(gap, pattern, look_alike, missing, calm):  # type: ignore[no-untyped-def]
    """Advance the chain of the hung exporter; ``calm`` is the chance of what arrived, if there is no fault."""
    for lane in range(_LANES):
        hung = gap[lane] * np.float32(1 - 1 / GAP_STEPS) + (np.float32(1) - gap[lane]) * look_alike
        if pattern[lane] == NOTHING:
            calm[lane] = missing
            gap[lane] = hung
            continue
        lost = pattern[lane] == NO_GPU
        working = (np.float32(1) - hung) * (
            missing / np.float32(4) if lost else np.float32(1) - missing / np.float32(4)
        )
        silent = hung if lost else np.float32(0)
        calm[lane] = (np.float32(1) - missing) * (working + silent)
        gap[lane] = silent / (working + silent) if working + silent > 0 else np.float32(0)


@compiled
def _weigh(b, q, likely):  # type: ignore[no-untyped-def]
    """Log likelihood ratios of a severity that strays about each level; B and Q are of Gaussian evidence."""
    for kind in range(_CLASSES):
        for level in range(_LEVELS):
            severity = SEVERITIES[level]
            stray = STRAY * severity * STRAY * severity
            for lane in range(_LANES):
                weight = q[kind, lane]
                spread = np.float32(1) + weight * stray
                mean = b[kind, lane]
                off = weight * severity * severity - np.float32(2) * mean * severity - mean * mean * stray
                likely[kind, level, lane] = np.float32(-0.5) * (off / spread + np.log(spread))


@compiled
def _count(events, spans, base, explained, likely):  # type: ignore[no-untyped-def]
    """Add the log likelihood ratios of the single events against the calm explanation."""
    for sign in range(len(_SIGN_RATES)):
        kind, event = _SIGN_PLACES[sign]
        for level in range(_LEVELS):
            rate = _SIGN_RATES[sign] * SEVERITIES[level]
            for lane in range(_LANES):
                number = events[event, lane]
                if number >= 0:
                    likely[kind, level, lane] -= rate * spans[event, lane]
                if number > 0:
                    likely[kind, level, lane] += number * np.log1p(rate / base[event, lane])
        for counter in range(len(_CHATTERING)):
            if _CHATTERING[counter] == event:
                for level in range(_LEVELS):
                    for lane in range(_LANES):
                        likely[kind, level, lane] -= explained[counter, lane]


@compiled
def _normalise(likely, scale, calm, shrink):  # type: ignore[no-untyped-def]
    """Exponentiate, each class's two tables by their own greatest value, and make classes and calm comparable."""
    for lane in range(_LANES):
        most = np.float32(0)
        for kind in range(_CLASSES):
            scale[kind, lane] = np.float32(0)
            for table in range(2):
                top = likely[table, kind, 0, lane]
                for level in range(1, _LEVELS):
                    top = max(top, likely[table, kind, level, lane])
                for level in range(_LEVELS):
                    likely[table, kind, level, lane] = np.exp(likely[table, kind, level, lane] - top)
                scale[kind, lane] += top
            most = max(most, scale[kind, lane])
        for kind in range(_CLASSES):
            share = np.exp(scale[kind, lane] - most) * shrink[lane]
            for level in range(_LEVELS):
                likely[1, kind, level, lane] *= share
        calm[lane] *= np.exp(-most) * shrink[lane]


@compiled
def _grow(faults, reach, healthy, likely, pattern, hidden, onset, total, near):  # type: ignore[no-untyped-def]
    """Move every fault's mass to its next age and weigh it there; ``total`` and ``near`` are the sums over the states.

    Of a class and course, ``reach`` ages have mass in any lane: what has become improbable beyond recovery is dropped.
    """
    start, lead, severity, innovation, arrival, soon = hidden
    total[:], near[:] = 0, 0
    for kind in range(_CLASSES):
        for course in range(len(start)):
            ages = min(reach[kind, course] + 1, lead[course])
            first = start[course]
            for state in range(first + ages - 1, first - 1, -1):
                level, fresh, within = severity[state], innovation[state], soon[state]
                for lane in range(_LANES):
                    came = healthy[lane] * onset[kind] if state == first else faults[kind, state - 1, lane]
                    mass = came * likely[1, kind, level, lane] * likely[0, kind, fresh, lane]
                    mass *= arrival[pattern[lane], state]
                    mass = mass if mass > _NOUGHT else np.float32(0)
                    faults[kind, state, lane] = mass
                    total[lane] += mass
                    near[lane] += within * mass
            while ages and not _any(faults, kind, first + ages - 1):
                ages -= 1
            reach[kind, course] = ages


@compiled
def _any(faults, kind, state):  # type: ignore[no-untyped-def]
    most = np.float32(0)
    for lane in range(_LANES):
        most = max(most, faults[kind, state, lane])
    return most > 0


@compiled
def _conclude(faults, healthy, shrink, calm, away, ahead, total, near, probability):  # type: ignore[no-untyped-def]
    """P of each lane, and what makes its masses sum to 1 in the next step; a node that is away comes back healthy."""
    for lane in range(_LANES):
        healthy[lane] = max(healthy[lane] * calm[lane], _LEAST)
        everything = total[lane] + healthy[lane]
        probability[lane] = (near[lane] + ahead * healthy[lane]) / everything
        shrink[lane] = np.float32(1) / everything
        if away[lane]:
            faults[:, :, lane] = 0
            healthy[lane] = shrink[lane] = np.float32(1)
