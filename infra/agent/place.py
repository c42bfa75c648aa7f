"""What a cluster agent is for, and what follows from that alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.errors import WrongUse
from connectors.executors import RankRecord, RankState
from infra.agent.job_spec import JobSpec
from infra.agent.rank_server import socket_path
from models.agent_limits import AgentLimits

RESUME_STEP = "FORESTALL_RESUME_STEP"


@dataclass(frozen=True, slots=True)
class Place:
    """What this cluster agent is for: a node, the job that may run on it, and the rank to start with (None: a spare).

    ``life_s`` is how long a command can be alive; ``environment`` is what the rank gets beside the job's own;
    ``limits`` is what the node's owner lets be ordered.
    """

    node: str
    job: JobSpec
    rank: int | None
    directory: Path
    brokers: str
    life_s: float
    environment: Mapping[str, str]
    limits: AgentLimits = field(default_factory=AgentLimits)

    def own(self, record: RankRecord | None) -> RankRecord | None:
        """The record, unless it is what another job has left behind: that says nothing about this one."""
        return record if record is not None and record.job == self.job.name else None

    def require_own(self, record: RankRecord | None, state: RankState) -> None:
        """Refuse to take over a rank that still runs for another job; raises :class:`WrongUse`."""
        if record is not None and state == "running" and self.own(record) is None:
            raise WrongUse(
                f"rank {record.rank} of {record.job} still runs on {self.node}, process {record.pid}: end it before "
                f"{self.job.name} comes here, or give this cluster agent a --directory of its own"
            )

    def environment_of(self, rank: int, step: int | None, world: int) -> dict[str, str]:
        """The whole environment of a rank of ``world`` that begins (None) or takes up the checkpoint of ``step``."""
        inherited = {name: value for name, value in self.environment.items() if name != RESUME_STEP}
        told = {
            "FORESTALL_SOCKET": str(socket_path(self.directory)),
            "FORESTALL_RANK": str(rank),
            "FORESTALL_WORLD": str(world),
            "FORESTALL_JOB": self.job.name,
            "FORESTALL_NODE": self.node,
        }
        if step is not None:
            told[RESUME_STEP] = str(step)
        return {**inherited, **self.job.environment, **told}
