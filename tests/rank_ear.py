"""A cluster agent's ear, in tests: the real server of its ranks, what they said, and a way to order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from infra.agent.rank_server import RankServer, socket_path

Message = Mapping[str, Any]


class Ear:
    """Listens for one rank; ``orders`` are told to it on every hello, as a cluster agent does."""

    def __init__(self, directory: Path, *orders: Message) -> None:
        self.heard: list[Message] = []
        self.orders = list(orders)
        self.path = socket_path(directory)
        self.server = RankServer(self.path, self._hear)

    def order(self, command: str, number: int, step: int | None = None) -> None:
        """Order a checkpoint, not before ``step``."""
        self.orders.append({"type": "checkpoint", "command": command, "order": number, "step": step})
        self.server.push(self.orders[-1])

    def of(self, *types: str) -> list[Message]:
        """Return what was said of these types."""
        return [one for one in self.heard if one["type"] in types]

    def _hear(self, _life: int, message: Message) -> None:
        self.heard.append(message)
        if message["type"] == "hello":
            for one in self.orders:
                self.server.push(one)


@contextmanager
def listening(directory: Path, *orders: Message) -> Iterator[Ear]:
    """Listen while the context lasts."""
    ear = Ear(directory, *orders)
    try:
        yield ear
    finally:
        ear.server.close()


def wait(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Return what ``look`` finds once it finds something."""
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)
    return found
