"""All partitions of the command topic, read by one thread, without a consumer group, from a known position on.

The position is the cluster agent's own: it is written down after a command has been taken in, so nothing is passed
over; what comes twice is known by its id. Without one, reading begins one command's life before the end of the log.

The bytes of each record are judged by the keyring before anything in them is looked at. What cannot be read is counted
and said, and stays where it stands on the log: each agent reads every record, so each would send a copy of it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from connectors.codecs.records import decode_command
from connectors.errors import InvalidRecord
from connectors.kafka.topics import COMMAND
from connectors.signing import Keyring, Refusal
from infra.clock import now
from models.records import Command

PAUSE_SECONDS_MIN, PAUSE_SECONDS_MAX = 0.2, 3.0
POLL_SECONDS = 0.5
REQUEST_SECONDS_MAX = 5.0

#: A command is a few hundred bytes, and its evidence a few more.
COMMAND_BYTES_MAX = 65_536
#: Of records that cannot be read each of so many is said, and then one in a thousand.
SAID_MAX = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A command as it was read; ``refused`` says why it is not authentic, and ``digest`` names its bytes."""

    command: Command
    refused: str | None
    digest: str


Heard = Callable[[int, int, Judged | None], None]
Say = Callable[[str], None]


class Positions:
    """The next offset of each partition, in a file; losing the last of them only means reading a little again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._next: dict[int, int] = {}
        try:
            self._next = {int(key): int(value) for key, value in json.loads(path.read_text()).items()}
        except FileNotFoundError:
            return
        except (ValueError, AttributeError):
            path.unlink()

    def snapshot(self) -> Mapping[int, int]:
        """Return a copy: partition → next offset."""
        return dict(self._next)

    def passed(self, partition: int, offset: int) -> None:
        """Write down that the record at ``offset`` has been taken in; on a full disk it is read again one day."""
        self._next = {**self._next, partition: offset + 1}
        fresh = self._path.with_suffix(".new")
        with suppress(OSError):
            fresh.write_text(json.dumps(self._next))
            fresh.replace(self._path)


class CommandReader:
    """Calls ``heard(partition, offset, judged)`` for each record, from its thread; None: it could not be read.

    ``life_s`` is how long a command can be alive, in seconds. ``heard`` may hold the reading up.
    """

    def __init__(
        self, brokers: str, keyring: Keyring, positions: Positions, life_s: float, heard: Heard, say: Say
    ) -> None:
        self._brokers, self._keyring, self._positions, self._life_s = brokers, keyring, positions, life_s
        self._heard, self._say = heard, say
        self.unreadable = 0
        self._stop = threading.Event()
        self._at: dict[int, int] = dict(positions.snapshot())
        self.ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="command-reader", daemon=True)
        self._thread.start()

    def close(self, wait_s: float) -> None:
        """Stop reading; waits for the thread at most ``wait_s``."""
        self._stop.set()
        self._thread.join(wait_s)

    def _run(self) -> None:
        pause = PAUSE_SECONDS_MIN
        while not self._stop.is_set():
            try:
                self._read()
            except (KafkaError, OSError, AssertionError) as fault:
                if pause == PAUSE_SECONDS_MIN:
                    self._say(f"commands cannot be read: {fault}")
                self._stop.wait(pause)
                pause = min(2 * pause, PAUSE_SECONDS_MAX) if not self.ready.is_set() else PAUSE_SECONDS_MIN

    def _read(self) -> None:
        consumer = self._consumer()
        try:
            self._begin(consumer)
            self.ready.set()
            while not self._stop.is_set():
                for partition, records in consumer.poll(timeout_ms=round(POLL_SECONDS * 1000)).items():
                    for record in records:
                        self._at[partition.partition] = record.offset + 1
                        place = f"{COMMAND}/{partition.partition}/{record.offset}"
                        self._heard(partition.partition, record.offset, self._judge(record.value or b"", place))
        finally:
            self.ready.clear()
            consumer.close(autocommit=False, timeout_ms=500)

    def _consumer(self) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=self._brokers.split(","),
            bootstrap_timeout_ms=2_000,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=round(REQUEST_SECONDS_MAX * 1000),
            reconnect_backoff_ms=100,
            reconnect_backoff_max_ms=1_000,
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )

    def _begin(self, consumer: KafkaConsumer) -> None:
        """Go to where reading stopped, or one life before the end; a position beyond the end is of another log."""
        known = consumer.partitions_for_topic(COMMAND)
        if not known:
            raise KafkaError(f"there is no topic {COMMAND} on {self._brokers}: run `forestall topics apply`")
        partitions = [TopicPartition(COMMAND, number) for number in sorted(known)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        since = round((now() - self._life_s) * 1000)
        found = consumer.offsets_for_times(dict.fromkeys(partitions, since))
        for partition in partitions:
            at = self._at.get(partition.partition)
            if at is None or at > ends[partition]:
                place = found.get(partition)
                at = place.offset if place is not None else ends[partition]
            consumer.seek(partition, at)

    def _judge(self, raw: bytes, place: str) -> Judged | None:
        try:
            command, verdict = _decode(raw), self._keyring.verify(raw)
        except Exception as fault:  # noqa: BLE001 (whatever a stranger's bytes do to a decoder, the reader reads on)
            self.unreadable += 1
            if self.unreadable <= SAID_MAX or self.unreadable % 1000 == 0:
                self._say(f"the record at {place} is no command: {fault} ({self.unreadable} so far)")
            return None
        refused = str(verdict.reason) if isinstance(verdict, Refusal) else None
        if isinstance(verdict, Refusal) and verdict.key_id is not None:
            refused = f"{refused} (by key {verdict.key_id[:64]!r})"
        return Judged(command, refused, sha256(raw).hexdigest()[:16])


def _decode(raw: bytes) -> Command:
    if len(raw) > COMMAND_BYTES_MAX:
        raise InvalidRecord("too-large", f"{len(raw)} bytes are no command")
    return decode_command(raw)
