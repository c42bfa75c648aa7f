"""What an arm heard on the log, kept for its account; filled in the observer's thread, read in the loop's."""

from __future__ import annotations

import threading

from infra.drill.shadow import Shadow, Standing
from infra.observer import LogRecord
from infra.observer.view import Told
from models.policy_settings import PolicySettings
from models.records import Command, Event, Membership, NodeFate, Outcome, Tick


class Records:
    """Commands, events, and the shadow of the fold that decides."""

    def __init__(self, job: str, settings: PolicySettings) -> None:
        self._lock = threading.Lock()
        self._job = job
        self._shadow = Shadow(job, settings)
        self._commands: list[Command] = []
        self._events: list[Event] = []

    def hear(self, told: Told, record: LogRecord) -> None:
        """Take one record that says something new."""
        with self._lock:
            if isinstance(told, Command):
                self._commands.append(told)
            if isinstance(told, Event):
                self._shadow.take(told, record.partition, record.offset)
                if not isinstance(told, Tick):
                    self._events.append(told)

    def standing(self, at: float) -> Standing:
        """Where the job stands."""
        with self._lock:
            return self._shadow.standing(at)

    @property
    def commands(self) -> list[Command]:
        """Every command, each once, as read."""
        with self._lock:
            return list(self._commands)

    @property
    def events(self) -> list[Event]:
        """Every event but the ticks, as read."""
        with self._lock:
            return list(self._events)

    @property
    def outcomes(self) -> list[Outcome]:
        """Every outcome, each once."""
        with self._lock:
            return [one for one in self._events if isinstance(one, Outcome)]

    def has_left(self, node: str, since: float) -> bool:
        """Whether the log says that a node runs nothing any more, since a time."""
        with self._lock:
            return any(
                one.node == node and one.at >= since and one.state in {"failed", "vacated"}
                for one in self._events
                if isinstance(one, NodeFate | Membership)
            )

    def has_failed(self, node: str, since: float) -> bool:
        """Whether the log says that a node failed, since a time."""
        with self._lock:
            fates = (one for one in self._events if isinstance(one, NodeFate))
            return any(one.node == node and one.at >= since and one.state == "failed" for one in fates)
