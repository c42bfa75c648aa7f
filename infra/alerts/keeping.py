"""What the sender of alerts must not forget, in one file: the events' fold with its book, and how far it has read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from connectors.errors import WrongUse
from connectors.lasting_files import write_atomically
from infra.alerts.book import AlertBook
from infra.alerts.events import Events

#: Under which all of it stands: another format has another.
FORMAT = "alerts/1"


@dataclass(slots=True)
class Kept:
    """The fold, and the next offset by ``topic/partition``: what lies below is in the fold."""

    events: Events
    positions: dict[str, int] = field(default_factory=dict)

    def is_new(self, place: str, offset: int) -> bool:
        """Whether a record has not been taken in; from now on it has."""
        if offset < self.positions.get(place, 0):
            return False
        self.positions[place] = offset + 1
        return True


def load(file: Path, now: float) -> Kept:
    """What was kept; a new book, born ``now``, where nothing was. Raises ``WrongUse`` where it cannot be read."""
    try:
        kept = json.loads(file.read_bytes())[FORMAT]
        return Kept(Events.from_json(kept["events"]), dict(kept["positions"]))
    except FileNotFoundError:
        return Kept(Events(AlertBook(now)))
    except (OSError, ValueError, KeyError, TypeError) as wrong:
        raise WrongUse(f"{file} cannot be read: {wrong}; move it away, and what fires now is told again") from wrong


def save(file: Path, kept: Kept) -> None:
    """Keep it: safe on the disk when this returns."""
    told = {FORMAT: {"events": kept.events.to_json(), "positions": kept.positions}}
    write_atomically(file, json.dumps(told, ensure_ascii=False).encode(), 0o600)
