"""From causes to samples: levels, each node's own offsets and drift, noise, counting, rounding and loss.

A block of nodes is made at a time, small enough for a core's cache and from a random stream of its own, metric by
metric, so that every pass runs over adjacent memory.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from experiments.fleet.latents import Floats, Latents
from experiments.fleet.metrics import EVENTS, FLOWS, GAUGES, METRICS
from experiments.fleet.signatures import Levels
from experiments.fleet.spec import FleetSpec

Doubles = npt.NDArray[np.float64]

_BUSY = np.array([metric.busy for metric in METRICS], np.float32)
_GPU = np.flatnonzero([metric.from_gpu for metric in METRICS])
_PERCENT = [column for column, metric in enumerate(METRICS[GAUGES]) if metric.unit == "percent"]
_ROUNDED = [(column, np.float32(metric.quantum)) for column, metric in enumerate(METRICS[GAUGES]) if metric.quantum]

#: Standard deviation of the noise of each metric about its level.
NOISE = np.array([metric.noise for metric in METRICS], np.float32)
#: Memory of a gauge's noise from one interval to the next.
NOISE_MEMORY = np.float32(0.5)
#: Memory of warmth.
_WARMTH_MEMORY = np.float32(0.9)
#: Memory of the drift from one chunk to the next. Its standard deviation is that of the noise.
_DRIFT_MEMORY = np.float32(0.98)
#: Standard deviation of nodes about the fleet's level, as a share of it.
_OFFSET_SHARE = np.float32(0.03)
#: What a node's own random stream is for; it is told apart from every other node, chunk and purpose.
_CAUSED, _LOST = 0, 1


class Observer:
    """Samples of a block of nodes, chunk by chunk in order; holds what carries over from one chunk to the next.

    ``offset`` ``(metrics, nodes)`` and ``event_rate`` ``(events, nodes)`` are what sets a node apart from the fleet;
    ``slow_load`` ``(steps, nodes)`` and ``drift`` ``(gauges, steps, nodes)``, in units of the noise, are those of the
    last chunk.

    Parameters
    ----------
    spec : the fleet
    first_row : the block's first node in the fleet
    nodes : number of nodes in the block
    rng : the block's own random stream
    """

    def __init__(self, spec: FleetSpec, first_row: int, nodes: int, rng: np.random.Generator) -> None:
        self._spec, self._first_row, self._nodes, self._rng = spec, first_row, nodes, rng
        self.offset: Floats = 1 + _OFFSET_SHARE * self._normal(len(METRICS), nodes)
        self.event_rate: Floats = _BUSY[EVENTS, None] * np.exp(self._normal(len(METRICS[EVENTS]), nodes))
        self._chunks = 0
        self._drifted = self._normal(len(METRICS[GAUGES]), nodes)
        self._noise = self._normal(len(METRICS[GAUGES]), nodes)
        self._warm = np.ones(nodes, np.float32)
        self.slow_load: Floats
        self.drift: Floats
        self._totals = self._initial_totals()

    def chunk(self, latents: Latents, out: Floats) -> None:
        """Put the next samples into ``out`` ``(steps, nodes, metrics)``; what is lost is NaN."""
        self._warm_up(latents.load)
        values = Levels(latents, self.slow_load).values
        self._gauge(values[GAUGES])
        self._count(values, latents)
        out[:] = values.transpose(1, 2, 0)
        self._lose(out, latents)
        self._chunks += 1

    def _normal(self, *shape: int) -> Floats:
        return self._rng.standard_normal(shape, np.float32)

    def _own(self, row: int, purpose: int) -> np.random.Generator:
        """A node's own stream for this chunk: what happens to one node changes no sample of another."""
        return np.random.default_rng([self._spec.seed, self._chunks, self._first_row + row, purpose])

    def _initial_totals(self) -> Doubles:
        """What the counters show after up to an hour (or, of single events, 20,000 intervals) since the last start."""
        uptime = self._rng.random(self._nodes)
        flows = 3_600 * uptime * _BUSY[FLOWS, None]
        events = self._rng.poisson(20_000 * uptime * self.event_rate)
        return np.concatenate([flows, events])

    def _warm_up(self, load: Floats) -> None:
        """The load as warmth follows it: an exponential mean over about ten intervals."""
        self.slow_load = np.empty_like(load)
        for step, now in enumerate(load):
            self._warm = _WARMTH_MEMORY * self._warm + (1 - _WARMTH_MEMORY) * now
            self.slow_load[step] = self._warm

    def _gauge(self, values: Floats) -> None:
        """Give the levels each node's offset, drift and noise, and round as the exporters do; in place."""
        noise = self._normal(*values.shape)
        noise *= np.sqrt(1 - NOISE_MEMORY**2)
        for step in range(noise.shape[1]):
            noise[:, step] += NOISE_MEMORY * self._noise
            self._noise = noise[:, step]
        self._noise = self._noise.copy()
        self._drift_on(noise.shape[1])
        noise += self.drift
        noise *= NOISE[GAUGES, None, None]
        values *= self.offset[GAUGES, None]
        values += noise
        np.maximum(values, 0, out=values)
        for column in _PERCENT:
            np.minimum(values[column], 100, out=values[column])
        for column, quantum in _ROUNDED:
            values[column] /= quantum
            np.rint(values[column], out=values[column])
            values[column] *= quantum

    def _drift_on(self, steps: int) -> None:
        """The drift goes straight from this chunk's start to the next one's."""
        start, fresh = self._drifted, np.sqrt(1 - _DRIFT_MEMORY**2) * self._normal(*self._drifted.shape)
        self._drifted = _DRIFT_MEMORY * start + fresh
        way = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
        self.drift = (self._drifted - start)[:, None] * way
        self.drift += start[:, None]

    def _count(self, values: Floats, latents: Latents) -> None:
        """Turn the levels of the counters into totals, in place; a restart puts them to nought."""
        flows, events = values[FLOWS], values[EVENTS]
        flows *= self.offset[FLOWS, None]
        flows += NOISE[FLOWS, None, None] * self._normal(*flows.shape)
        np.maximum(flows, 0, out=flows)
        flows *= np.float32(self._spec.interval_s)
        events -= _BUSY[EVENTS, None, None]
        self._happen(events)
        totals = np.cumsum(values[FLOWS.start :], axis=1, dtype=np.float64)
        totals += self._totals[:, None]
        for step, row in np.argwhere(latents.restarted):
            totals[:, step:, row] -= totals[:, step, row, None]
        self._totals = totals[:, -1].copy()
        values[FLOWS.start :] = totals

    def _happen(self, events: Floats) -> None:
        """Turn the caused rates ``(events, steps, nodes)`` into numbers of events, the node's own ones added; in place.

        A node's own events are drawn for the whole chunk, then strewn over its steps: few happen.
        """
        rows = np.flatnonzero(events.any(axis=(0, 1))).tolist()
        caused = [self._own(row, _CAUSED).poisson(events[:, :, row].T).T for row in rows]
        events[:] = 0
        own = self._rng.poisson(self.event_rate * events.shape[1])
        kind, node = np.nonzero(own)
        kind, node = np.repeat(kind, own[kind, node]), np.repeat(node, own[kind, node])
        np.add.at(events, (kind, self._rng.integers(0, events.shape[1], len(kind)), node), 1)
        for row, number in zip(rows, caused, strict=True):
            events[:, :, row] += number

    def _lose(self, out: Floats, latents: Latents) -> None:
        """Put NaN where a sample, its GPU part, or a single value did not arrive."""
        (steps, nodes, metrics), missing = out.shape, self._spec.missing
        frame = self._some(steps * nodes, missing)
        out[frame // nodes, frame % nodes] = np.nan
        frame = self._some(steps * nodes, missing / 4)[:, None]
        out[frame // nodes, frame % nodes, _GPU] = np.nan
        value = self._some(out.size, missing / 4)
        out[value // metrics // nodes, value // metrics % nodes, value % metrics] = np.nan
        for row in np.flatnonzero(latents.loss.any(axis=0) | latents.gpu_loss.any(axis=0)).tolist():
            chance = self._own(row, _LOST).random((steps, 2))
            out[chance[:, 0] < latents.loss[:, row], row] = np.nan
            out[np.flatnonzero(chance[:, 1] < latents.gpu_loss[:, row])[:, None], row, _GPU] = np.nan

    def _some(self, of: int, share: float) -> npt.NDArray[np.int64]:
        return self._rng.integers(0, of, int(self._rng.binomial(of, share)))
