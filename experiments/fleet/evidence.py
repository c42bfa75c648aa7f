"""What a chunk of samples says of each fault class, to one who knows all about the node but whether it is failing.

Known are the node's offsets, its drift, its load, its room and its jobs' checkpoints, the noise and the signatures.
What is left of a sample is normal when the node is healthy, and for a fault of class c at severity s shifted by s·D.
The log likelihood ratio s·B - s²·Q/2 then needs two numbers, B = Σ r·D/v and Q = Σ D²/v over the metrics.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.fleet.fleet import Told
from experiments.fleet.hypotheses import NO_GPU, NOTHING, WHOLE
from experiments.fleet.latents import Floats
from experiments.fleet.metrics import EVENTS, FLOWS, GAUGES, INDEX, METRICS
from experiments.fleet.observation import NOISE, NOISE_MEMORY
from experiments.fleet.signatures import SIGNATURES, Levels, Sign

#: A counter or gauge without noise: its first sign settles the matter; this stands for its resolution.
_RESOLUTION: Final = {"DCGM_FI_DEV_THERMAL_VIOLATION": 0.003, "smartmon_current_pending_sector_raw_value": 0.1}
_SIGMA: Final[Floats] = np.array([_RESOLUTION.get(metric.name, metric.noise or 1.0) for metric in METRICS], np.float32)
#: Rounding adds the variance of a uniform law, which is taken for independent noise.
_ROUNDING: Final = np.array([metric.quantum for metric in METRICS]) ** 2 / 12 / _SIGMA**2
_GPU: Final = np.array([metric.from_gpu for metric in METRICS])
_FIRST_EVENT: Final = EVENTS.start


def signs_of(part: slice) -> list[tuple[int, int, Sign]]:
    """(class, column, sign) of the signs on the metrics of ``part`` that grow from severity 0 on."""
    return [
        (kind, INDEX[sign.metric], sign)
        for kind, signs in enumerate(SIGNATURES.values())
        for sign in signs
        if part.start <= INDEX[sign.metric] < part.stop and not sign.beyond
    ]


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of one chunk and block of nodes, the node always the last axis.

    ``fresh`` and ``level`` (2, steps, classes, nodes) are B and Q against the innovation of the severity (gauges, whose
    noise has a memory) and against the severity itself (steady counters, and gauges after a gap); ``events`` (steps,
    kinds, nodes) are the single events since the last sample, -1 where unknown, ``spans`` in how many intervals, and
    ``base`` (kinds, nodes) the node's own rates; ``pattern`` (steps, nodes) is what arrived, ``away`` as in latents.
    """

    fresh: Floats
    level: Floats
    events: Floats
    spans: Floats
    base: Floats
    pattern: npt.NDArray[np.int8]
    away: npt.NDArray[np.bool_]


class Reader:
    """Reads the chunks of one block of nodes in order; holds what the last one ended with."""

    def __init__(self, nodes: int, interval_s: float) -> None:
        self._interval_s = interval_s
        self._deviation: Floats = np.full((len(METRICS[GAUGES]), nodes), np.nan, np.float32)
        counters = len(METRICS) - GAUGES.stop
        self._total = np.full((counters, nodes), np.nan)
        self._expected = np.zeros((len(METRICS[FLOWS]), nodes))
        self._since = np.zeros((counters, nodes))

    def read(self, told: Told) -> Evidence:
        """The evidence of the next chunk."""
        values = np.ascontiguousarray(told.values.transpose(2, 0, 1))
        latents = told.latents
        calm = replace(latents, severity=np.zeros_like(latents.severity), chatter=np.zeros_like(latents.chatter))
        levels = Levels(calm, told.observer.slow_load).values
        levels *= told.observer.offset[:, None]
        classes = len(SIGNATURES)
        fresh, level = np.zeros((2, 2, *latents.load.shape[:1], classes, latents.load.shape[1]), np.float32)
        self._read_gauges(values, levels, told, fresh, level)
        spans, deviation, events = self._read_counters(values, levels, told)
        self._add_flows(levels, told.observer.offset, spans, deviation, level)
        missing = np.isnan(values)
        pattern = np.where(missing.all(axis=0), NOTHING, np.where(missing[_GPU].all(axis=0), NO_GPU, WHOLE))
        return Evidence(
            fresh,
            level,
            np.ascontiguousarray(events.transpose(1, 0, 2)),
            np.ascontiguousarray(spans[_FIRST_EVENT - GAUGES.stop :].transpose(1, 0, 2).astype(np.float32)),
            told.observer.event_rate,
            pattern.astype(np.int8),
            latents.away,
        )

    def _read_gauges(self, values: Floats, levels: Floats, told: Told, fresh: Floats, level: Floats) -> None:
        expected = levels[GAUGES] + told.observer.drift * NOISE[GAUGES, None, None]
        for column, metric in enumerate(METRICS[GAUGES]):
            if metric.unit == "percent":
                np.minimum(expected[column], 100, out=expected[column])
        deviation = (values[GAUGES] - expected) / _SIGMA[GAUGES, None, None]
        before = np.concatenate([self._deviation[:, None], deviation[:, :-1]], axis=1)
        self._deviation = deviation[:, -1].copy()
        for kind, column, sign in signs_of(GAUGES):
            shift = _shift(sign, column, levels, told.observer.offset)
            now, then, rounding = deviation[column], before[column], _ROUNDING[column]
            known, followed = ~np.isnan(now), ~np.isnan(now + then)
            if METRICS[column].noise == 0:
                followed[:] = False
            memory = NOISE_MEMORY
            variance = 1 - memory**2 + rounding * (1 + memory**2)
            _add(fresh, kind, np.where(followed, now - memory * then, 0), np.where(followed, shift, 0), variance)
            alone = known & ~followed
            if alone.any():
                _add(level, kind, np.where(alone, now, 0), np.where(alone, shift, 0), 1 + rounding)

    def _read_counters(
        self, values: Floats, levels: Floats, told: Told
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], Floats]:
        """Intervals since the last sample of each counter; the steady ones' deviation; events."""
        totals = values[GAUGES.stop :].astype(np.float64)
        expected = np.cumsum(levels[FLOWS].astype(np.float64) * self._interval_s, axis=1) + self._expected[:, None]
        self._expected = expected[:, -1].copy()
        flows = len(METRICS[FLOWS])
        totals[:flows] -= expected
        spans, growth = np.zeros_like(totals), np.full_like(totals, np.nan)
        for step in range(totals.shape[1]):
            now, restarted = totals[:, step], told.latents.restarted[step]
            if restarted.any():
                self._total[:, restarted] = np.nan
            self._since += 1
            growth[:, step], spans[:, step] = now - self._total, self._since
            known = ~np.isnan(now)
            self._total = np.where(known, now, self._total)
            self._since[known] = 0
        events = np.where(np.isnan(growth[flows:]), -1, growth[flows:]).astype(np.float32)
        return spans, growth[:flows], events

    def _add_flows(
        self,
        levels: Floats,
        offset: Floats,
        spans: npt.NDArray[np.float64],
        growth: npt.NDArray[np.float64],
        level: Floats,
    ) -> None:
        for kind, column, sign in signs_of(FLOWS):
            at = column - FLOWS.start
            deviation = growth[at] / (spans[at] * self._interval_s * _SIGMA[column])
            known = ~np.isnan(deviation)
            shift = np.where(known, _shift(sign, column, levels, offset), 0)
            _add(level, kind, np.where(known, deviation, 0), shift, 1 / spans[at])


def _shift(sign: Sign, column: int, levels: Floats, offset: Floats) -> Floats:
    """D: how many standard deviations a severity of 1 moves the metric, ``(steps, nodes)``."""
    base = levels[column] if sign.relative else offset[column]
    shift: Floats = np.nan_to_num(base * np.float32(sign.per_severity) / _SIGMA[column])
    return np.broadcast_to(shift, levels.shape[1:])


def _add(
    to: Floats, kind: int, deviation: npt.NDArray[np.floating], shift: npt.NDArray[np.floating], variance: object
) -> None:
    to[0, :, kind] += deviation * shift / variance
    to[1, :, kind] += shift * shift / variance
