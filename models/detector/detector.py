"""The detector of nodes side by side: rows of arrays that advance by one frame, each row by itself."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.detector import constants as c
from models.detector.alarm import Judged, judge
from models.detector.arithmetic import ABS_DEVIATION_TO_SD, Doubles, Flags, Floats, move_quantile, pool, weight
from models.detector.residual import add_products, in_units, residual_matrix, residuals
from models.detector.transitions import surprises
from models.limits import MARKOV_STATES

Index = NDArray[np.intp]


class Detector:
    """What was learned of each row's node, and whether an incident is open on it.

    Parameters
    ----------
    rows, metrics : how many nodes there is room for, and metrics of each.
    learn_s : for how long a node is learned.

    Notes
    -----
    Values are in own units (``models/cohort.py``): about 1 is an ordinary deviation in a metric's first frames, and a
    constant metric has 1 % of its magnitude for its unit.
    """

    def __init__(self, rows: int, metrics: int, learn_s: float = c.LEARN_S) -> None:
        self.metrics = metrics
        self.learn_s = learn_s
        self.state: dict[str, NDArray[Any]] = {
            name: np.full((rows, *_shape(kind, metrics)), blank, dtype) for name, (kind, blank, dtype) in BLANK.items()
        }

    @classmethod
    def from_arrays(cls, metrics: int, arrays: dict[str, NDArray[Any]], learn_s: float = c.LEARN_S) -> Detector:
        """The detector whose :attr:`state` these arrays are."""
        detector = cls(0, metrics, learn_s)
        detector.state = {name: arrays[name] for name in BLANK}
        return detector

    def grow(self, count: int) -> None:
        """Make room for ``count`` more rows."""
        fresh = Detector(count, self.metrics).state
        self.state = {name: np.concatenate([array, fresh[name]]) for name, array in self.state.items()}

    def forget(self, row: int) -> None:
        """Make a row as if its node had never been seen."""
        for name, array in self.state.items():
            array[row] = BLANK[name][1]

    def take_over(self, row: int, columns: list[int], other: Detector, other_row: int) -> None:
        """Go on with a row of another detector, whose metrics are the ``columns`` of this one."""
        for name, array in self.state.items():
            kind, learned = BLANK[name][0], other.state[name][other_row]
            if kind in {"node", "component"}:
                array[row] = learned
            elif kind != "matrix":
                array[row, columns] = learned
            elif array.shape[1] and len(learned):
                array[row][np.ix_(columns, columns)] = learned

    def copied(self, times: int) -> Detector:
        """A detector with all rows ``times`` over, one block after another."""
        arrays = {name: np.concatenate([array] * times) for name, array in self.state.items()}
        return Detector.from_arrays(self.metrics, arrays, self.learn_s)

    def advance(self, rows: Index, dt: Doubles, values: Floats) -> Judged:
        """Take the next frame of each of ``rows`` (all different), and say what it shows.

        ``dt (rows,)`` seconds since the node's frame before (any positive number at the first), ``values (rows,
        metrics)`` in own units, NaN where missing or not yet known.
        """
        gap, dt = dt >= c.GAP_S_MAX, self._paced(rows, np.clip(dt, 1e-3, c.GAP_S_MAX))
        self.state["age"][rows] += dt
        components = self._components(rows, dt, values, gap)
        score = self._fuse(rows, dt, components)
        return judge(self.state, rows, dt, score, self._near(rows, dt, values), self.learn_s)

    def _paced(self, rows: Index, dt: Doubles) -> Doubles:
        """Time for which a frame stands: since the one before, but no more than a few times what is usual."""
        usual = self.state["pace"][rows]
        usual = np.where(usual > 0, usual, dt)
        stands: Doubles = np.minimum(dt, c.PACES_MAX * usual)
        self.state["pace"][rows] = usual + c.PACE_SHARE * (stands - usual)
        return stands

    def _components(self, rows: Index, dt: Doubles, values: Floats, gap: Flags) -> Floats:
        """The five components, pooled: ``(rows, 5)``."""
        state = self.state
        known = ~np.isnan(values)
        first = known & np.isnan(state["centre"][rows])
        for name in ("centre", "last", "anchor"):
            state[name][rows] = np.where(first, values, state[name][rows])
        told = state["told"][rows]
        learning = known & (told < self.learn_s)
        told = np.where(known, np.minimum(told + dt.astype(np.float32)[:, None], np.float32(self.learn_s)), told)
        state["told"][rows] = told
        jump, adaptive = self._jumps(rows, dt, values, gap)
        level = self._level(rows, dt, values, learning)
        residual = self._residual(rows, dt, values)
        moved = surprises(state, rows, values, dt, told >= c.MATRIX_SHARE * self.learn_s)
        parts = (level, jump, adaptive, residual, moved)
        return np.stack([pool(part, c.WORST_SHARE) for part in parts], axis=-1)

    def _jumps(self, rows: Index, dt: Doubles, values: Floats, gap: Flags) -> tuple[Floats, Floats]:
        state = self.state
        last, scale, unit = state["last"][rows], state["jump_scale"][rows], state["unit"][rows]
        jump = np.abs(values - last)
        jump = np.where(np.isnan(jump) | gap[:, None], np.float32(0.0), jump)
        state["last"][rows] = np.where(np.isnan(values), last, values)
        told = state["told"][rows]
        usual = ABS_DEVIATION_TO_SD * np.minimum(jump, np.float32(c.HUBER_SCALES) * scale)
        moved = scale + weight(dt, c.JUMP_MEMORY_S, told) * (usual - scale)
        least, most = c.JUMP_SHARES
        moved = np.clip(moved, np.float32(least) * unit, np.float32(most) * unit)
        state["jump_scale"][rows] = np.where(np.isnan(values), scale, moved)
        return np.minimum(jump / unit, c.DEVIATION_MAX), np.minimum(jump / scale, c.DEVIATION_MAX)

    def _level(self, rows: Index, dt: Doubles, values: Floats, learning: Flags) -> Floats:
        state = self.state
        centre, scale, told = state["centre"][rows], state["scale"][rows], state["told"][rows]
        off = values - centre
        known = ~np.isnan(off)
        off = np.where(known, off, np.float32(0.0))
        z = np.minimum(np.abs(off) / scale, c.DEVIATION_MAX)
        step = np.clip(off, -c.HUBER_SCALES * scale, c.HUBER_SCALES * scale)
        usual = ABS_DEVIATION_TO_SD * np.abs(step)
        if learning.any():
            self._learn_units(rows, dt, values, off, usual, learning)
        unit = state["unit"][rows]
        state["centre"][rows] = np.where(known, centre + weight(dt, c.CENTRE_MEMORY_S, told) * step, centre)
        moved = scale + weight(dt, c.SCALE_MEMORY_S, told) * (usual - scale)
        moved = np.clip(moved, c.SCALE_SHARES[0] * unit, c.SCALE_SHARES[1] * unit)
        state["scale"][rows] = np.where(known, moved, scale)
        shown: Floats = z
        return shown

    def _learn_units(
        self, rows: Index, dt: Doubles, values: Floats, off: Floats, usual: Floats, learning: Flags
    ) -> None:
        """The unit of each metric: its mean deviation, floored by its standard deviation and range; 1 if constant."""
        state = self.state
        share = weight(dt, self.learn_s, state["told"][rows])
        mean, square = state["mean"][rows], state["square"][rows]
        mean = np.where(learning, mean + share * (usual - mean), mean)
        square = np.where(learning, square + share * (off * off - square), square)
        ranging = learning & (state["told"][rows] < c.MATRIX_SHARE * self.learn_s)
        low, high = state["low"][rows], state["high"][rows]
        low, high = np.where(ranging, np.fmin(low, values), low), np.where(ranging, np.fmax(high, values), high)
        spread = np.maximum(mean, np.float32(c.SD_SHARE) * np.sqrt(square))
        spread = np.maximum(spread, np.float32(c.RANGE_SHARE) * np.maximum(high - low, np.float32(0.0)))
        unit = np.where(learning, np.where(spread > 1e-6, spread, np.float32(1.0)), state["unit"][rows])
        state["mean"][rows], state["square"][rows], state["unit"][rows] = mean, square, unit
        state["low"][rows], state["high"][rows] = low, high

    def _residual(self, rows: Index, dt: Doubles, values: Floats) -> Floats:
        """Residuals, against their own slow average; their reference is the anchor, so a lasting fault shows on."""
        state = self.state
        if not state["matrix"].shape[1]:
            return np.zeros(values.shape, np.float32)
        y = in_units(values - state["anchor"][rows], state["unit"][rows])
        age = state["age"][rows]
        gathering = ~state["ready"][rows]
        if gathering.any():
            self._gather(rows[gathering], dt[gathering], y[gathering])
        ready = state["ready"][rows]
        if not ready.any():
            return np.zeros(values.shape, np.float32)
        found = residuals(y, state["matrix"][rows])
        found = np.where(ready[:, None], found, np.float32(0.0))
        since = (age - c.MATRIX_SHARE * self.learn_s).astype(np.float32)[:, None]
        since = np.maximum(since, dt.astype(np.float32)[:, None])
        centre, scale = state["residual"][rows], state["residual_scale"][rows]
        off = found - centre
        z = np.minimum(np.abs(off) / scale, c.DEVIATION_MAX)
        step = np.clip(off, -c.HUBER_SCALES * scale, c.HUBER_SCALES * scale)
        state["residual"][rows] = centre + weight(dt, c.RESIDUAL_MEMORY_S, since) * step
        usual = ABS_DEVIATION_TO_SD * np.abs(step)
        unit = state["residual_unit"][rows]
        learning = (ready & (age < self.learn_s))[:, None]
        unit = np.where(learning, unit + weight(dt, self.learn_s, since) * (usual - unit), unit)
        unit = np.maximum(unit, np.float32(1e-3))
        moved = scale + weight(dt, c.SCALE_MEMORY_S / 2, since) * (usual - scale)
        moved = np.clip(moved, c.SCALE_SHARES[0] * unit, c.SCALE_SHARES[1] * unit)
        standing = state["open"][rows][:, None] | ~ready[:, None]
        state["residual_unit"][rows] = unit
        state["residual_scale"][rows] = np.where(standing, scale, moved)
        drift = state["drift"][rows]
        towards = np.clip(found / scale, -c.DRIFT_MAX, c.DRIFT_MAX)
        state["drift"][rows] = drift + weight(dt, c.DRIFT_S) * (towards - drift)
        return np.where(ready[:, None], z, np.float32(0.0))

    def _gather(self, rows: Index, dt: Doubles, y: Floats) -> None:
        """Average the products of deviations; when enough of the learning is over make the matrix of them."""
        state = self.state
        age = state["age"][rows]
        share = np.minimum(1.0, dt / age).astype(np.float32)
        state["matrix"][rows] = add_products(state["matrix"][rows], y, share)
        for row in rows[age >= c.MATRIX_SHARE * self.learn_s]:
            state["matrix"][row] = residual_matrix(state["matrix"][row])
            state["ready"][row] = True

    def _fuse(self, rows: Index, dt: Doubles, components: Floats) -> Floats:
        """The weighted sum of the components, each over its own high quantile: learned, or of late if that is more."""
        state = self.state
        high, learned = state["high_of"][rows], state["high_learned"][rows]
        age = state["age"][rows]
        steps = np.clip(age / dt, c.HIGH_FRAMES_MIN, c.HIGH_MEMORY_S / dt).astype(np.float32)[:, None]
        fresh = (high <= 0) & (components > 0)
        high = np.where(fresh, components, high)
        moved = np.maximum(move_quantile(high, components, c.HIGH, steps), np.float32(c.HIGH_MIN))
        high = np.where(high > 0, moved, high)
        learned = np.where((age < self.learn_s)[:, None], high, learned)
        state["high_of"][rows], state["high_learned"][rows] = high, learned
        norm = np.maximum(np.maximum(high, learned), np.float32(c.HIGH_MIN))
        share: Floats = (components / norm * np.array(c.WEIGHTS, np.float32)).sum(axis=-1)
        return share

    def _near(self, rows: Index, dt: Doubles, values: Floats) -> Floats:
        """How far the level is from the anchor, pooled, in scales; an open incident holds both as they were."""
        state = self.state
        anchor, scale = state["anchor"][rows], state["anchor_scale"][rows]
        off = np.abs(values - anchor) / scale
        off = np.where(np.isnan(off), np.float32(0.0), np.minimum(off, c.DEVIATION_MAX))
        near = pool(off, c.WORST_SHARE)
        closed = ~state["open"][rows][:, None]
        state["anchor"][rows] = np.where(closed, state["centre"][rows], anchor)
        state["anchor_scale"][rows] = np.where(closed, state["scale"][rows], scale)
        return near


def _shape(kind: str, metrics: int) -> tuple[int, ...]:
    inner = metrics if metrics <= c.RESIDUAL_METRICS_MAX else 0
    shapes: dict[str, tuple[int, ...]] = {
        "node": (),
        "component": (len(c.WEIGHTS),),
        "metric": (metrics,),
        "matrix": (inner, inner),
        "counts": (metrics, MARKOV_STATES, MARKOV_STATES),
    }
    return shapes[kind]


#: name → (kind of shape, blank, type)
BLANK: Final[dict[str, tuple[str, Any, Any]]] = {
    "told": ("metric", 0.0, np.float32),  # seconds of known values, as far as it is learned from
    "centre": ("metric", np.nan, np.float32),
    "anchor": ("metric", np.nan, np.float32),  # the centre; while an incident is open as it was before
    "scale": ("metric", 1.0, np.float32),
    "anchor_scale": ("metric", 1.0, np.float32),  # the scale; while an incident is open as it was before
    "unit": ("metric", 1.0, np.float32),  # learned
    "mean": ("metric", 0.0, np.float32),  # deviation while learning
    "square": ("metric", 0.0, np.float32),
    "low": ("metric", np.inf, np.float32),
    "high": ("metric", -np.inf, np.float32),
    "last": ("metric", np.nan, np.float32),
    "jump_scale": ("metric", 1.0, np.float32),
    "residual": ("metric", 0.0, np.float32),
    "residual_scale": ("metric", 1.0, np.float32),
    "residual_unit": ("metric", 0.0, np.float32),
    "drift": ("metric", 0.0, np.float32),  # the signed residual, averaged
    "matrix": ("matrix", 0.0, np.float32),  # products of deviations, then what residuals are made with
    "ready": ("node", False, np.bool_),  # whether it is the latter
    "counts": ("counts", 0, np.uint8),
    "state": ("metric", -1, np.int8),
    "surprise": ("metric", 0.0, np.float32),
    "surprise_scale": ("metric", 1.0, np.float32),
    "high_of": ("component", 0.0, np.float32),
    "high_learned": ("component", 0.0, np.float32),
    "age": ("node", 0.0, np.float64),
    "pace": ("node", 0.0, np.float64),  # usual time between frames
    "quick": ("node", 0.0, np.float32),
    "slow": ("node", 0.0, np.float32),
    "peak": ("node", 0.0, np.float32),  # of the hour
    "threshold": ("node", 0.0, np.float32),
    "median": ("node", 0.0, np.float32),
    "floor": ("node", 0.0, np.float32),
    "drift_floor": ("node", 0.0, np.float32),
    "near": ("node", 0.0, np.float32),
    "near_usual": ("node", 0.0, np.float32),
    "open": ("node", False, np.bool_),
    "open_s": ("node", 0.0, np.float32),
    "calm_s": ("node", 0.0, np.float32),
}
