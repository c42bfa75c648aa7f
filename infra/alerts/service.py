"""The sender of alerts: it reads the topics, keeps its book, looks around from time to time, and sends what is due."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from infra.alerts.book import Alert
from infra.alerts.decided import BreakerFold
from infra.alerts.keeping import Kept, save
from infra.alerts.kinds import SENT
from infra.alerts.looks import Looks
from infra.alerts.payload import groups, payload
from infra.alerts.receiver import Receiver
from infra.metrics.families import Scrape
from infra.metrics.health import Lacking
from infra.metrics.readers import lacking_of
from infra.observer import LogRecord
from infra.observer.reader import LogState
from infra.observer.view import Told, View
from infra.settings import Alerts
from models.diagnostics import Diagnosis
from models.records import BreakerReset, Command, Event, Incident, Outcome

TURN_S: Final = 0.5
LOOK_S: Final = 10.0
#: With nothing new for so long, all that is on the log has been read.
QUIET_S: Final = 3.0
WAITING_MAX: Final = 20_000
DAY_S: Final = 86_400.0
Item = tuple[Told, LogRecord]

log = logging.getLogger("forestall.alerts")


@dataclass(frozen=True, slots=True)
class Eyes:
    """What the sender looks at.

    ``view`` asks the observer; ``state`` says how well the log can be read; ``ends`` gives the ends of telemetry's
    partitions and raises where no broker answers; ``diagnoses`` judges all that was read.
    """

    view: Callable[[Callable[[View], tuple[dict[int, int], int, int]]], tuple[dict[int, int], int, int]]
    state: Callable[[], LogState]
    ends: Callable[[], Mapping[int, int]]
    diagnoses: Callable[[], Iterable[Diagnosis]]


class Sender:
    """Sends alerts until it is stopped.

    Parameters
    ----------
    settings : how often an alert is repeated, and where runbooks are.
    file, kept : where it keeps what it must not forget, and what that is so far.
    receiver : where alerts go.
    decided : the decide folds' states, for the breaker.
    wall, monotonic : Unix seconds, and seconds that never go back.
    external : where a person finds more.
    """

    def __init__(
        self,
        settings: Alerts,
        file: Path,
        kept: Kept,
        receiver: Receiver,
        decided: BreakerFold,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        external: str,
    ) -> None:
        self._settings, self._file, self._receiver, self._decided = settings, file, receiver, decided
        self._wall, self._monotonic, self._external = wall, monotonic, external
        self._kept = kept
        self._looks = Looks(self._kept.events.book)
        self._heard: queue.Queue[Item] = queue.Queue(WAITING_MAX)
        self._stopping = threading.Event()
        self._began, self._began_at = monotonic(), wall()
        self._newest, self._heard_at = 0.0, monotonic()
        self._caught_up = False
        self._looked_at: float | None = None
        self._paged: list[float] = []
        self._nodes = 0
        self.turned_at = monotonic()

    def hear(self, told: Told, record: LogRecord) -> None:
        """In the observer's thread: what the folds need waits for their turn."""
        self._newest, self._heard_at = max(self._newest, record.appended), self._monotonic()
        if not isinstance(told, Event | Command):
            return
        while not self._stopping.is_set():
            try:
                self._heard.put((told, record), timeout=TURN_S)
            except queue.Full:
                continue
            return

    @property
    def file(self) -> Path:
        """What it must not forget."""
        return self._file

    def counts(self) -> dict[str, int]:
        """What became of the payloads, and how many alerts fire."""
        return {**self._receiver.fates, "firing": len(self._kept.events.book.firing())}

    def stop(self) -> None:
        """Have :meth:`run` return; may be called from a signal handler."""
        self._stopping.set()

    def run(self, eyes: Eyes) -> None:
        """Read, look, send, until stopped."""
        while not self._stopping.is_set():
            self.turn(eyes)
        save(self._file, self._kept)

    def turn(self, eyes: Eyes) -> None:
        """One turn: take in what was heard, look when it is time, keep it, make one request of what is due at most.

        So a receiver that is slow holds up a turn for as long as one answer may take, however much is due.
        """
        self.turned_at = self._monotonic()
        changed = self._take_in()
        if not self._is_caught_up():
            return
        changed |= self._look(eyes)
        self._kept.events.pass_time(self._wall())
        due = self._kept.events.book.due(self._wall(), self._settings.repeat_s)
        if changed or due:
            save(self._file, self._kept)
        group = next(groups(due), None)
        if group is not None and not self._stopping.is_set() and self._receiver.may_send():
            self.turned_at = self._monotonic()
            self._send(group)

    def _take_in(self) -> bool:
        """Wait for something at most a turn, then take all that is there; returns whether there was anything."""
        try:
            items = [self._heard.get(timeout=TURN_S)]
        except queue.Empty:
            return False
        while len(items) < WAITING_MAX:
            try:
                items.append(self._heard.get_nowait())
            except queue.Empty:
                break
        for told, record in items:
            self._take(told, record)
        return True

    def _take(self, told: Told, record: LogRecord) -> None:
        if isinstance(told, Event):
            self._decided.take(record.partition, record.offset, told)
        if isinstance(told, Incident | Command | Outcome):
            if self._kept.is_new(f"{record.topic}/{record.partition}", record.offset):
                self._kept.events.take(told)
        elif isinstance(told, BreakerReset):
            self._looked_at = None

    def _is_caught_up(self) -> bool:
        """Whether the past of the log has been read: before that nobody knows what still fires."""
        if not self._caught_up:
            quiet = self._monotonic() - max(self._heard_at, self._began) > QUIET_S
            self._caught_up = self._heard.empty() and (quiet or self._newest >= self._began_at)
        return self._caught_up

    def _look(self, eyes: Eyes) -> bool:
        now = self._monotonic()
        if self._looked_at is not None and now - self._looked_at < LOOK_S:
            return False
        self._looked_at, wall = now, self._wall()
        assessed, letters, self._nodes = eyes.view(_seen)
        self._looks.breaker(self._decided.trips(), self._decided.window_s(), wall)
        self._looks.dead_letters(letters, wall)
        try:
            self._looks.worker(assessed, eyes.ends(), wall)
            self._looks.diagnoses(eyes.diagnoses(), wall)
        except Exception as wrong:  # noqa: BLE001 (a broker that is away is told of by readiness)
            log.debug("could not look: %s", wrong)
        return True

    def _send(self, group: list[Alert]) -> None:
        """Send alerts as they stand, and note that they are told once the receiver has them."""
        statuses = [one.status for one in group]
        news = [one for one in group if one.told is None and one.status == "firing"]
        if not self._receiver.send(payload(group, self._settings.runbooks, self._external)):
            return
        now = self._wall()
        self._kept.events.book.note_told(group, statuses, now)
        save(self._file, self._kept)
        self._paged = [at for at in self._paged if at > now - DAY_S]
        self._paged += [now for one in news if one.kind.severity == "page"]
        for alert, status in zip(group, statuses, strict=True):
            about = {name: alert.labels.get(name) for name in ("node", "job", "action")}
            log.info(
                "%s %s: %s",
                alert.kind.name,
                status,
                alert.annotations.get("summary", ""),
                extra={**about, "alert": alert.kind.name, "incident": alert.annotations.get("incident")},
            )

    def fill(self, scrape: Scrape) -> None:
        """What the sender tells Prometheus of itself."""
        book = self._kept.events.book
        counts: dict[tuple[str, str], int] = {}
        for alert in list(book.firing()):
            key: tuple[str, str] = (alert.kind.name, alert.kind.severity)
            counts[key] = counts.get(key, 0) + 1
        for kind in SENT:
            counts.setdefault((kind.name, kind.severity), 0)
        for key, count in counts.items():
            scrape.add("forestall_alerts_firing", count, *key)
        scrape.add("forestall_alerts_waiting", len(book.due(self._wall(), float("inf"))))
        for fate, count in self._receiver.fates.items():
            scrape.add("forestall_alert_notifications_total", count, fate)
        rate = 100.0 * len(self._paged) / self._nodes if self._nodes else 0.0
        scrape.add("forestall_alert_pages_per_100_node_days", rate)

    def lacking(self, state: LogState, stale_s: float) -> Lacking:
        """Why the sender is not ready."""
        lacks = dict(lacking_of(state, stale_s))
        if not self._caught_up:
            lacks["state"] = "the past of the log is being read"
        return lacks


def _seen(view: View) -> tuple[dict[int, int], int, int]:
    """How far each partition is assessed, how many dead letters there were, how many nodes there are."""
    return (
        {partition: counts.cause.offset for partition, counts in view.counts.items()},
        view.dead_letters,
        len(view.fleet.nodes),
    )
