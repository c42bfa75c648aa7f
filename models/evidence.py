"""What a node's latest frames say against its own ordinary ones: deviations averaged, and events counted.

**Regimes.** A node trains, writes a checkpoint, stands idle: each moves many metrics at once and says nothing of its
health. So a frame is held against the nearest of a few centres, the node's regimes, which are learned as they come:
a frame in which several metrics jump away from all of them begins a new one. A deviation counts against a regime only
once that is known to be ordinary, by having come several times or by being another state of nearly all metrics; until
then it counts against the nearest that is. So a fault, which is neither, is not explained away.

**Warmth** comes after what causes it: temperatures and fans are held against a level that goes after the centre of the
frame's regime as slowly as, of a few lags, fits the node best.

**Deviations** are in the node's own usual sizes, and averaged over several spans of frames. **Events** of counters
that mostly stand still are counted with several memories.

Each row's numbers depend on that row alone. Memories are in frames.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.signals import ASPECTS, SIGNALS, aspect_of, signal_of

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]

REGIMES: Final = 4
#: A deviation counts as at most so many scales when frames are compared, and as ``ORDINARY`` on average.
FAR: Final = np.float32(4.0)
ORDINARY: Final = np.float32(0.9)
#: A frame is unlike a regime when its deviations are in sum so much above the ordinary, and by so much a metric.
UNLIKE: Final = np.float32(8.0)
UNLIKE_SHARE: Final = np.float32(0.3)
JUMPS: Final = 4  # metrics that have to jump together for a new regime to begin
COMINGS: Final = 3  # after which a regime is ordinary
STAY_FRAMES: Final = np.float32(10.0)  # for which another regime must have lasted before a coming counts
KNOWN_FRAMES: Final = np.float32(5.0)
ANOTHER_STATE: Final = np.float32(0.4)  # share of the metrics that are far off in another state of the node
CENTRE_MEMORY: Final = np.float32(240.0)
SCALE_MEMORY: Final = np.float32(1_440.0)
SCALE_FRAMES: Final = np.float32(30.0)
SCALES: Final = (np.float32(0.03), np.float32(40.0))
#: Once off by so much on average over so many frames, a metric has gone elsewhere for good, or its centre was wrong
#: from the start: it follows quickly.
ASTRAY: Final = np.float32(2.5)
ASTRAY_FRAMES: Final = np.float32(120.0)
ASTRAY_SHARE: Final = np.float32(0.03)
HUBER: Final = np.float32(3.0)
#: What warms with the room is told from it: by the slope of their deviations where the room's is more than this, once
#: the node is so long in its usual state; a slope of nought counts as much as so many squared deviations.
WARMING: Final = ("temperature", "memory_temperature", "fan")
WARM: Final = np.float32(3.0)
STEADY_FRAMES: Final = np.float32(45.0)
SLOPE_PRIOR: Final = np.float32(20.0)
WARM_MAX: Final = np.float32(60.0)
#: Frames that warmth may lag behind; which of them is told by its misfit while the level moves, and until then the
#: third is taken. A regime's level of what warms is known when it has been seen so long.
LAGS: Final = (1, 3, 10, 30)
LAG_UNTOLD: Final = np.array([4.0, 2.0, 0.0, 4.0], np.float32)
MISFIT_KEPT: Final = np.float32(0.999)
MISFIT_MAX: Final = np.float32(8.0)
SETTLED_FRAMES: Final = np.float32(60.0)
ABS_TO_SD: Final = np.float32(1.2533)
Z_MAX: Final = np.float32(8.0)
LONGEST: Final = np.float32(500.0)
#: Frames of the averages of deviations, and of the memories of events.
SPANS: Final = (1, 3, 8, 20)
MEMORIES: Final = (3, 8, 20, 60, 240)
GONE_SPANS: Final = (1, 4, 12)
REMEMBERED: Final = np.float32(0.25)  # events: a counter that is remembered to have moved

#: Signal groups whose counters may count single events.
EVENTFUL: Final = ("memory_errors", "throttling", "pcie", "link", "disk", "other")
EVIDENCE_NAMES: Final = (
    *(f"{aspect}.off{span}" for aspect in ASPECTS for span in SPANS),
    *(f"{signal}.{what}{memory}" for signal in EVENTFUL for what in ("most", "rest", "moved") for memory in MEMORIES),
    *(f"node.gone{span}" for span in GONE_SPANS),
    "node.far",
    "node.stay",
    "node.held",
)

#: name → (kind of shape, blank, type)
BLANK: Final[dict[str, tuple[str, Any, Any]]] = {
    "centre": ("regimes", 0.0, np.float32),
    "frames": ("regime", 0.0, np.float32),  # in a regime; 0: there is none
    "comings": ("regime", 0.0, np.float32),
    "other": ("regime", False, np.bool_),  # nearly all metrics are elsewhere in it
    "scale": ("metric", 1.0, np.float32),
    "told": ("metric", 0.0, np.float32),
    "last": ("metric", np.nan, np.float32),
    "averages": ("averages", 0.0, np.float32),
    "events": ("events", 0.0, np.float32),
    "astray": ("metric", 0.0, np.float32),  # the deviation from the regime's centre, averaged
    "level": ("lags", np.nan, np.float32),  # of what warms, for each lag
    "misfit": ("lag", 0.0, np.float32),
    "warmed": ("metric", 0.0, np.float32),  # products of its deviation and the room's
    "warmth": ("node", 0.0, np.float32),  # squares of the room's
    "steady": ("node", 0.0, np.float32),  # frames since the node was in another state
    "gone": ("gone", 0.0, np.float32),  # share of the metrics that a frame lacks, averaged
    "regime": ("node", -1, np.int8),
    "stay": ("node", 0.0, np.float32),
    "far": ("node", 0.0, np.float32),
    "held": ("node", True, np.bool_),
}


class Gathered:
    """The evidence of nodes side by side, as :class:`~models.detector.Detector` holds its own."""

    def __init__(self, rows: int, metrics: int) -> None:
        self.metrics = metrics
        self.state: dict[str, NDArray[Any]] = {
            name: np.full((rows, *_shape(kind, metrics)), blank, dtype) for name, (kind, blank, dtype) in BLANK.items()
        }

    def grow(self, count: int) -> None:
        """Make room for ``count`` more rows."""
        fresh = Gathered(count, self.metrics).state
        self.state = {name: np.concatenate([array, fresh[name]]) for name, array in self.state.items()}

    def forget(self, row: int) -> None:
        """Make a row as if its node had never been seen."""
        for name, array in self.state.items():
            array[row] = BLANK[name][1]

    def take_over(self, row: int, columns: list[int], other: Gathered, other_row: int) -> None:
        """Go on with a row of another, whose metrics are the ``columns`` of this one."""
        for name, array in self.state.items():
            kind, learned = BLANK[name][0], other.state[name][other_row]
            if kind in {"node", "regime", "gone", "lag"}:
                array[row] = learned
            elif kind == "regimes":
                array[row][:, columns] = learned
            else:
                array[row, columns] = learned

    def advance(self, rows: Index, units: Floats, counts: Floats, eventful: Flags, columns: Columns) -> None:
        """Take the next frame of each of ``rows`` (all different).

        Parameters
        ----------
        units : ``(rows, metrics)`` in own units, NaN where missing or not yet known.
        counts : events since the frame before; NaN where unknown.
        eventful : which metrics are counters of single events; they have no deviation.
        columns : which metrics tell of what.
        """
        gauged = ~np.isnan(units) & ~eventful
        self._compare(rows, np.where(gauged, units, np.float32(0.0)), gauged, columns)
        usual = (self.state["told"][rows] > 0).sum(axis=1, dtype=np.int32).astype(np.float32)
        lacks = np.float32(1.0) - gauged.sum(axis=1, dtype=np.int32).astype(np.float32) / np.maximum(usual, 1)
        gone = self.state["gone"][rows]
        self.state["gone"][rows] = gone + _GONE_SHARES * (np.maximum(lacks, np.float32(0.0))[:, None] - gone)
        number = np.where(eventful & ~np.isnan(counts), counts, np.float32(0.0))
        events = self.state["events"][rows]
        self.state["events"][rows] = (events + number[..., None]) * _KEPT

    def _compare(self, rows: Index, x: Floats, gauged: Flags, columns: Columns) -> None:
        """Find the regime of each frame, and average the deviations from the nearest that is ordinary."""
        state, each = self.state, np.arange(len(rows))
        scale, known = state["scale"][rows], gauged.sum(axis=1, dtype=np.int32).astype(np.float32)
        centre, frames = state["centre"][rows], state["frames"][rows]
        off = np.where(gauged[:, None], x[:, None] - centre, np.float32(0.0))
        far = np.minimum(np.abs(off) / scale[:, None], FAR)
        excess = np.where(frames > 0, far.sum(axis=-1) - ORDINARY * known[:, None], np.float32(np.inf))
        beyond = (far >= FAR).sum(axis=-1, dtype=np.int32).astype(np.float32) / np.maximum(known, 1)[:, None]
        regime = self._enter(rows, x, gauged, excess, known, beyond)
        ordinary = self._ordinary(rows)
        nearest = np.where(ordinary, excess, np.float32(np.inf)).argmin(axis=1)
        against, main = off[each, nearest], frames.argmax(axis=1)
        if len(columns.warming):
            level = self._follow(rows, x, gauged, nearest, columns)
            against[:, columns.warming] = np.where(gauged, x, np.float32(0.0))[:, columns.warming] - level
        against *= gauged
        held = (beyond[each, nearest] > ANOTHER_STATE) | ~(frames[each, nearest] >= KNOWN_FRAMES)
        self._settle(rows, regime, np.where((regime == nearest)[:, None], against, np.nan), x, gauged, columns)
        live = gauged & ~held[:, None]
        live[:, columns.warming] &= ((frames[each, nearest] >= SETTLED_FRAMES) | (nearest == main))[:, None]
        z = against / scale
        if len(columns.room) and len(columns.warming):
            away = held | (beyond[each, state["frames"][rows].argmax(axis=1)] > ANOTHER_STATE)
            self._tell_from_room(rows, z, live, away, columns)
        self._average(rows, np.clip(z, -Z_MAX, Z_MAX), live)
        self._learn_scale(rows, z * scale, live)
        state["far"][rows], state["held"][rows] = beyond[each, nearest], held

    def _enter(self, rows: Index, x: Floats, gauged: Flags, excess: Floats, known: Floats, beyond: Floats) -> Index:
        """The regime of each frame, a new one in the place of the least seen where it is like none and came at once."""
        state, each = self.state, np.arange(len(rows))
        last, now = state["last"][rows], state["regime"][rows].astype(np.intp)
        with np.errstate(invalid="ignore"):
            jumped = (np.abs(x - last) > FAR * state["scale"][rows]) & gauged
        state["last"][rows] = np.where(gauged, x, last)
        best = excess.argmin(axis=1)
        least = excess[each, best]
        unlike = (least > np.maximum(UNLIKE, UNLIKE_SHARE * known)) & (jumped.sum(axis=1) >= JUMPS)
        new = (unlike | ~np.isfinite(least)) & (known > 0)
        frames = state["frames"][rows]
        frames[each, np.maximum(now, 0)] = np.inf
        regime: Index = np.where(new, frames.argmin(axis=1), best)
        begun = np.flatnonzero(new)
        place = rows[begun], regime[begun]
        before = np.where(np.isfinite(least[begun])[:, None], state["centre"][rows[begun], best[begun]], np.float32(0))
        state["centre"][place] = np.where(gauged[begun], x[begun], before)
        for name in ("frames", "comings", "other"):
            state[name][place] = BLANK[name][1]
        self._count_comings(rows, regime, now, new, known, beyond)
        return regime

    def _count_comings(self, rows: Index, regime: Index, now: Index, new: Flags, known: Floats, beyond: Floats) -> None:
        state, each = self.state, np.arange(len(rows))
        told, stay = known > 0, state["stay"][rows]
        changed = (regime != now) & told
        state["comings"][rows, regime] += changed & ((stay >= STAY_FRAMES) | (now < 0) | new)
        state["stay"][rows] = np.where(changed, np.float32(1.0), np.minimum(stay + 1, LONGEST))
        state["regime"][rows] = np.where(told, regime, now)
        main = state["frames"][rows].argmax(axis=1)
        state["other"][rows, regime] |= beyond[each, main] > ANOTHER_STATE

    def _ordinary(self, rows: Index) -> Flags:
        """Which regimes deviations may count against; the one that was seen most always."""
        state = self.state
        frames = state["frames"][rows]
        usual = (frames >= KNOWN_FRAMES) & ((state["comings"][rows] >= COMINGS) | state["other"][rows])
        found: Flags = usual | (np.arange(REGIMES) == frames.argmax(axis=1)[:, None])
        return found

    def _follow(self, rows: Index, x: Floats, gauged: Flags, nearest: Index, columns: Columns) -> Floats:
        """The level of what warms ``(rows, warming)``, which goes after the centre of the frame's regime."""
        state, at, place = self.state, columns.warming, (rows[:, None], columns.warming)
        goal, scale = state["centre"][rows, nearest][:, at], state["scale"][place]
        level = state["level"][place]
        level = np.where(np.isnan(level), goal[..., None], level)
        level += _LAG_SHARES * (goal[..., None] - level)
        state["level"][place] = level
        miss = np.minimum(np.abs(x[:, at][..., None] - level) / scale[..., None], MISFIT_MAX)
        settled = state["frames"][rows, nearest] >= SETTLED_FRAMES
        moving = (np.abs(level[..., 0] - level[..., -1]) > FAR * scale) & gauged[:, at] & settled[:, None]
        misfit = MISFIT_KEPT * state["misfit"][rows] + np.where(moving[..., None], miss, np.float32(0.0)).sum(axis=1)
        state["misfit"][rows] = misfit
        found: Floats = level[np.arange(len(rows)), :, (misfit + LAG_UNTOLD).argmin(axis=1)]
        return found

    def _settle(self, rows: Index, regime: Index, against: Floats, x: Floats, gauged: Flags, columns: Columns) -> None:
        """Let the centre of the frame's regime follow it; ``against`` is NaN where another regime was held against."""
        state = self.state
        frames = state["frames"][rows, regime] + gauged.any(axis=1)
        state["frames"][rows, regime] = frames
        scale, centre, settled = state["scale"][rows], state["centre"][rows, regime], frames > SETTLED_FRAMES
        off, at = x - centre, columns.warming
        off[:, at] = np.where(settled[:, None] & ~np.isnan(against[:, at]), against[:, at], off[:, at])
        off = np.where(gauged, off, np.float32(0.0))
        before = state["astray"][rows]
        gone = np.abs(before) > ASTRAY
        state["astray"][rows] = before + gauged * (np.clip(off / scale, -Z_MAX, Z_MAX) - before) / ASTRAY_FRAMES
        # Twice the share of a mean: what a regime began with is soon forgotten.
        share = np.maximum(np.float32(1.0) / CENTRE_MEMORY, np.float32(2.0) / np.maximum(frames + 1, np.float32(2.0)))
        bound = np.where(gone | ~settled[:, None], np.float32(np.inf), HUBER * scale)
        step = np.where(gone, ASTRAY_SHARE, share[:, None]) * np.clip(off, -bound, bound)
        state["centre"][rows, regime] = centre + step

    def _tell_from_room(self, rows: Index, z: Floats, live: Flags, away: Flags, columns: Columns) -> None:
        """Take off what a warmer room explains, in place, by the slope so far; then learn it."""
        state, at = self.state, columns.warming
        warmth = np.clip(z[:, columns.room], -WARM_MAX, WARM_MAX).sum(axis=1) / np.float32(len(columns.room))
        steady = np.where(away, np.float32(0.0), np.minimum(state["steady"][rows] + 1, LONGEST))
        state["steady"][rows] = steady
        place = rows[:, None], at
        warmed, squares = state["warmed"][place], state["warmth"][rows]
        own = np.clip(z[:, at], -WARM_MAX, WARM_MAX)
        z[:, at] -= warmed / (squares + SLOPE_PRIOR)[:, None] * warmth[:, None]
        learning = (np.abs(warmth) > WARM) & (steady >= STEADY_FRAMES)
        kept = np.float32(1.0) - np.float32(1.0) / CENTRE_MEMORY
        state["warmed"][place] = np.where(
            learning[:, None] & live[:, at], kept * warmed + own * warmth[:, None], warmed
        )
        state["warmth"][rows] = np.where(learning, kept * squares + warmth * warmth, squares)

    def _average(self, rows: Index, z: Floats, live: Flags) -> None:
        averages = self.state["averages"][rows]
        moved = averages + _SHARES * (z[..., None] - averages)
        self.state["averages"][rows] = np.where(live[..., None], moved, averages)

    def _learn_scale(self, rows: Index, off: Floats, live: Flags) -> None:
        state = self.state
        scale, told = state["scale"][rows], state["told"][rows] + live
        state["told"][rows] = told
        share = np.maximum(np.float32(1.0) / SCALE_MEMORY, np.float32(1.0) / (told + SCALE_FRAMES))
        usual = ABS_TO_SD * np.minimum(np.abs(off), HUBER * scale)
        state["scale"][rows] = np.where(live, np.clip(scale + share * (usual - scale), *SCALES), scale)

    def features(self, rows: Index, told: Flags, eventful: Flags, columns: Columns) -> Floats:
        """:data:`EVIDENCE_NAMES` ``(rows, features)``; ``told`` says which metrics have own units."""
        state = self.state
        averages = np.where((told & ~eventful)[..., None], state["averages"][rows], np.float32(0.0))
        events = np.where((told & eventful)[..., None], state["events"][rows], np.float32(0.0))
        shown = [_largest_of_either_sign(averages[:, at]) for at in columns.aspects]
        for at in columns.eventful:
            shown += _of_events(events[:, at])
        node = np.stack([state["far"][rows], state["stay"][rows], state["held"][rows].astype(np.float32)], axis=1)
        return np.concatenate([*shown, state["gone"][rows], node], axis=1)


class Columns:
    """Which metrics make up each of :data:`~models.signals.ASPECTS` and of :data:`EVENTFUL`."""

    def __init__(self, metrics: tuple[str, ...]) -> None:
        aspects, signals = [aspect_of(metric) for metric in metrics], [signal_of(metric) for metric in metrics]
        self.aspects = tuple(np.flatnonzero([one == aspect for one in aspects]) for aspect in ASPECTS)
        self.room = self.aspects[ASPECTS.index("room")]
        self.warming = np.concatenate([self.aspects[ASPECTS.index(aspect)] for aspect in WARMING])
        self.eventful = tuple(np.flatnonzero([one == signal for one in signals]) for signal in EVENTFUL)


def _largest_of_either_sign(averages: Floats) -> Floats:
    """``(rows, metrics, spans)`` → ``(rows, spans)``."""
    high, low = averages.max(axis=1, initial=0.0), averages.min(axis=1, initial=0.0)
    largest: Floats = np.where(high >= -low, high, low)
    return largest


def _of_events(events: Floats) -> list[Floats]:
    """Of a group's counters ``(rows, metrics, memories)``: the most, the rest, and how many moved."""
    most = events.max(axis=1, initial=0.0)
    rest = np.ascontiguousarray(events.transpose(0, 2, 1)).sum(axis=-1) - most
    moved = (events > REMEMBERED).sum(axis=1, dtype=np.int32).astype(np.float32)
    return [most, rest, moved]


def _shape(kind: str, metrics: int) -> tuple[int, ...]:
    shapes: dict[str, tuple[int, ...]] = {
        "node": (),
        "regime": (REGIMES,),
        "gone": (len(GONE_SPANS),),
        "regimes": (REGIMES, metrics),
        "metric": (metrics,),
        "averages": (metrics, len(SPANS)),
        "events": (metrics, len(MEMORIES)),
        "lags": (metrics, len(LAGS)),
        "lag": (len(LAGS),),
    }
    return shapes[kind]


_SHARES: Final = np.array([2.0 / (span + 1) for span in SPANS], np.float32)
_LAG_SHARES: Final = np.array([1.0 / lag for lag in LAGS], np.float32)
_GONE_SHARES: Final = np.array([2.0 / (span + 1) for span in GONE_SPANS], np.float32)
_KEPT: Final = np.array([1 - 1 / memory for memory in MEMORIES], np.float32)
if not set(EVENTFUL) <= set(SIGNALS):
    raise ValueError("evidence: counters are told apart by the groups of models/signals.py")
