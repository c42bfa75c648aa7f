"""From causes to samples: levels, each node's own offsets and drift, noise, counting, rounding and loss."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from experiments.fleet.latents import Floats, Latents
from experiments.fleet.metrics import COUNTERS, EVENTS, FLOWS, GAUGES, METRICS
from experiments.fleet.signatures import Levels
from experiments.fleet.spec import FleetSpec

_BUSY = np.array([metric.busy for metric in METRICS], np.float32)
_NOISE = np.array([metric.noise for metric in METRICS], np.float32)
_GPU = np.array([metric.from_gpu for metric in METRICS])
_LOWEST = np.array([-np.inf if metric.unit == "celsius" else 0.0 for metric in METRICS], np.float32)
_HIGHEST = np.array([100.0 if metric.unit == "percent" else np.inf for metric in METRICS], np.float32)

#: Memory of a gauge's noise from one interval to the next, and of warmth.
_NOISE_MEMORY, _WARMTH_MEMORY = np.float32(0.5), np.float32(0.9)
#: Memory of the drift from one chunk to the next. Its standard deviation is that of the noise.
_DRIFT_MEMORY = np.float32(0.98)
#: Standard deviation of nodes about the fleet's level, as a share of it.
_OFFSET_SHARE = 0.03


class Observer:
    """Samples of a fleet, chunk by chunk in order; holds what carries over from one chunk to the next."""

    def __init__(self, spec: FleetSpec, rng: np.random.Generator) -> None:
        self._spec, self._rng = spec, rng
        self._offset = 1 + np.float32(_OFFSET_SHARE) * self._normal(spec.nodes, len(METRICS))
        self._event_rate = _BUSY[EVENTS] * np.exp(self._normal(*self._offset[:, EVENTS].shape))
        self._chunks = 0
        self._drift = self._normal(*self._offset[:, GAUGES].shape)
        self._noise = self._normal(*self._drift.shape)
        self._slow_load = np.ones(spec.nodes, np.float32)
        self._totals = self._initial_totals()

    def chunk(self, latents: Latents) -> Floats:
        """``(steps, nodes, metrics)`` float32 samples; what is lost is NaN."""
        values = Levels(latents, self._warm_up(latents.load)).values
        self._gauge(values[..., GAUGES])
        self._count(values, latents)
        self._lose(values, latents)
        return values

    def _normal(self, *shape: int) -> Floats:
        return self._rng.standard_normal(shape, np.float32)

    def _initial_totals(self) -> npt.NDArray[np.float64]:
        """What the counters show after up to an hour (or, of single events, 20,000 intervals) since the last start."""
        uptime = self._rng.random((self._spec.nodes, 1))
        flows = 3_600 * uptime * _BUSY[FLOWS]
        events = self._rng.poisson(20_000 * uptime * self._event_rate)
        return np.concatenate([flows, events], axis=1)

    def _warm_up(self, load: Floats) -> Floats:
        """The load as warmth follows it: an exponential mean over about ten intervals."""
        slow = np.empty_like(load)
        for step, now in enumerate(load):
            self._slow_load = _WARMTH_MEMORY * self._slow_load + (1 - _WARMTH_MEMORY) * now
            slow[step] = self._slow_load
        return slow

    def _gauge(self, values: Floats) -> None:
        """Give the levels each node's offset, drift and noise, and round as the exporters do; in place."""
        noise = self._normal(*values.shape)
        noise *= np.sqrt(1 - _NOISE_MEMORY**2)
        for now in noise:
            now += _NOISE_MEMORY * self._noise
            self._noise = now
        self._noise = self._noise.copy()
        noise += self._drifting(len(values))
        noise *= _NOISE[GAUGES]
        values *= self._offset[:, GAUGES]
        values += noise
        np.clip(values, _LOWEST[GAUGES], _HIGHEST[GAUGES], out=values)
        for column, metric in enumerate(METRICS[GAUGES]):
            if metric.quantum:
                values[..., column] = np.rint(values[..., column] / metric.quantum) * metric.quantum

    def _drifting(self, steps: int) -> Floats:
        """The drift on its straight way from this chunk's start to the next one's, ``(steps, nodes, gauges)``."""
        start, fresh = self._drift, np.sqrt(1 - _DRIFT_MEMORY**2) * self._normal(*self._drift.shape)
        self._drift = _DRIFT_MEMORY * start + fresh
        way = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None, None]
        return start + (self._drift - start) * way

    def _count(self, values: Floats, latents: Latents) -> None:
        """Turn the levels of the counters into totals, in place; a restart puts them to nought."""
        flows = values[..., FLOWS] * self._offset[:, FLOWS]
        flows += _NOISE[FLOWS] * self._normal(*flows.shape)
        flows = np.maximum(flows, 0) * np.float32(self._spec.interval_s)
        events = self._rng.poisson(self._event_rate, values[..., EVENTS].shape)
        totals = np.concatenate([flows, events], axis=-1)
        self._add_caused(totals[..., FLOWS.stop - FLOWS.start :], values[..., EVENTS] - _BUSY[EVENTS])
        np.cumsum(totals, axis=0, out=totals)
        totals += self._totals
        for step, row in np.argwhere(latents.restarted):
            totals[step:, row] -= totals[step, row]
        self._totals = totals[-1].copy()
        values[..., COUNTERS] = totals

    def _add_caused(self, events: npt.NDArray[np.float64], rate: Floats) -> None:
        """Add the events that faults and chatter cause, each node's from a generator of its own.

        So what happens to one node changes no sample of another, nor of its own past.
        """
        for row in np.flatnonzero(rate.any(axis=(0, 2))).tolist():
            events[:, row] += np.random.default_rng([self._spec.seed, self._chunks, row]).poisson(rate[:, row])
        self._chunks += 1

    def _lose(self, values: Floats, latents: Latents) -> None:
        """Put NaN where a sample, its GPU part, or a single value did not arrive."""
        shape, missing = latents.loss.shape, self._spec.missing
        values[self._rng.random(shape, np.float32) < latents.loss + missing] = np.nan
        gone = self._rng.random(shape, np.float32) < latents.gpu_loss + missing / 4
        for step, row in np.argwhere(gone):
            values[step, row, _GPU] = np.nan
        single = self._rng.integers(0, values.size, int(self._rng.binomial(values.size, missing / 4)))
        values.reshape(-1)[single] = np.nan
