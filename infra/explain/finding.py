"""Finding on a log what an id names: a command, an incident, or one record of an incident."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Message

from connectors.codecs.records import decode_command, decode_event
from connectors.errors import InvalidRecord, WrongUse
from connectors.kafka.topics import COMMAND, EVENT
from infra.run_log import RunLog
from models.records import Command, Incident

#: So much of an id is enough where only one begins with it.
PREFIX_CHARS_MIN: Final = 6
#: So many ids are named to somebody who gave one that is not there.
NAMED: Final = 5
_INCIDENT: Final = b'"kind":"incident"'


@dataclass(frozen=True, slots=True)
class CommandOnLog:
    """A command and its bytes as they stand on the topic."""

    command: Command
    raw: bytes
    place: str
    appended: float


@dataclass(frozen=True, slots=True)
class IncidentOnLog:
    """A record of an incident, and where it stands on the decision log; a repetition of it is not looked at."""

    incident: Incident
    raw: bytes
    partition: int
    offset: int
    appended: float

    @property
    def place(self) -> str:
        """Where it stands, as evidence names it."""
        return f"{EVENT}/{self.partition}/{self.offset}"


def find(log: RunLog, name: str) -> CommandOnLog | IncidentOnLog:
    """What ``name`` names: a command or an incident by its id, or by the first letters of it.

    Raises
    ------
    WrongUse
        There is none, or several; the message names those that come closest.
    """
    commands = {one.command.id: one for one in commands_on(log)}
    if name in commands:
        return commands[name]
    incidents = {one.incident.id: one for one in incidents_on(log)}
    if name in incidents:
        return incidents[name]
    opened: dict[str, IncidentOnLog] = {}
    for one in incidents.values():
        opened.setdefault(one.incident.incident, one)
    known: dict[str, CommandOnLog | IncidentOnLog] = {**commands, **opened}
    if name in known:
        return known[name]
    begun = [found for id_, found in known.items() if id_.startswith(name) and len(name) >= PREFIX_CHARS_MIN]
    if len(begun) == 1:
        return begun[0]
    raise WrongUse(_unknown(log, name, commands, opened))


def _unknown(log: RunLog, name: str, commands: Iterable[str], incidents: Iterable[str]) -> str:
    where = "on this log" if log.run is None else f"in run {log.run}"
    ids = {**dict.fromkeys(incidents, "incident"), **dict.fromkeys(commands, "command")}
    if not ids:
        return f"there is neither a command nor an incident {where} yet, so none that is called {name!r}"
    close = difflib.get_close_matches(name, ids, n=NAMED, cutoff=0.4) or list(ids)[-NAMED:]
    named = ", ".join(f"{id_} ({ids[id_]})" for id_ in close)
    return f"there is no command and no incident {name!r} {where}; there are {len(ids)}, among them {named}"


def commands_on(log: RunLog) -> Iterator[CommandOnLog]:
    """Every command on the log; what cannot be read is passed over."""
    for partition in log.partitions(COMMAND):
        for message in log.records(COMMAND, partition):
            raw = message.value() or b""
            try:
                command = decode_command(raw)
            except InvalidRecord:
                continue
            yield CommandOnLog(command, raw, f"{COMMAND}/{partition}/{message.offset()}", appended(message))


def incidents_on(log: RunLog, partition: int | None = None, incident: str | None = None) -> list[IncidentOnLog]:
    """The records of incidents, of one alone where it is named, each once, in the order of the log."""
    found: dict[str, IncidentOnLog] = {}
    for number in log.partitions(EVENT) if partition is None else (partition,):
        for message in log.records(EVENT, number):
            raw = message.value() or b""
            if _INCIDENT not in raw or (incident is not None and incident.encode() not in raw):
                continue
            told = _incident(raw)
            if told is not None and told.id not in found and incident in {None, told.incident}:
                found[told.id] = IncidentOnLog(told, raw, number, int(message.offset() or 0), appended(message))
    return list(found.values())


def _incident(raw: bytes) -> Incident | None:
    try:
        told = decode_event(raw)
    except InvalidRecord:
        return None
    return told if isinstance(told, Incident) else None


def appended(message: Message) -> float:
    """When the broker took a record (Unix seconds)."""
    return float(message.timestamp()[1]) / 1000
