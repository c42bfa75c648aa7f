"""A run of the job that nobody kills: for its final weights, and for what a checkpoint and a start take here."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.errors import Failed
from infra import clock
from infra.agent.rank_server import RankServer, Said, socket_path
from infra.supervisor import Part, Say, Supervisor

LOOK_S = 0.05
#: Steps between two checkpoints that are measured.
APART_STEPS = 8
STOP_S = 10.0


@dataclass(frozen=True, slots=True)
class Prices:
    """What was measured, in seconds: how long a checkpoint blocks, until it is durable, the standstill of a restart.

    The last is that of one rank that is killed and started again, until it makes new steps.
    """

    checkpoint_s: float
    durable_s: float
    restart_s: float


@dataclass(slots=True)
class _Heard:
    """What the ranks have said so far; ``staged`` and ``durable`` hold the seconds of each rank by order."""

    steps: dict[int, int] = field(default_factory=dict)
    told_at: dict[int, float] = field(default_factory=dict)
    staged: dict[str, dict[int, float]] = field(default_factory=dict)
    durable: dict[str, dict[int, float]] = field(default_factory=dict)
    finished: set[int] = field(default_factory=set)


class PlainRun:
    """All ranks of a job as processes of this machine, without cluster agents; nothing of it is left afterwards.

    Parameters
    ----------
    command : of one rank
    world : number of ranks
    directory : for sockets and logs
    """

    def __init__(
        self, command: list[str], world: int, directory: Path, environment: Mapping[str, str], say: Say
    ) -> None:
        self._command, self._world, self._directory = command, world, directory
        self._environment, self._say = environment, say
        self._heard = _Heard()
        self._restart_s = 0.0

    async def to_the_end(self, limit_s: float) -> None:
        """Run until every rank has ended by itself; raises :class:`Failed` when that takes longer than ``limit_s``."""
        async with asyncio.timeout(limit_s):
            await self._run(measured=0)

    async def measure(self, checkpoints: int, limit_s: float) -> Prices:
        """Run until so many checkpoints were written and a rank was started again; return what that took."""
        async with asyncio.timeout(limit_s):
            await self._run(measured=checkpoints)
        heard = self._heard
        return Prices(
            checkpoint_s=statistics.median(max(one.values()) for one in heard.staged.values()),
            durable_s=statistics.median(max(one.values()) for one in heard.durable.values()),
            restart_s=self._restart_s,
        )

    async def _run(self, measured: int) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        supervisor = Supervisor(self._directory, self._say, self._environment)
        servers = [RankServer(self._socket(rank), self._listener(rank)) for rank in range(self._world)]
        names = [f"rank-{rank}" for rank in range(self._world)]
        try:
            for rank, name in enumerate(names):
                supervisor.start(Part(name, (*self._place(rank), *self._command), ends=True))
            failing = asyncio.create_task(supervisor.given_up())
            working = asyncio.create_task(
                self._measure(supervisor, servers, measured) if measured else supervisor.ended(names)
            )
            await asyncio.wait({failing, working}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                working.cancel()
                raise Failed(str(failing.result()))
            failing.cancel()
            await working
        finally:
            await supervisor.close(STOP_S)
            for server in servers:
                server.close()

    def _place(self, rank: int) -> tuple[str, ...]:
        told = {
            "FORESTALL_SOCKET": str(self._socket(rank)),
            "FORESTALL_RANK": str(rank),
            "FORESTALL_WORLD": str(self._world),
        }
        return ("/usr/bin/env", *(f"{name}={value}" for name, value in told.items()))

    def _socket(self, rank: int) -> Path:
        return socket_path(self._directory / str(rank))

    def _listener(self, rank: int) -> Said:
        heard = self._heard

        def said(_: int, message: Mapping[str, Any]) -> None:
            match message["type"]:
                case "progress":
                    heard.steps[rank] = int(message["step"])
                    heard.told_at[rank] = clock.monotonic()
                case "staged":
                    heard.staged.setdefault(message["command"], {})[rank] = float(message["seconds"])
                case "durable":
                    heard.durable.setdefault(message["command"], {})[rank] = float(message["seconds"])

        return said

    async def _measure(self, supervisor: Supervisor, servers: list[RankServer], checkpoints: int) -> None:
        await self._order_checkpoints(servers, checkpoints)
        killed, pid = clock.monotonic(), supervisor.pid("rank-0")
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        while supervisor.pid("rank-0") in {pid, None}:
            await asyncio.sleep(LOOK_S)
        born = clock.monotonic()
        while self._heard.told_at[0] < born:
            await asyncio.sleep(LOOK_S)
        self._restart_s = self._heard.told_at[0] - killed

    async def _order_checkpoints(self, servers: list[RankServer], number: int) -> None:
        for order in range(1, number + 1):
            due = self._slowest + APART_STEPS
            while self._slowest < due:
                await asyncio.sleep(LOOK_S)
            command = f"measured-{order}"
            for server in servers:
                server.push({"type": "checkpoint", "command": command, "order": order, "step": None, "find": False})
            while len(self._heard.durable.get(command, {})) < self._world:
                await asyncio.sleep(LOOK_S)

    @property
    def _slowest(self) -> int:
        return min((self._heard.steps.get(rank, 0) for rank in range(self._world)), default=0)
