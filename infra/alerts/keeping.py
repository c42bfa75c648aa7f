"""What the sender of alerts must not forget, in one file: the events' fold with its book, and how far it has read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.errors import WrongUse
from connectors.lasting_files import write_atomically
from infra.alerts.book import AlertBook
from infra.alerts.events import Events

#: Under which all of it stands: another format has another.
FORMAT = "alerts/1"

log = logging.getLogger("forestall.alerts")


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


def of_log(kept: Kept, ends: Mapping[str, Mapping[int, int]], now: float) -> Kept:
    """What was kept, where it is of the log with these ``ends``, by topic and partition; else a new book, born ``now``.

    What the receiver was told to fire of another log is over.
    """
    there = {f"{topic}/{number}": end for topic, found in ends.items() for number, end in found.items()}
    beyond = {place: offset for place, offset in kept.positions.items() if offset > there.get(place, 0)}
    if not beyond:
        return kept
    for place, offset in beyond.items():
        log.warning("%s ends at %d, before %d: it is another log, of a new book", place, there.get(place, 0), offset)
    told = [one for one in kept.events.book.alerts if one.told is not None]
    for alert in told:
        if alert.ends_at is None:
            alert.ends_at = max(now, alert.starts_at)
    return Kept(Events(AlertBook(now, told)))


def save(file: Path, kept: Kept) -> None:
    """Keep it: safe on the disk when this returns."""
    told = {FORMAT: {"events": kept.events.to_json(), "positions": kept.positions}}
    write_atomically(file, json.dumps(told, ensure_ascii=False).encode(), 0o600)
