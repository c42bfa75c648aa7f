"""The command log where it is: on your own Kafka, or of a run of the embedded one, also of one that has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.codecs.records import decode_event
from connectors.errors import InvalidRecord
from connectors.kafka import topics
from connectors.signing.chain import Fault, PartitionAudit, Record, audit
from connectors.signing.keyring import Keys, read_keys
from connectors.signing.seal import NO_LINK
from infra.keys import key_files, keys_of_run
from infra.run_log import RunLog, run_log
from infra.settings import Settings
from models.records import Outcome

#: An agent answers a command that is not authentic under an identity of its own.
REFUSED = "refused-"


@dataclass(frozen=True, slots=True)
class CommandLog:
    """Every record of the command topic by partition; ``begins`` tells those from which nothing is gone yet.

    ``answered`` holds, of those, the commands that agents have answered: (partition, offset of the answer, command).
    """

    source: str
    run: str | None
    records: Mapping[int, Sequence[Record]]
    begins: frozenset[int]
    answered: Sequence[tuple[int, int, str]]


def read_command_log(settings: Settings, run: str | None, *, answers: bool = False) -> CommandLog:
    """Read the whole command topic, and with ``answers`` what agents have answered.

    The embedded broker of a run that has ended is started for as long as that takes.
    """
    with run_log(settings, run) as log:
        records, begins = {}, set()
        for partition in log.partitions(topics.COMMAND):
            records[partition] = [
                Record(message.offset(), message.value() or b"", message.timestamp()[1] / 1000)
                for message in log.records(topics.COMMAND, partition)
            ]
            if log.bounds(topics.COMMAND, partition)[0] == 0:
                begins.add(partition)
        answered = list(_answers(log, sorted(begins))) if answers else []
    where = f"on {settings.broker.brokers}" if log.run is None else f"of run {log.run}"
    return CommandLog(f"{topics.COMMAND} {where}", log.run, records, frozenset(begins), answered)


def _answers(log: RunLog, partitions: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    for partition in partitions:
        for message in log.records(topics.EVENT, partition):
            command = _answered(message.value() or b"")
            if command is not None and not command.startswith(REFUSED):
                yield partition, message.offset(), command


def _answered(raw: bytes) -> str | None:
    if b'"outcome"' not in raw:
        return None
    try:
        event = decode_event(raw)
    except InvalidRecord:
        return None
    return event.command if isinstance(event, Outcome) else None


def audit_log(log: CommandLog, keys: Keys | None) -> list[PartitionAudit]:
    """Judge each partition, and whether every command that was answered is there."""
    found = [
        audit(partition, records, keys, NO_LINK if partition in log.begins else None)
        for partition, records in log.records.items()
    ]
    commands = {one.partition: one.ids for one in found}
    unknown: dict[str, Fault] = {}
    for partition, offset, command in log.answered:
        if command not in commands[partition]:
            unknown.setdefault(command, Fault(partition, None, "unknown-answer", command, f"event offset {offset}"))
    for fault in unknown.values():
        next(one for one in found if one.partition == fault.partition).faults.append(fault)
    return found


def trusted_keys(settings: Settings, given: Path | None, run: str | None) -> tuple[str, Keys] | None:
    """What to judge by, and its name: the keyring given, or in the settings, or those of the run and the usual one.

    ``run`` None stands for your own brokers. None: there is no keyring.
    """
    if given is None and settings.signing.model_fields_set:
        given = key_files(settings).keyring
    usual = (keys_of_run(settings, run).keyring, key_files(settings).keyring)
    paths = [path for path in usual if path.exists()] if given is None else [given]
    keys = {key: trusted for path in paths for key, trusted in read_keys(path).items()}
    return (" and ".join(map(str, paths)), keys) if paths else None
