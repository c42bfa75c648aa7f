"""What the producers say of their frames: how far the past is sent, and at the end what became of each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any


class Tallies:
    """Folds the JSON lines of the producers; a line that is none is left out (it stands in the log)."""

    def __init__(self, names: Iterable[str]) -> None:
        self._events: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
        self._ends: dict[str, dict[str, Any]] = {}

    def line(self, name: str, line: str) -> None:
        """One line of a producer's stdout."""
        try:
            said = json.loads(line)
        except ValueError:
            return
        if not isinstance(said, dict):
            return
        if "event" in said:
            self._events[name][said["event"]] = said
        elif "produced" in said:
            self._ends[name] = said

    def history_sent(self) -> int | None:
        """Frames of the past that the broker has; None until every producer has sent all of its own."""
        sent = [events.get("history-sent") for events in self._events.values()]
        return None if None in sent else sum(int(event["frames"]) for event in sent if event)

    def live(self, name: str) -> bool:
        """Whether a producer has gone live."""
        return "live" in self._events[name]

    @property
    def missing(self) -> list[str]:
        """Producers that have not told what became of their frames."""
        return [name for name in self._events if name not in self._ends]

    def total(self, count: str) -> int:
        """One of the final counts, over all producers."""
        return sum(int(end.get(count, 0)) for end in self._ends.values())

    def dropped(self) -> dict[str, int]:
        """Frames that did not reach the broker, by reason."""
        found: dict[str, int] = {}
        for end in self._ends.values():
            for reason, number in {**end.get("dropped", {}), "spooled": end.get("spooled", 0)}.items():
                if number:
                    found[reason] = found.get(reason, 0) + int(number)
        return found
