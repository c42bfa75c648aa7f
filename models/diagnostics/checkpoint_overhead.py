"""The seed's third signature: checkpoints take more than a fifth of a job's time.

Either there are too many of them, or each takes far longer than its bytes should: then fewer would only hide it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from models.diagnostics.diagnosis import Diagnosis

NAME: Final = "checkpoint-overhead"
OVERHEAD_MAX: Final = 0.2
#: Fewer than these are no rate.
CHECKPOINTS_MIN: Final = 3
#: The time that is looked at.
WINDOW_S: Final = 3600.0
#: What serialising should take: so long for anything, and so many bytes a second; slow is several times that.
SERIALISE_FIXED_S: Final = 0.2
SERIALISE_BYTES_S: Final = 200e6
SLOW_TIMES: Final = 4.0
#: Where bytes are not told: C of more than so many steps is slow.
SLOW_STEPS: Final = 20.0


class Checkpoint(NamedTuple):
    """One checkpoint: when it was ordered, how long it stopped the slowest rank, and that rank's bytes."""

    at: float
    blocking_s: float
    size: int | None


def checkpoint_overhead(
    job: str, checkpoints: Sequence[Checkpoint], *, begun_at: float, now: float, step_s: float, mtbf_s: float
) -> Diagnosis:
    """Judge the checkpoints of a job over the last hour, or since it began (s).

    ``step_s`` is what a step takes, ``mtbf_s`` the job's mean time between failures, both in seconds.
    """
    from_s = max(begun_at, now - WINDOW_S)
    recent = sorted((one for one in checkpoints if one.at >= from_s), key=lambda one: one.at)
    wall_s = now - from_s
    numbers = {"checkpoints": float(len(recent)), "window_seconds": max(0.0, wall_s)}
    if len(recent) < CHECKPOINTS_MIN or wall_s <= 0.0:
        return Diagnosis(name=NAME, job=job, numbers=numbers, saying="too few checkpoints yet")
    cost_s = sum(one.blocking_s for one in recent) / len(recent)
    sizes = [one.size for one in recent if one.size is not None]
    size = max(sizes) if sizes else None
    young_s = math.sqrt(2.0 * max(cost_s, 1e-6) * mtbf_s)
    numbers |= {
        "of_time_ratio": len(recent) * cost_s / wall_s,
        "cost_seconds": cost_s,
        "interval_seconds": wall_s / len(recent),
        "young_interval_seconds": young_s,
        "young_of_time_ratio": cost_s / (young_s + cost_s),
        "expected_cost_seconds": _expected_s(size, step_s),
    }
    if size is not None:
        numbers["size_bytes"] = float(size)
    if numbers["of_time_ratio"] <= OVERHEAD_MAX:
        return Diagnosis(name=NAME, job=job, numbers=numbers, saying="checkpoints take little of the job's time")
    cause = _cause(numbers)
    return Diagnosis(
        name=NAME, job=job, cause=cause, since=recent[0].at, numbers=numbers, saying=_why(cause, numbers, size)
    )


def _expected_s(size: int | None, step_s: float) -> float:
    """What one checkpoint should take at most, by its bytes; by the job's own pace where they are not told."""
    if size is None:
        return max(SLOW_STEPS * step_s, SLOW_TIMES * SERIALISE_FIXED_S)
    return SLOW_TIMES * (SERIALISE_FIXED_S + size / SERIALISE_BYTES_S)


def _cause(numbers: dict[str, float]) -> str:
    """One that takes too long is the bottleneck, and so is one that would take too much at the best rate as well."""
    slow = numbers["cost_seconds"] > numbers["expected_cost_seconds"]
    return "serialisation" if slow or numbers["young_of_time_ratio"] > OVERHEAD_MAX else "rate"


def _why(cause: str, numbers: dict[str, float], size: int | None) -> str:
    share = f"checkpoints take {100 * numbers['of_time_ratio']:.0f} % of the job's time: "
    if cause == "rate":
        return share + (
            f"one each {numbers['interval_seconds']:.1f} s is too many; at {numbers['cost_seconds']:.2f} s each and "
            f"this rate of failures, one each {numbers['young_interval_seconds']:.0f} s loses least"
        )
    of = "" if size is None else f" for {size / 1e6:,.1f} MB"
    return share + f"each stops it for {numbers['cost_seconds']:.2f} s{of}, which is the bottleneck, not how often"
