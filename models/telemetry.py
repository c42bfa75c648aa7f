"""Telemetry as the assessment reads it, whatever its encoding was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.records import ModelRole
from models.signals import is_counter


@dataclass(frozen=True, slots=True)
class Schema:
    """Ordered metric names, which of them count up, and their units."""

    metrics: tuple[str, ...]
    counters: tuple[bool, ...]
    units: tuple[str, ...] = ()

    @classmethod
    def of_names(cls, metrics: tuple[str, ...]) -> Schema:
        """The schema that JSON frames imply: kinds by the rules of naming, no units.

        >>> Schema.of_names(("gpu0.temp_c", "ecc_total")).counters
        (False, True)
        """
        return cls(metrics, tuple(map(is_counter, metrics)))


@dataclass(slots=True, eq=False)
class Row:
    """A frame read: ``values (metrics,)`` in the order of the schema, NaN where missing.

    ``missing`` counts by reason the values that were sent and are no measurement.
    """

    node: str
    ts: float
    schema: Schema
    values: NDArray[np.float64]
    missing: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class TelemetryTick:
    """Source time on a telemetry partition; ``history`` as in :class:`models.records.Tick`."""

    ts: float
    history: bool | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A node works for a job from ``ts`` on (None: for none)."""

    node: str
    job: str | None
    ts: float


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """The model of this digest is used in a role from then on; chosen at ``ts`` (None: no shadow any more)."""

    role: ModelRole
    digest: str | None
    ts: float


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read, and the reason under which it is counted."""

    reason: str
    detail: str = ""
