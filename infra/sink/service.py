"""The sink at work: one thread reads the topics into the outbox, another writes the outbox to InfluxDB.

Neither waits for the other but through the outbox: while InfluxDB is away it fills, when it is full the topics wait,
and nobody else is slowed. What was written is forgotten only after it was acknowledged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from connectors.errors import Unreachable, WrongUse
from connectors.influx.outbox import Entry, Outbox, Positions
from connectors.influx.writer import Delivered, NotNow, Post, Refused, deliver, pause_s
from infra.sink.refused import by_reason
from infra.sink.topics import Places, Turn, gone

LINES_MAX: Final = 5_000
IDLE_S: Final = 0.1
FULL_S: Final = 0.5
#: Offsets alone, without points, are written down this seldom.
OFFSETS_S: Final = 5.0
#: What goes on being wrong is said again after this long.
AGAIN_S: Final = 60.0
JOIN_S: Final = 40.0
Say = Callable[[str], None]


class Source(Protocol):
    """What gives the points of the topics, turn by turn."""

    def turn(self) -> Turn:
        """Read on."""

    def kept(self) -> None:
        """All that was told is safe in the outbox; may raise ``OSError``."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of points so far, what waits, and what is wrong now (None: nothing).

    ``lost`` counts records that the topics did not keep for long enough.
    """

    written: int
    refused: int
    unreadable: int
    lost: int
    waiting: int
    waiting_bytes: int
    full: bool
    trouble: str | None


class Sink:
    """Joins a source, an outbox and InfluxDB.

    ``turned_at`` is when the topics were last looked at, on the clock ``monotonic``.

    Parameters
    ----------
    outbox, found : where points wait, and where the topics were found to begin
    post : sends lines in one request
    bury : puts refused lines on the dead-letter topic and waits until they are safe there; may raise ``Unreachable``
    monotonic : seconds that never go back
    say : told what a person should know
    """

    def __init__(
        self,
        outbox: Outbox,
        found: Places,
        post: Post,
        bury: Callable[[Sequence[Refused]], None],
        monotonic: Callable[[], float],
        say: Say,
    ) -> None:
        self.turned_at = monotonic()
        self._outbox, self._begin, self._next = outbox, dict(found.begin), dict(found.next)
        self._post, self._bury, self._monotonic, self._say = post, bury, monotonic, say
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._fault: BaseException | None = None
        self._written = self._refused = self._unreadable = 0
        self._lost = found.lost
        self._trouble: dict[str, str] = {}
        self._said: dict[str, tuple[str, float]] = {}

    def stop(self) -> None:
        """Have :meth:`run` end soon; what waits stays on disk."""
        self._stopping.set()

    def tally(self) -> Tally:
        """What became of points so far."""
        with self._lock:
            waiting, size, full = len(self._outbox), self._outbox.size, self._outbox.full
        trouble = "; ".join(self._trouble.values()) or None
        return Tally(self._written, self._refused, self._unreadable, self._lost, waiting, size, full, trouble)

    def lacking(self) -> dict[str, str]:
        """What keeps points from InfluxDB: where, and why."""
        return dict(self._trouble)

    def run(self, source: Source) -> None:
        """Read and write until told to stop."""
        if self._next != self._outbox.next:
            self._outbox.append(Entry(self._begin, self._next, ()))
        writing = threading.Thread(target=self._write_on, name="influx", daemon=True)
        writing.start()
        try:
            self._read_on(source)
        finally:
            self._stopping.set()
            writing.join(JOIN_S)
        if self._fault is not None:
            raise self._fault

    def _read_on(self, source: Source) -> None:
        noted = self._monotonic()
        while not self._stopping.is_set():
            self.turned_at = self._monotonic()
            with self._lock:
                full = self._outbox.full
            if full:
                self._tell("outbox", "the outbox is full: the topics keep what is new until InfluxDB takes some of it")
                self._stopping.wait(FULL_S)
                continue
            self._tell("outbox", None)
            turn = source.turn()
            self._tell("topics", turn.away)
            for wrong in turn.unreadable:
                self._unreadable += 1
                self._say(f"no point is made of {wrong}")
            for place, records in turn.gone:
                self._lost += records
                self._say(gone(place, records))
            if turn.lines or (turn.next != self._next and self._monotonic() - noted > OFFSETS_S):
                if self._keep(turn.lines, turn.next):
                    self._keep_nodes(source)
                noted = self._monotonic()

    def _keep_nodes(self, source: Source) -> None:
        try:
            source.kept()
        except OSError as fault:
            self._tell("nodes", f"how the nodes stand cannot be kept: {fault}")
        else:
            self._tell("nodes", None)

    def _keep(self, lines: list[str], after: Positions) -> bool:
        """Put points into the outbox, however long the disk takes to have room for them; False: stopped before."""
        entry = Entry(self._begin, after, tuple(lines))
        while not self._stopping.is_set():
            self.turned_at = self._monotonic()
            try:
                with self._lock:
                    self._outbox.append(entry)
            except OSError as fault:
                self._tell("disk", f"the outbox cannot be written: {fault}")
                self._stopping.wait(FULL_S)
            else:
                self._next = dict(after)
                self._tell("disk", None)
                return True
        return False

    def _write_on(self) -> None:
        tries = 0
        try:
            while not self._stopping.is_set():
                try:
                    self._stopping.wait(0.0 if self._write_some() else IDLE_S)
                    self._tell("influx", None)
                    tries = 0
                except NotNow as fault:
                    tries += 1
                    pause = pause_s(fault, tries)
                    self._tell("influx", f"InfluxDB takes nothing: {fault}; {len(self._outbox)} points wait on disk")
                    self._stopping.wait(pause)
        except BaseException as fault:  # noqa: BLE001 - it is raised again where the other thread ends
            self._fault = fault
            self._stopping.set()

    def _write_some(self) -> bool:
        """Write the oldest lines; returns whether there were any."""
        with self._lock:
            lines = self._outbox.take(LINES_MAX)
            offsets_only = not lines
            if offsets_only:
                self._outbox.forget()
        if offsets_only:
            return False
        delivered = self._delivered(lines)
        with self._lock:
            self._outbox.forget()
        self._written += delivered.written
        self._refused += sum(len(one.lines) for one in delivered.refused)
        return True

    def _delivered(self, lines: list[str]) -> Delivered:
        try:
            delivered = deliver(lines, self._post)
            refused = by_reason(delivered.refused)
            for one in refused:
                self._say(f"InfluxDB refuses {len(one.lines)} point(s), for the dead-letter topic: {one.reason}")
            if refused:
                self._bury(refused)
        except WrongUse as fault:
            raise NotNow(str(fault), denied=True) from None
        except Unreachable as fault:
            raise NotNow(f"refused points wait for the dead-letter topic: {fault}") from None
        return delivered

    def _tell(self, about: str, what: str | None) -> None:
        """Say what is wrong when it begins, when it changes, now and then, and when it is over."""
        before, at = self._said.get(about, ("", 0.0))
        if what is None:
            if self._trouble.pop(about, None) is not None:
                self._said.pop(about, None)
                self._say(f"{about}: well again")
            return
        self._trouble[about] = what
        kind = what.split(";")[0]
        if kind != before or self._monotonic() - at > AGAIN_S:
            self._said[about] = (kind, self._monotonic())
            self._say(what)
