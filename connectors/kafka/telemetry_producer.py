"""Puts telemetry on the broker, or on disk while the broker is away, and can always say what became of each frame.

Every frame made is, in the end, one of: sent (acknowledged by the broker), spooled (on disk for the next run), dropped
for a reason; :class:`Tally` adds up. Order is kept: while a record waits in the spool, later ones go behind it, and
what the client gives back goes before all that is not yet under way.

Waiting is not a failure. The link's client repeats by itself, and being idempotent without making duplicates, so a
record that it holds is left to it; what comes meanwhile goes to the spool once the oldest record waits longer than
``PATIENCE_S`` or too many wait. What can wait (a past that is being loaded, a recording that is replayed) is never
spooled: its sender waits for :meth:`has_room`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final

from connectors.codecs.frames import encode_json_frame, encode_packed_frame, encode_schema, schema_id
from connectors.codecs.records import encode_event, encode_tick
from connectors.errors import Failed
from connectors.kafka.links import OVERSIZE, RECORD_BYTES_MAX
from connectors.kafka.topics import EVENT, SCHEMA, TELEMETRY
from connectors.ports import AGAIN, SENT, Link, Outbound, RowFrame
from connectors.spool import TORN, Spool
from models.records import Frame, Tick
from models.telemetry import Schema

#: Records that may be with the link at once, and seconds that the oldest may wait before the spool is used.
IN_FLIGHT_MAX: Final = 20_000
PATIENCE_S: Final = 2.0
#: Records sent from the spool between two acknowledgements, and seconds to wait after the broker refused for now.
DRAIN_RECORDS: Final = 1_000
RETRY_S: Final = 1.0
UNDELIVERED: Final = "undelivered"
_TICK_KEY: Final = b"tick"


@dataclass(slots=True)
class Tally:
    """What became of the frames: produced + history + restored = sent + spooled + waiting + all dropped."""

    produced: int = 0
    history: int = 0
    restored: int = 0
    sent: int = 0
    sent_history: int = 0
    spooled: int = 0
    waiting: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    last_ts: float | None = None

    def adds_up(self) -> bool:
        """Whether every frame is accounted for."""
        became = self.sent + self.spooled + self.waiting + sum(self.dropped.values())
        return self.produced + self.history + self.restored == became


class TelemetryProducer:
    """Sends frames, ticks and schemas in order.

    Parameters
    ----------
    link : the way to the broker; :meth:`change_link` replaces it
    spool : where live records wait while the broker is away
    partitions : number of partitions of TELEMETRY and EVENT, for the ticks
    monotonic : a clock in seconds that never goes back
    can_wait : whether live records, too, can wait for room
    """

    def __init__(
        self,
        link: Link,
        spool: Spool,
        partitions: Mapping[str, int],
        monotonic: Callable[[], float],
        *,
        can_wait: bool = False,
    ) -> None:
        self._can_wait = can_wait
        self._link, self._spool, self._partitions, self._monotonic = link, spool, partitions, monotonic
        self._tally = Tally(restored=spool.frames + spool.dropped[TORN])
        self._dropped: Counter[str] = Counter()
        self._in_flight: dict[int, tuple[Outbound, float]] = {}
        self._waiting_frames = 0
        self._batch: set[int] = set()
        self._batch_done_frames = 0
        self._returned: list[tuple[int, Outbound]] = []
        self._retry_at = 0.0
        self._token = 0
        self._schema_ids: dict[Schema, str] = {}

    @property
    def tally(self) -> Tally:
        """What became of the frames so far."""
        self._tally.spooled = self._spool.frames - self._batch_done_frames
        self._tally.waiting = self._waiting_frames + sum(record.is_frame for _, record in self._returned)
        self._tally.dropped = {k: v for k, v in (self._dropped + self._spool.dropped).items() if v}
        return self._tally

    def publish(self, schema: Schema, wait_s: float = 15.0) -> None:
        """Put a schema on its topic and wait until the broker has it, before any frame in it; raises Failed."""
        name = schema_id(schema)
        token = self._hand_over(Outbound(SCHEMA, name.encode(), encode_schema(schema)))
        until = self._monotonic() + wait_s
        while token in self._in_flight:
            left = until - self._monotonic()
            if left <= 0:
                raise Failed(f"the broker did not acknowledge the schema {name} on {SCHEMA} within {wait_s:.0f} s")
            self.poll(left)
        self._schema_ids[schema] = name

    def frame(self, frame: Frame | RowFrame, *, history: bool = False) -> None:
        """Send one frame; ``history`` frames must have room (:meth:`has_room`)."""
        if history:
            self._tally.history += 1
        else:
            self._tally.produced += 1
        self._tally.last_ts = max(frame.ts, self._tally.last_ts or frame.ts)
        self._put(Outbound(TELEMETRY, frame.node.encode(), self._encode(frame), is_frame=True, history=history))

    def tick(self, ts: float, *, history: bool) -> None:
        """Put source time on every partition of the telemetry and of the decision log, behind what was sent before."""
        values = {TELEMETRY: encode_tick(ts, history=history), EVENT: encode_event(Tick(at=ts, history=history))}
        for topic, value in values.items():
            for partition in range(self._partitions[topic]):
                self._put(Outbound(topic, _TICK_KEY, value, partition, history=history))

    def has_room(self) -> bool:
        """Whether the link would take more now."""
        return len(self._in_flight) < IN_FLIGHT_MAX

    def poll(self, wait_s: float) -> None:
        """Learn what came of records, waiting up to ``wait_s`` for news, and send from the spool what can go."""
        for token, what in self._link.settled(wait_s):
            self._settle(token, what)
        self._drain()

    def flush(self, until: float) -> bool:
        """Wait until all is sent, the spool included, or the monotonic time ``until``; whether all is sent."""
        while (self._in_flight or self._returned or len(self._spool)) and self._monotonic() < until:
            self.poll(min(0.2, max(0.0, until - self._monotonic())))
        return not (self._in_flight or self._returned or len(self._spool))

    def change_link(self, link: Link) -> None:
        """Go on by another link; everything given to the first must be settled (:meth:`flush`)."""
        if self._in_flight:
            raise Failed("records are still under way on the former link")
        self._link.close(0.0)
        self._link = link

    def close(self, until: float, *, keep: bool) -> Tally:
        """Flush until ``until``, then stop, and return the final tally.

        What is undelivered then waits in the spool for the next run where ``keep``; else it counts as dropped.
        A record of unknown outcome counts as undelivered: the next run may bring it a second time.
        """
        self.flush(until)
        self._link.close(0.0)
        for token, what in self._link.settled(0.0):
            self._settle(token, what)
        flying = [(token, record) for token, (record, _) in self._in_flight.items()]
        left = sorted(flying + self._returned, key=itemgetter(0))
        self._forget_all()
        if keep:
            self._spool.prepend(record for _, record in left if not record.history)
        self._dropped[UNDELIVERED] += sum(record.is_frame for _, record in left if record.history or not keep)
        if not keep:
            self._dropped[UNDELIVERED] += self._spool.drop_all()
        self._spool.close()
        return self.tally

    def _forget_all(self) -> None:
        self._spool.forget()
        self._in_flight.clear()
        self._batch.clear()
        self._returned.clear()
        self._waiting_frames = self._batch_done_frames = 0

    def _encode(self, frame: Frame | RowFrame) -> bytes:
        if isinstance(frame, Frame):
            return encode_json_frame(frame)
        return encode_packed_frame(frame.node, frame.ts, frame.seq, self._schema_ids[frame.schema], frame.row)

    def _put(self, record: Outbound) -> None:
        if len(record.key) + len(record.value) > RECORD_BYTES_MAX:
            self._dropped[OVERSIZE] += record.is_frame
        elif self._may_wait(record) or not self._is_away():
            self._hand_over(record)
        else:
            self._spool.append(record)

    def _may_wait(self, record: Outbound) -> bool:
        return record.history or self._can_wait

    def _is_away(self) -> bool:
        if self._spool.untaken or self._returned:
            return True
        if not self._in_flight:
            return False
        _, since = next(iter(self._in_flight.values()))
        return not self.has_room() or self._monotonic() - since > PATIENCE_S

    def _hand_over(self, record: Outbound) -> int:
        self._waiting_frames += record.is_frame
        return self._send(record)

    def _send(self, record: Outbound) -> int:
        self._token += 1
        self._in_flight[self._token] = record, self._monotonic()
        self._link.send(self._token, record)
        return self._token

    def _settle(self, token: int, what: str) -> None:
        found = self._in_flight.pop(token, None)
        if found is None:
            return
        record, _ = found
        if token in self._batch:
            self._settle_spooled(token, record)
        else:
            self._waiting_frames -= record.is_frame
        if what == SENT:
            self._tally.sent += record.is_frame
            self._tally.sent_history += record.is_frame and record.history
        elif what != AGAIN:
            self._dropped[what] += record.is_frame
        else:
            self._returned.append((token, record))
            self._retry_at = self._monotonic() + RETRY_S

    def _settle_spooled(self, token: int, record: Outbound) -> None:
        self._batch.discard(token)
        self._batch_done_frames += record.is_frame
        if not self._batch:
            self._spool.forget()
            self._batch_done_frames = 0

    def _drain(self) -> None:
        """Send on from the spool, once nothing that comes before it is under way."""
        if self._in_flight or self._monotonic() < self._retry_at:
            return
        self._queue_again()
        records = self._spool.take(DRAIN_RECORDS) if not self._in_flight else []
        self._batch = {self._send(record) for record in records}

    def _queue_again(self) -> None:
        """What the broker did not take for now goes before all others: into the spool, or a past straight out again."""
        again = [record for _, record in sorted(self._returned, key=itemgetter(0))]
        self._returned.clear()
        self._spool.prepend(record for record in again if not self._may_wait(record))
        for record in again:
            if self._may_wait(record):
                self._hand_over(record)
