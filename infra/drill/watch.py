"""Waiting for something to come true while every part of an arm is watched."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from connectors.errors import Failed
from infra import clock
from infra.broker.embedded import Broker
from infra.supervisor import Supervisor

LOOK_S = 0.1


class Watch:
    """Waits, and raises :class:`Failed` as soon as a part or the broker cannot be kept up."""

    def __init__(self, supervisor: Supervisor, broker: Broker, logs: Path) -> None:
        self._supervisor, self._broker, self._logs = supervisor, broker, logs

    async def until(self, condition: Callable[[], bool], limit_s: float, otherwise: str) -> None:
        """Wait until something has come true; raises ``otherwise``, and where the logs are, after ``limit_s``."""
        if not await self.whether(condition, limit_s):
            raise Failed(f"{otherwise} within {limit_s:.0f} s; see {self._logs}")

    async def whether(self, condition: Callable[[], bool], limit_s: float) -> bool:
        """Wait until something has come true, at most ``limit_s``; returns whether it has."""
        end = clock.monotonic() + limit_s
        given_up = asyncio.ensure_future(self._supervisor.given_up())
        try:
            while not condition():
                if given_up.done():
                    raise Failed(str(given_up.result()))
                if self._broker.given_up.is_set():
                    raise Failed(f"the broker does not stay up [{self._broker.log}]")
                if clock.monotonic() > end:
                    return False
                await asyncio.sleep(LOOK_S)
            return True
        finally:
            given_up.cancel()
            await asyncio.gather(given_up, return_exceptions=True)

    async def sleep(self, seconds: float) -> None:
        """Let time pass."""
        await self.whether(lambda: False, seconds)
