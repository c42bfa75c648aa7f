"""The seed's second signature: a recovery took long although its failure was foreseen.

What was foreseen should be quick: the checkpoint is there, the spare is reserved. So where did the time go? It waited
for something that others had (contention), or the word was late on its way (state lag), or the effect itself is slow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from models.diagnostics.diagnosis import Diagnosis

NAME: Final = "recovery-slow"
#: A recovery is slow when it takes this many times as long as usual, and at least so long.
USUAL_TIMES: Final = 2.0
SLOW_S_MIN: Final = 10.0
#: Recoveries older than this say nothing of the present.
LOOKED_BACK_S: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A MIGRATE or RESTORE: given, received, accepted and ended (s), as far as it has come."""

    issued_at: float
    received_at: float | None = None
    accepted_at: float | None = None
    ended_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """One rank brought from a node to another.

    ``probability`` is what was told of the node before; ``begun_at`` when its rank was to leave, or was lost; ``moves``
    in order; ``ended_at`` when it ran again, None while it does not.
    """

    job: str
    node: str
    probability: float
    begun_at: float
    moves: tuple[Move, ...] = ()
    ended_at: float | None = None


def recovery_slow(job: str, recoveries: Sequence[Recovery], *, now: float, usual_s: float, theta: float) -> Diagnosis:
    """Judge the recoveries of a job.

    Parameters
    ----------
    now : the time until which it has been told (s).
    usual_s : what moving a rank takes, as measured, or as the operator says.
    theta : a failure was foreseen when P was at least this.
    """
    recent = [one for one in recoveries if (one.ended_at or now) >= now - LOOKED_BACK_S]
    numbers = {"recoveries": float(len(recent)), "usual_seconds": usual_s}
    foreseen = [one for one in recent if one.probability >= theta]
    if not foreseen:
        return Diagnosis(name=NAME, job=job, numbers=numbers, saying="no foreseen recovery in the last hour")
    worst = max(foreseen, key=lambda one: _took_s(one, now))
    parts = spent(worst, now)
    took_s = _took_s(worst, now)
    numbers |= {
        "took_seconds": took_s,
        "contention_seconds": parts["contention"],
        "state_lag_seconds": parts["state-lag"],
        "effect_seconds": parts["effect"],
        "probability_ratio": worst.probability,
        "together": float(sum(_overlap(one, worst, now) for one in recent)),
    }
    if took_s <= max(USUAL_TIMES * usual_s, SLOW_S_MIN):
        return Diagnosis(name=NAME, job=job, numbers=numbers, saying="foreseen recoveries are as quick as usual")
    cause = max(parts, key=lambda part: parts[part])
    saying = f"the rank of {worst.node} took {took_s:.1f} s to run again although P was {worst.probability:.2f}: "
    return Diagnosis(
        name=NAME, job=job, cause=cause, since=worst.begun_at, numbers=numbers, saying=saying + _why(cause, numbers)
    )


def _why(cause: str, numbers: dict[str, float]) -> str:
    if cause == "contention":
        others = numbers["together"] - 1.0
        beside = f", beside {others:.0f} more at the same time" if others > 0 else ""
        return f"{numbers['contention_seconds']:.1f} s of it it waited for a spare or a busy agent{beside}"
    if cause == "state-lag":
        return (
            f"{numbers['state_lag_seconds']:.1f} s of it its commands were on their way: a worker or an agent is behind"
        )
    return f"{numbers['effect_seconds']:.1f} s of it ending and starting the rank took, commands and spares being there"


def spent(recovery: Recovery, now: float) -> dict[str, float]:
    """Seconds of a recovery by cause.

    Contention: between two moves and before the first (nothing was ordered: no spare was free), and from a command's
    receipt until its agent took it up. State lag: from when a command was given until its agent had it. Effect: the
    rest. A stage that has not come yet lasts until ``now``.

    >>> moves = (Move(issued_at=0.0, received_at=1.5, accepted_at=1.5, ended_at=2.0),)
    >>> spent(Recovery(job="j", node="n", probability=0.9, begun_at=0.0, moves=moves), 10.0)
    {'contention': 8.0, 'state-lag': 1.5, 'effect': 0.5}
    """
    parts = {"contention": 0.0, "state-lag": 0.0, "effect": 0.0}
    free_from = recovery.begun_at
    for move in recovery.moves:
        parts["contention"] += max(0.0, move.issued_at - free_from)
        stages = (move.received_at, move.accepted_at, move.ended_at)
        began = move.issued_at
        for part, told in zip(("state-lag", "contention", "effect"), _filled(stages), strict=True):
            ended = now if told is None else told
            parts[part] += max(0.0, ended - began)
            if told is None:
                return parts
            began = max(began, told)
        free_from = began
    if recovery.ended_at is None:
        parts["contention"] += max(0.0, now - free_from)
    return parts


def _filled(stages: Sequence[float | None]) -> list[float | None]:
    """A stage that was not told, but a later one was, had come by then."""
    filled: list[float | None] = list(stages)
    for at in range(len(filled) - 2, -1, -1):
        if filled[at] is None:
            filled[at] = filled[at + 1]
    return filled


def _took_s(recovery: Recovery, now: float) -> float:
    return max(0.0, (now if recovery.ended_at is None else recovery.ended_at) - recovery.begun_at)


def _overlap(one: Recovery, other: Recovery, now: float) -> bool:
    ends = [now if recovery.ended_at is None else recovery.ended_at for recovery in (one, other)]
    return max(one.begun_at, other.begun_at) < min(ends) or one == other
