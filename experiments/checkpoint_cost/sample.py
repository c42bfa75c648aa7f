"""What one checkpoint took, and the same over several of one kind."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Sample:
    """One checkpoint, in seconds.

    Parameters
    ----------
    serialise_s : making bytes of the state, or copying it; writing apart.
    write_s : handing the bytes on and having them kept: write and fsync, or the peer's confirmation.
    blocking_s : from the call until the job may go on; it changes nothing that is saved after that.
    durable_s : from the call until the checkpoint is safe.
    """

    serialise_s: float
    write_s: float
    blocking_s: float
    durable_s: float


FIELDS = ("serialise_s", "write_s", "blocking_s", "durable_s")


def row(size: int, mode: str, samples: Sequence[Sample]) -> dict[str, Any]:
    """Medians of one kind of checkpoint, and for each figure least and most, which is all that so few can tell."""
    told: dict[str, Any] = {"bytes": size, "mode": mode, "n": len(samples)}
    spread = {}
    for name in FIELDS:
        values = [getattr(sample, name) for sample in samples]
        told[name] = round(statistics.median(values), 6)
        spread[name] = [round(min(values), 6), round(max(values), 6)]
    return {**told, "spread": spread}
