"""The decision log and the commands on it, as they lie on the topics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from connectors.codecs.records import decode_command, decode_event, encode_record
from connectors.errors import InvalidRecord
from connectors.kafka.topics import COMMAND, EVENT
from connectors.signing.seal import unsealed
from infra.run_log import RunLog
from models.records import Command, Event, Incident

#: Below so many records another process costs more than it gives.
ALONE_MAX: Final = 100_000


@dataclass(slots=True)
class Given:
    """The commands of one partition by the record that caused each, in their order there.

    ``strange`` counts records that are no command, or none that this build would write in the same bytes.
    """

    commands: dict[int, list[Command]] = field(default_factory=dict)
    strange: int = 0


def read_commands(log: RunLog, partition: int) -> Given:
    """The commands of a partition, each once: a worker that had hung may have written some again."""
    given, seen = Given(), set()
    for message in log.records(COMMAND, partition):
        plain = unsealed(message.value() or b"")
        try:
            command = decode_command(plain)
        except InvalidRecord:
            given.strange += 1
            continue
        place = command.cause.offset, command.cause.index
        if place in seen:
            continue
        seen.add(place)
        given.strange += encode_record(command) != plain
        given.commands.setdefault(command.cause.offset, []).append(command)
    for commands in given.commands.values():
        commands.sort(key=lambda one: one.cause.index)
    return given


def read_events(log: RunLog, partition: int) -> Iterator[tuple[int, Event]]:
    """The events of a partition with their offsets; what cannot be read tells a fold nothing."""
    for message in log.records(EVENT, partition):
        try:
            yield int(message.offset() or 0), decode_event(message.value() or b"")
        except InvalidRecord:
            continue


def incident_ids(log: RunLog, partition: int) -> set[str]:
    """The ids of the incidents that a partition holds."""
    ids = set()
    for message in log.records(EVENT, partition):
        raw = message.value() or b""
        if b'"kind":"incident"' not in raw:
            continue
        try:
            event = decode_event(raw)
        except InvalidRecord:
            continue
        if isinstance(event, Incident):
            ids.add(event.id)
    return ids
