"""Executors: how a cluster agent's node runs a rank. Each passes ``tests/contract/executor_contract.py``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: ``none``: never one here. ``running``. ``ended``: it exited with 0. ``died``: it exited otherwise, or vanished.
#: ``vacated``: it was killed by order, or its end was acknowledged. ``stopped``: ended with its cluster agent.
RankState = Literal["none", "running", "ended", "died", "vacated", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One rank to start: its command line and whole environment come from the cluster agent's owner, never from Kafka.

    ``order`` is the id of the command that wants it, None for the rank that the cluster agent started with.
    """

    job: str
    rank: int
    command: Sequence[str]
    environment: Mapping[str, str]
    order: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRecord:
    """What is remembered of the node's rank across restarts; ``born`` is the start time of process ``pid``."""

    state: RankState
    job: str
    rank: int
    order: str | None = None
    pid: int | None = None
    born: float | None = None


class Executor(Protocol):
    """Runs at most one rank. Every method may raise :class:`connectors.errors.Failed`."""

    @property
    def record(self) -> RankRecord | None:
        """What is remembered of the rank, or None when there never was one."""

    def start(self, launch: Launch) -> None:
        """Start the rank. Again for the same order while it runs: nothing happens. Another one running: Failed."""

    def state(self) -> RankState:
        """Look at how the rank is."""

    def exit_code(self) -> int | None:
        """Return how the rank ended (negative: by that signal), or None if it runs or nobody can know."""

    def kill(self) -> None:
        """End the rank and its process group at once, and remember the node as vacated; returns when it is gone."""

    def stop(self, grace_s: float) -> None:
        """Ask the rank to end, kill it after ``grace_s``, and remember it as stopped."""

    def vacate(self) -> None:
        """Remember that a rank that is no longer running does not belong here any more."""
