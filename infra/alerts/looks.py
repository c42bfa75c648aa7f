"""What looking at everything from time to time makes fire: breaker, stale worker, dead letters, diagnostics."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

from infra.alerts.book import AlertBook
from infra.alerts.kinds import BREAKER_TRIPPED, DEAD_LETTERS, LETTERS_MAX, LETTERS_S, OF_DIAGNOSTIC, WORKER_STALE
from models.brakes.breaker import trip_text
from models.brakes.state import Trip
from models.diagnostics import Diagnosis

#: Telemetry that waits for so long is not being assessed; ticks, with which counts come, may be a minute apart.
STALE_S: Final = 120.0


class Looks:
    """Remembers what a look needs of those before it; begins anew with the process."""

    def __init__(self, book: AlertBook) -> None:
        self._book = book
        self._letters: deque[tuple[float, int]] = deque()
        #: Of each partition that waits: how far it is assessed, and since when it is no further.
        self._waits: dict[int, tuple[int, float]] = {}

    def breaker(self, trips: Iterable[Trip], window_s: float, now: float) -> None:
        """The breaker of any partition is open."""
        tripped = list(trips)
        if not tripped:
            self._book.resolve(BREAKER_TRIPPED, now)
            return
        worst = max(tripped, key=lambda one: one.outs)
        words = {
            "summary": trip_text(worst, window_s),
            "description": f"out: {', '.join(worst.nodes)}",
            "doing": "checkpoints go on and lost ranks are restored; no node is left until somebody has looked",
        }
        self._book.fire(BREAKER_TRIPPED, min(one.at for one in tripped), words)

    def dead_letters(self, total: int, now: float) -> None:
        """``total`` dead letters have been seen until now."""
        self._letters.append((now, total))
        while self._letters[0][0] < now - LETTERS_S:
            self._letters.popleft()
        risen = total - self._letters[0][1]
        if risen > LETTERS_MAX:
            words = {
                "summary": f"{risen} records of the last {LETTERS_S / 60:.0f} minutes cannot be read",
                "description": "their reasons stand in the headers of telemetry.dead-letter.v1",
                "doing": "they are kept on telemetry.dead-letter.v1; all else is assessed",
            }
            self._book.fire(DEAD_LETTERS, now, words)
        elif risen == 0:
            self._book.resolve(DEAD_LETTERS, now)

    def worker(self, assessed: Mapping[int, int], ends: Mapping[int, int], now: float) -> None:
        """How far each telemetry partition is assessed (offset), and where it ends."""
        stale = []
        for partition, end in ends.items():
            offset = assessed.get(partition, -1)
            if offset >= end - 1:
                self._waits.pop(partition, None)
                continue
            reached, since = self._waits.get(partition, (offset, now))
            self._waits[partition] = (offset, since if reached == offset else now)
            if (waited_s := now - self._waits[partition][1]) >= STALE_S:
                stale.append((partition, waited_s))
        if not stale:
            self._book.resolve(WORKER_STALE, now)
            return
        since = max(seconds for _, seconds in stale)
        which = ", ".join(str(partition) for partition, _ in stale)
        words = {
            "summary": f"telemetry has not been assessed for {since:.0f} s (partition {which})",
            "description": "no worker runs, or the one that holds them is stuck; nothing is foreseen meanwhile",
            "doing": "nothing: a worker that stalls ends by itself, and its supervisor must start it again",
        }
        self._book.fire(WORKER_STALE, now - since, words)

    def diagnoses(self, found: Iterable[Diagnosis], now: float) -> None:
        """Each diagnostic, whether it holds or not."""
        for one in found:
            kind = OF_DIAGNOSTIC[one.name]
            if not one.holds:
                self._book.resolve(kind, now, job=one.job)
                continue
            words = {
                "summary": f"{one.name}{'' if one.job is None else f' of {one.job}'}: {one.cause}",
                "description": one.saying,
                "doing": "nothing: forestall reports it and goes on",
            }
            self._book.fire(kind, one.since or now, words, job=one.job)
