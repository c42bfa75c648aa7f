"""The forward algorithm of the ceiling, compiled: the posterior over class, course and age of a fault, node by node.

Arrays end in the axis of the lanes: so many nodes are worked on together, which fills a processor's vector registers.
The chains of the benign explanations are independent of a fault. So they are filtered as if there was none, and what
they predict is what every fault's likelihood is held against.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from experiments.compiled import compiled, entry
from experiments.fleet.evidence import signs_of
from experiments.fleet.hypotheses import NO_GPU, NOTHING, SEVERITIES
from experiments.fleet.latents import CHATTERERS, Flags, Floats
from experiments.fleet.metrics import EVENTS, INDEX
from experiments.fleet.schedule import CHATTER_MEDIAN, CHATTER_SIGMA, CHATTER_STEPS, GAP_STEPS
from experiments.fleet.spec import FAULT_CLASSES

Index = npt.NDArray[np.intp]
Float = np.float32

LANES: Final = 16
#: The share by which a severity may stray about its course from step to step, standard deviation: the courses are few.
STRAY: Final = Float(0.2)
_CLASSES: Final = len(FAULT_CLASSES)
_LEVELS: Final = len(SEVERITIES)
#: Rates that a noisy counter may have, in sigmas of its law; their weights are those of the normal density.
_CHATTER_Z: Final = np.arange(-2.4, 2.41, 0.6)
_CHATTER_RATES: Final = (CHATTER_MEDIAN * np.exp(CHATTER_SIGMA * _CHATTER_Z)).astype(Float)
_CHATTER_WEIGHTS: Final = (norm.pdf(_CHATTER_Z) / norm.pdf(_CHATTER_Z).sum()).astype(Float)
_CHATTER_ENDS: Final = Float(1 / CHATTER_STEPS)
_CHATTERING: Final = np.array([INDEX[name] - EVENTS.start for name in CHATTERERS])
CHATTER_SHAPE: Final = (len(CHATTERERS), 1 + len(_CHATTER_RATES))
#: (class, kind of event, events an interval at severity 1) of every sign on single events.
_SIGNS: Final = [(kind, column - EVENTS.start, sign.per_severity) for kind, column, sign in signs_of(EVENTS)]
_SIGN_PLACES: Final = np.array([(kind, event) for kind, event, _ in _SIGNS])
_SIGN_RATES: Final = np.array([rate for *_, rate in _SIGNS], Float)
#: A fault's state that is so improbable beside all others is dropped; "no fault" never is.
_NOUGHT: Final = Float(1e-15)
_LEAST: Final = Float(1e-20)
_HUNG_ON: Final = Float(1 - 1 / GAP_STEPS)
_NO, _ONE, _HALF, _TWO, _QUARTER = Float(0), Float(1), Float(0.5), Float(2), Float(0.25)


class State(NamedTuple):
    """What is carried from step to step, by groups of lanes.

    ``faults`` (groups, classes, states, lanes) and ``healthy`` (groups, lanes) are masses that sum to 1 after being
    multiplied by ``shrink`` (groups, lanes); of each class and course (groups, classes, courses), ``reach`` ages have
    any mass. ``chatter`` (groups, chatterers, 1 + rates, lanes) and ``hung`` (groups, lanes) are the benign chains.
    """

    faults: Floats
    reach: Index
    healthy: Floats
    shrink: Floats
    chatter: Floats
    hung: Floats


class Seen(NamedTuple):
    """The evidence of a chunk as in ``evidence.Evidence``, (groups, steps, …, lanes); ``base`` is without steps."""

    fresh_b: Floats
    fresh_q: Floats
    level_b: Floats
    level_q: Floats
    events: Floats
    spans: Floats
    pattern: npt.NDArray[np.int8]
    away: Flags
    base: Floats


class Law(NamedTuple):
    """What is known before any sample: the arrays of ``hypotheses.Hypotheses`` and the chances of an interval.

    ``onset`` (classes,) is the chance that a gradual fault of a class begins, ``ahead`` that a node without a fault
    fails within the horizon, ``look_alike`` that a look-alike of one kind begins, ``missing`` that a sample is lost.
    """

    start: Index
    ages: Index
    share: Floats
    severity: Index
    innovation: Index
    arrival: Floats
    soon: Floats
    onset: Floats
    ahead: np.float32
    look_alike: np.float32
    missing: np.float32


class _Scratch(NamedTuple):
    """Working space of one step: ``likely`` (2, classes, levels, lanes), ``explained`` (chatterers, lanes), …"""

    likely: Floats
    scale: Floats
    explained: Floats
    calm: Floats
    total: Floats
    near: Floats


@entry
def forward(state: State, seen: Seen, law: Law, probability: Floats) -> None:
    """Advance every group's state through a chunk, in place, and fill in ``probability`` (groups, steps, lanes)."""
    work = _Scratch(
        np.empty((2, _CLASSES, _LEVELS, LANES), Float),
        np.empty((_CLASSES, LANES), Float),
        np.empty((len(_CHATTERING), LANES), Float),
        np.empty(LANES, Float),
        np.empty(LANES, Float),
        np.empty(LANES, Float),
    )
    for group in range(probability.shape[0]):
        for step in range(probability.shape[1]):
            _explain(state.chatter[group], seen, group, step, law.look_alike, work.explained)
            _listen(state.hung[group], seen.pattern[group, step], law, work.calm)
            _weigh(seen.fresh_b[group, step], seen.fresh_q[group, step], work.likely[0])
            _weigh(seen.level_b[group, step], seen.level_q[group, step], work.likely[1])
            _count(seen, group, step, work.explained, work.likely[1])
            _normalise(work, state.shrink[group])
            _grow(state, group, seen.pattern[group, step], law, work)
            _conclude(state, group, seen.away[group, step], law.ahead, work, probability[group, step])


@compiled
def _explain(chatter: Floats, seen: Seen, group: int, step: int, look_alike: np.float32, explained: Floats) -> None:
    """Advance each chatterer's chain; ``explained`` is log P(events) by it less log P(events) by the own rate alone."""
    begins = look_alike / Float(len(_CHATTERING))
    for counter in range(len(_CHATTERING)):
        event = _CHATTERING[counter]
        for lane in range(LANES):
            chain = chatter[counter, :, lane]
            quiet = chain[0]
            chain[0] = quiet * (_ONE - begins)
            for rate in range(len(_CHATTER_RATES)):
                chain[0] += chain[1 + rate] * _CHATTER_ENDS
                chain[1 + rate] = chain[1 + rate] * (_ONE - _CHATTER_ENDS) + quiet * begins * _CHATTER_WEIGHTS[rate]
            number, span = seen.events[group, step, event, lane], seen.spans[group, step, event, lane]
            explained[counter, lane] = _NO
            if number >= 0:
                explained[counter, lane] = _learn(chain, number, span, seen.base[group, event, lane])


@compiled
def _learn(chain: Floats, number: np.float32, span: np.float32, own: np.float32) -> Any:
    """Let a chatterer's chain learn from a number of events in ``span`` intervals; the log of its likelihood ratio."""
    total = chain[0]
    for rate in range(len(_CHATTER_RATES)):
        likelihood = np.exp(-span * _CHATTER_RATES[rate])
        if number > 0:
            likelihood = np.exp(number * np.log1p(_CHATTER_RATES[rate] / own) - span * _CHATTER_RATES[rate])
        chain[1 + rate] *= likelihood
        total += chain[1 + rate]
    for at in range(len(chain)):
        chain[at] = max(chain[at] / total, _NOUGHT)
    return np.log(total)


@compiled
def _listen(hung: Floats, pattern: npt.NDArray[np.int8], law: Law, calm: Floats) -> None:
    """Advance the chain of the hung exporter; ``calm`` is the chance of what arrived if there is no fault."""
    for lane in range(LANES):
        hangs = hung[lane] * _HUNG_ON + (_ONE - hung[lane]) * law.look_alike
        if pattern[lane] == NOTHING:
            calm[lane] = law.missing
            hung[lane] = hangs
            continue
        silent, rare = _NO, law.missing * _QUARTER
        working = (_ONE - hangs) * (_ONE - rare)
        if pattern[lane] == NO_GPU:
            silent, working = hangs, (_ONE - hangs) * rare
        calm[lane] = (_ONE - law.missing) * (working + silent)
        hung[lane] = silent / max(working + silent, _LEAST)


@compiled
def _weigh(b: Floats, q: Floats, likely: Floats) -> None:
    """Log likelihood ratios of each level of severity, about which it strays, from Gaussian evidence B and Q."""
    for kind in range(_CLASSES):
        for level in range(_LEVELS):
            severity = SEVERITIES[level]
            stray = STRAY * severity * STRAY * severity
            for lane in range(LANES):
                mean, weight = b[kind, lane], q[kind, lane]
                spread = _ONE + weight * stray
                off = weight * severity * severity - _TWO * mean * severity - mean * mean * stray
                likely[kind, level, lane] = -_HALF * (off / spread + np.log(spread))


@compiled
def _count(seen: Seen, group: int, step: int, explained: Floats, likely: Floats) -> None:
    """Add the log likelihood ratios of the single events, against how the benign chains explain them."""
    for sign in range(len(_SIGN_RATES)):
        kind, event = _SIGN_PLACES[sign]
        for level in range(_LEVELS):
            rate = _SIGN_RATES[sign] * SEVERITIES[level]
            for lane in range(LANES):
                number = seen.events[group, step, event, lane]
                if number >= 0:
                    likely[kind, level, lane] -= rate * seen.spans[group, step, event, lane]
                if number > 0:
                    likely[kind, level, lane] += number * np.log1p(rate / seen.base[group, event, lane])
        for counter in range(len(_CHATTERING)):
            if _CHATTERING[counter] == event:
                for level in range(_LEVELS):
                    for lane in range(LANES):
                        likely[kind, level, lane] -= explained[counter, lane]


@compiled
def _normalise(work: _Scratch, shrink: Floats) -> None:
    """Exponentiate, each class's two tables by their own greatest value, and make classes and calm comparable."""
    likely, scale, calm = work.likely, work.scale, work.calm
    for lane in range(LANES):
        most = _NO
        for kind in range(_CLASSES):
            scale[kind, lane] = _NO
            for table in range(2):
                top = likely[table, kind, 0, lane]
                for level in range(1, _LEVELS):
                    top = max(top, likely[table, kind, level, lane])
                for level in range(_LEVELS):
                    likely[table, kind, level, lane] = np.exp(likely[table, kind, level, lane] - top)
                scale[kind, lane] += top
            most = max(most, scale[kind, lane])
        for kind in range(_CLASSES):
            factor = np.exp(scale[kind, lane] - most) * shrink[lane]
            for level in range(_LEVELS):
                likely[1, kind, level, lane] *= factor
        calm[lane] *= np.exp(-most) * shrink[lane]


@compiled
def _grow(state: State, group: int, pattern: npt.NDArray[np.int8], law: Law, work: _Scratch) -> None:
    """Move every fault's mass to its next age and weigh it there; add it and what fails within the horizon up."""
    faults, reach, healthy = state.faults[group], state.reach[group], state.healthy[group]
    likely, total, near = work.likely, work.total, work.near
    total[:], near[:] = _NO, _NO
    for kind in range(_CLASSES):
        for course in range(len(law.start)):
            ages = min(reach[kind, course] + 1, law.ages[course])
            first, begins = law.start[course], law.onset[kind] * law.share[course]
            for at in range(first + ages - 1, first - 1, -1):
                level, fresh, soon = law.severity[at], law.innovation[at], law.soon[at]
                for lane in range(LANES):
                    came = healthy[lane] * begins if at == first else faults[kind, at - 1, lane]
                    mass = came * likely[1, kind, level, lane] * likely[0, kind, fresh, lane]
                    mass *= law.arrival[pattern[lane], at]
                    mass = mass if mass > _NOUGHT else _NO
                    faults[kind, at, lane] = mass
                    total[lane] += mass
                    near[lane] += soon * mass
            while ages and not _any(faults, kind, first + ages - 1):
                ages -= 1
            reach[kind, course] = ages


@compiled
def _any(faults: Floats, kind: int, at: int) -> bool:
    most = _NO
    for lane in range(LANES):
        most = max(most, faults[kind, at, lane])
    return bool(most > 0)


@compiled
def _conclude(state: State, group: int, away: Flags, ahead: np.float32, work: _Scratch, probability: Floats) -> None:
    """P of each lane, and what makes its masses sum to 1 in the next step; a node that is away comes back healthy."""
    healthy, shrink = state.healthy[group], state.shrink[group]
    for lane in range(LANES):
        healthy[lane] = max(healthy[lane] * work.calm[lane], _LEAST)
        everything = work.total[lane] + healthy[lane]
        probability[lane] = (work.near[lane] + ahead * healthy[lane]) / everything
        shrink[lane] = _ONE / everything
        if away[lane]:
            state.faults[group, :, :, lane] = _NO
            healthy[lane] = shrink[lane] = _ONE
