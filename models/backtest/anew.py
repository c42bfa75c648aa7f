"""The decision log with the incidents of another model in place of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import NamedTuple

from models.records import Event, Incident, Tick


class Told(NamedTuple):
    """A record of the log at ``offset``, and what stands there for the candidate; None: no record.

    What the candidate alone is told comes just before the record at that offset.
    """

    offset: int
    log: Event | None
    candidate: Event | None


def told_anew(
    events: Iterable[tuple[int, Event]], anew: Sequence[Incident], there: Container[str], since: float
) -> Iterator[Told]:
    """Put incidents into a partition of the log in place of those that it holds.

    Parameters
    ----------
    anew : what the other model finds, in the order of its telemetry
    there : the ids of the incidents that the log holds; one of ``anew`` among them takes the log's place, and any other
        comes before the first tick of its time or later, as soon as a fold could have acted on it
    since : what began before (source time) stays as it is
    """
    known = {one.id: one for one in anew if one.at >= since}
    waiting = deque(sorted((one for one in known.values() if one.id not in there), key=lambda one: one.at))
    kept: set[str] = set()
    for offset, event in events:
        while waiting and isinstance(event, Tick) and waiting[0].at <= event.at:
            yield Told(offset, None, waiting.popleft())
        if isinstance(event, Incident) and event.at < since:
            kept.add(event.incident)
        if not isinstance(event, Incident) or event.incident in kept:
            yield Told(offset, event, event)
        else:
            yield Told(offset, event, known.get(event.id))
