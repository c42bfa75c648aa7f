"""The command log where it is: on your own Kafka, or of a run of the embedded one, also of one that has ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Consumer

from connectors.codecs.records import decode_event
from connectors.errors import InvalidRecord, WrongUse
from connectors.kafka import topics
from connectors.kafka.log import bounds, partition_count, read_range, reader
from connectors.signing.chain import Fault, PartitionAudit, Record, audit
from connectors.signing.keyring import Keys, read_keys
from connectors.signing.seal import NO_LINK
from infra.broker import runs
from infra.broker.locate import locate_broker
from infra.keys import key_files, keys_of_run
from infra.settings import Settings
from models.records import Outcome

EVENTS_A_TURN = 50_000
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


def require_run(settings: Settings, run: str | None) -> str | None:
    """The run of the embedded broker whose log is meant, by default the last; None where the brokers are your own."""
    if settings.broker.brokers:
        return None
    names = runs.known_runs(runs.runs_directory(settings))
    if run is not None and run not in names:
        raise WrongUse(f"there is no run {run!r}; there are: {', '.join(names) or 'none'}")
    if not names:
        raise WrongUse(
            "there is no run of the embedded broker yet: `forestall up` makes one; or name your own with --brokers"
        )
    serving = runs.all_serving(runs.runs_directory(settings))
    return run or (serving[0].run if serving else names[0])


@contextmanager
def _consumer(settings: Settings, run: str | None) -> Iterator[Consumer]:
    with locate_broker(settings, run=run, say=_quiet) as broker, reader(broker.bootstrap) as consumer:
        yield consumer


def _quiet(_: str) -> None:
    """Nobody needs to know on which port a broker answers that serves one command."""


def read_command_log(settings: Settings, run: str | None, *, answers: bool = False) -> CommandLog:
    """Read the whole command topic, and with ``answers`` what agents have answered.

    The embedded broker of a run that has ended is started for as long as that takes.
    """
    run = require_run(settings, run)
    with _consumer(settings, run) as consumer:
        records, begins = {}, set()
        for partition in range(partition_count(consumer, topics.COMMAND)):
            low, high = bounds(consumer, topics.COMMAND, partition)
            records[partition] = [
                Record(message.offset(), message.value() or b"", message.timestamp()[1] / 1000)
                for message in read_range(consumer, topics.COMMAND, partition, low, high)
            ]
            if low == 0:
                begins.add(partition)
        answered = list(_answers(consumer, sorted(begins))) if answers else []
    source = f"{topics.COMMAND} on {settings.broker.brokers}" if run is None else f"{topics.COMMAND} of run {run}"
    return CommandLog(source, run, records, frozenset(begins), answered)


def _answers(consumer: Consumer, partitions: Sequence[int]) -> Iterator[tuple[int, int, str]]:
    for partition in partitions:
        low, high = bounds(consumer, topics.EVENT, partition)
        for start in range(low, high, EVENTS_A_TURN):
            for message in read_range(consumer, topics.EVENT, partition, start, min(start + EVENTS_A_TURN, high)):
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
