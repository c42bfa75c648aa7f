"""Executors: how a cluster agent's node runs a rank. Each passes ``tests/contract/test_executors.py``.

``process`` runs it as a process of this machine, ``script`` by commands of the node's owner, ``dry_run`` not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from models.records import Command

#: ``none``: never one here. ``running``. ``ended``: it exited with 0. ``died``: it exited otherwise, or vanished.
#: ``vacated``: it was killed by order, or its end was acknowledged. ``stopped``: ended with its cluster agent.
#: ``returned``: vacated, and the node's owner has given the node back since.
RankState = Literal["none", "running", "ended", "died", "vacated", "stopped", "returned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One rank to start: its command line and whole environment come from the cluster agent's owner, never from Kafka.

    ``order`` is the id of the command that wants it, None for the rank that the cluster agent started with. ``world``
    and ``step`` are what the environment tells it: the number of ranks, the checkpoint to take up.
    """

    job: str
    rank: int
    command: Sequence[str]
    environment: Mapping[str, str]
    order: str | None = None
    world: int | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankRecord:
    """What is remembered of the node's rank across restarts; ``born`` is the start time of process ``pid``.

    ``ended_by`` is the id of the command by which it is being ended, or was.
    """

    state: RankState
    job: str
    rank: int
    order: str | None = None
    pid: int | None = None
    born: float | None = None
    world: int | None = None
    step: int | None = None
    ended_by: str | None = None


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

    def kill(self, by: str | None = None) -> None:
        """End the rank and its process group at once, and remember the node as vacated; returns when it is gone.

        ``by`` is the id of the command that wants it. It is written down as ``ended_by`` before anything ends, so that
        after a crash in between this end is told from one that nobody ordered.
        """

    def stop(self, grace_s: float) -> None:
        """Ask the rank to end, kill it after ``grace_s``, and remember it as stopped."""

    def vacate(self) -> None:
        """Remember that a rank that is no longer running does not belong here any more."""

    def checkpoint(self, command: Command) -> None:
        """The rank is about to be asked for a checkpoint; raises Failed where it must not be."""

    def set_aside(self, command: Command) -> None:
        """Tell whoever runs the cluster of a QUARANTINE or DRAIN of this node; that it takes no rank is the agent's.

        Called again for the same command after a crash: that must add nothing.
        """

    def readmit(self) -> None:
        """The node's owner gives it back: undo what :meth:`set_aside` has done, and nothing else.

        A rank that was vacated is remembered as returned. Never called while one runs.
        """
