"""What the brakes remember; part of the decide fold's state, so that a restart forgets none of it."""

from __future__ import annotations

from dataclasses import dataclass, field

#: The key of a pause of all jobs.
EVERY_JOB = "*"


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody said last of a pause or an opt-out: ``at`` is their time, ``since`` the fold's when it came."""

    at: float
    holds: bool
    since: float
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Trip:
    """The breaker tripped: ``outs`` of ``fleet`` nodes were out or would have been, and ``bound`` may be."""

    at: float
    outs: int
    fleet: int
    bound: int
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Storm:
    """The newest new incidents of a job, oldest first, and since when they have been a storm."""

    recent: tuple[float, ...] = ()
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """What is waited for, in words, and since when."""

    why: str
    since: float


@dataclass(slots=True, kw_only=True)
class Brakes:
    """Pauses by job (:data:`EVERY_JOB`: all), opt-outs by node, when each node last went out, and a trip that lasts."""

    pauses: dict[str, Word] = field(default_factory=dict)
    opt_outs: dict[str, Word] = field(default_factory=dict)
    outs: dict[str, float] = field(default_factory=dict)
    tripped: Trip | None = None

    def pause_of(self, job: str) -> Word | None:
        """Return the pause that holds for a job: its own, or that of all."""
        for key in (EVERY_JOB, job):
            word = self.pauses.get(key)
            if word is not None and word.holds:
                return word
        return None

    def opted_out(self, node: str) -> Word | None:
        """Return the opt-out that holds for a node."""
        word = self.opt_outs.get(node)
        return word if word is not None and word.holds else None
