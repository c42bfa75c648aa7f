"""Whether a process is alive and ready, as its parts say when they are asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: A process whose loop has not turned for so long is not well, whatever it does meanwhile.
LOOP_S = 30.0
TURN_S = 1.0

#: What is lacking, and since when or why, in words; empty where nothing is.
Lacking = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Health:
    """What ``/healthz`` and ``/readyz`` ask.

    ``turned_s`` gives the seconds since the process's loop last turned, ``lacking`` what keeps it from being ready,
    ``broken`` what only another process would mend.
    """

    turned_s: Callable[[], float]
    lacking: Callable[[], Lacking]
    broken: Callable[[], Lacking] = dict[str, str]

    def ill(self) -> Lacking:
        """Why the process is not well."""
        turned_s = self.turned_s()
        hung = {} if turned_s < LOOP_S else {"loop": f"has not turned for {turned_s:.0f} s"}
        return {**hung, **self.broken()}

    def unready(self) -> Lacking:
        """Why the process is not ready."""
        return {**self.ill(), **self.lacking()}


class Turned:
    """When a loop last turned (monotonic s)."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self.at = monotonic()

    def note(self) -> None:
        """It turns."""
        self.at = self._monotonic()


async def turning(stop: asyncio.Event, turned: Turned) -> None:
    """Wait for ``stop``, and note meanwhile that the event loop turns."""
    while not stop.is_set():
        turned.note()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TURN_S)
