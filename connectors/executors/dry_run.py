"""Says what would be done, and does nothing: to see forestall's orders on a cluster before it may carry them out.

A rank that the cluster agent was told of (``--rank 3``) is somebody else's: it is taken to run, and is never looked at,
asked or ended. Each order fails with what would have been done as its reason. So nothing that did not happen is told as
having happened: no checkpoint is ever durable by a dry run, and no rank ever leaves or comes.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import NoReturn

from connectors.errors import Failed
from connectors.executors import Launch, RankRecord, RankState
from connectors.executors.record_file import RecordFile
from models.records import Command

#: Names of the environment that only the rank is given; the cluster agent's own are the same in every process.
_TOLD = "FORESTALL_"


class DryRunExecutor:
    """Keeps which rank it was told of in ``directory/rank.json``."""

    def __init__(self, directory: Path) -> None:
        self._file = RecordFile(directory / "rank.json")

    @property
    def record(self) -> RankRecord | None:
        """Which rank it was told of."""
        return self._file.record

    def start(self, launch: Launch) -> None:
        """Take it that the agent's own rank runs; raises :class:`Failed` for one that an order wants."""
        if launch.order is not None:
            told = " ".join(sorted(name for name in launch.environment if name.startswith(_TOLD)))
            _would(f"have started rank {launch.rank} of {launch.job}: {shlex.join(launch.command)} (with {told})")
        if self.record is not None and (self.record.job, self.record.rank) != (launch.job, launch.rank):
            raise Failed(f"rank {self.record.rank} of {self.record.job} runs here already")
        self._file.remember(RankRecord(state="running", job=launch.job, rank=launch.rank, world=launch.world))

    def state(self) -> RankState:
        """What it was told: nothing is looked at."""
        return "none" if self.record is None else self.record.state

    def exit_code(self) -> int | None:
        """Nobody can know."""
        return None

    def kill(self, by: str | None = None) -> None:
        """Raise :class:`Failed`, unless there is no rank to end."""
        if self.record is not None:
            _would(f"have ended rank {self.record.rank} of {self.record.job} and all that it started, by SIGKILL")

    def stop(self, grace_s: float) -> None:
        """The rank is somebody else's: it goes on."""

    def vacate(self) -> None:
        """No rank has left."""

    def checkpoint(self, command: Command) -> None:
        """Raise :class:`Failed`: the rank is not asked."""
        rank = "the rank" if self.record is None else f"rank {self.record.rank}"
        _would(f"have asked {rank} of {command.job} for a checkpoint")

    def set_aside(self, command: Command) -> None:
        """Raise :class:`Failed`: the node takes ranks as before."""
        kept = "kept this node from taking a rank"
        _would(f"have {kept}" if command.action == "QUARANTINE" else f"have {kept}, and ended the one that runs here")

    def readmit(self) -> None:
        """The node never stopped taking ranks."""


def _would(what: str) -> NoReturn:
    raise Failed(f"dry-run: would {what}")
