"""The nodes of a drill: their cluster agents, how one is killed for real, and how it comes back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from infra.supervisor import Part, Supervisor

#: The start time of one process, read twice, differs by less than this (s).
BORN_S_MAX = 2.0
AgentCommand = Callable[[str, tuple[str, ...]], tuple[str, ...]]


class Nodes:
    """One cluster agent a node, each a part of its own.

    Parameters
    ----------
    supervisor : keeps the agents up
    directory : where each agent keeps what it must not forget, by node
    command : the command line of an agent, from its node and its role (``--rank N``, ``--spare`` or ``--return``)
    """

    def __init__(self, supervisor: Supervisor, directory: Path, command: AgentCommand) -> None:
        self._supervisor, self._directory, self._command = supervisor, directory, command
        self._names: list[str] = []

    def start(self, node: str, rank: int | None) -> None:
        """Start the agent of a node, with a rank or as a spare."""
        role = ("--spare",) if rank is None else ("--rank", str(rank))
        self._supervisor.start(Part(_part(node), self._command(node, role), again=self._command(node, role)))
        if node not in self._names:
            self._names.append(node)

    def rank_process(self, node: str) -> int | None:
        """Return the process of the rank on a node; None when none runs."""
        try:
            record = json.loads((self._directory / node / "rank.json").read_text(encoding="utf-8"))
            if record["state"] != "running":
                return None
            process = psutil.Process(record["pid"])
            return process.pid if abs(process.create_time() - record["born"]) < BORN_S_MAX else None
        except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
            return None

    def kill_rank(self, node: str) -> bool:
        """SIGKILL the process group of the rank on a node; False when there is none."""
        pid = self.rank_process(node)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        return True

    async def kill_agent(self, node: str) -> None:
        """SIGKILL the agent of a node; it is not started again until :meth:`repair`."""
        await self._supervisor.kill(_part(node))

    async def repair(self, node: str) -> None:
        """Give the node back as its owner would after a repair, and start its agent as a spare."""
        name = f"return-{node}"
        self._supervisor.start(Part(name, self._command(node, ("--return",)), ends=True))
        await self._supervisor.ended([name])
        self.start(node, None)

    async def stop(self, deadline_s: float) -> None:
        """Stop every agent, and with it its rank."""
        await self._supervisor.stop([_part(node) for node in self._names], deadline_s)


def _part(node: str) -> str:
    return f"agent-{node}"
