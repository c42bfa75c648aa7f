"""The in-memory twin of an executor: a rank is an entry that tests may let die."""

from __future__ import annotations

from dataclasses import replace

from connectors.errors import Failed
from connectors.executors import Launch, RankRecord, RankState
from models.records import Command


class MemoryExecutor:
    """Keeps ``memory`` across restarts as a disk would; ``world`` holds how each process ended, None while it lives."""

    def __init__(self, memory: dict[str, RankRecord], world: dict[int, int | None]) -> None:
        self._memory, self._world = memory, world

    @property
    def record(self) -> RankRecord | None:
        return self._memory.get("rank")

    def start(self, launch: Launch) -> None:
        record = self.record
        if self.state() == "running" and record is not None:
            if launch.order is not None and record.order == launch.order:
                return
            raise Failed(f"rank {record.rank} of {record.job} runs here already")
        pid = len(self._world) + 1
        self._world[pid] = None
        self._memory["rank"] = RankRecord(
            state="running",
            job=launch.job,
            rank=launch.rank,
            order=launch.order,
            pid=pid,
            born=float(pid),
            world=launch.world,
            step=launch.step,
        )

    def state(self) -> RankState:
        record = self.record
        if record is None:
            return "none"
        if record.state != "running" or record.pid is None:
            return record.state
        code = self._world[record.pid]
        return "running" if code is None else "ended" if code == 0 else "died"

    def exit_code(self) -> int | None:
        record = self.record
        return None if record is None or record.pid is None else self._world[record.pid]

    def kill(self, by: str | None = None) -> None:
        if self.record is not None and by is not None:
            self._memory["rank"] = replace(self.record, ended_by=by)
        self._end(-9)
        self.vacate()

    def readmit(self) -> None:
        if self.record is not None and self.record.state == "vacated":
            self._memory["rank"] = replace(self.record, state="returned")

    def stop(self, grace_s: float) -> None:
        if self.state() == "running" and self.record is not None:
            self._end(-15)
            self._memory["rank"] = replace(self.record, state="stopped", pid=None, born=None)

    def vacate(self) -> None:
        if self.record is not None:
            self._memory["rank"] = replace(self.record, state="vacated", pid=None, born=None)

    def checkpoint(self, command: Command) -> None:
        pass

    def set_aside(self, command: Command) -> None:
        pass

    def _end(self, code: int) -> None:
        record = self.record
        if record is not None and record.pid is not None and self._world[record.pid] is None:
            self._world[record.pid] = code
