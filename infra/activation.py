"""Has running workers use another model: its bytes on the log, the choice on the inventory, and what they say to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, TopicPartition

from connectors.codecs.records import decode_assessment, decode_inventory
from connectors.errors import InvalidRecord
from connectors.kafka.artefacts import choice_records, publish_artefact, publish_choice
from connectors.kafka.log import reader
from connectors.kafka.topics import ASSESSMENT, INVENTORY, SCHEMA
from infra import clock
from infra.observer.reader import last_counts, log_ends
from infra.observer.view import COUNTS_KEY
from models.records import Counts, InventoryModel, ModelRole

#: A choice is later than the one before it by at least this, whatever the clocks of two machines say.
LATER_S = 0.001
POLL_S = 0.2
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Artefact:
    """What is to be used: its digest and its bytes."""

    digest: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Answers:
    """What each telemetry partition says of a choice: in use, refused (and why), or nothing within the time."""

    in_use: tuple[int, ...]
    refused: Mapping[int, str]
    silent: Mapping[int, str]

    @property
    def complete(self) -> bool:
        """Whether every partition uses what was chosen."""
        return not self.refused and not self.silent


def chosen(brokers: str, role: ModelRole) -> InventoryModel | None:
    """The newest choice of a role on the inventory; None when there was none."""
    for raw in choice_records(brokers, role):
        try:
            told = decode_inventory(raw)
        except InvalidRecord:
            continue
        if isinstance(told, InventoryModel):
            return told
    return None


def activate(brokers: str, role: ModelRole, artefact: Artefact | None, wait_s: float) -> Answers:
    """Publish an artefact (None: end the shadow) and its choice; then wait for every partition's word.

    Raises
    ------
    WrongUse
        The artefact is too large for the log, or topics are missing.
    Failed, Unreachable
        It could not be put there.
    """
    ends = log_ends(brokers, (ASSESSMENT, SCHEMA, INVENTORY))[ASSESSMENT]
    if artefact is not None:
        publish_artefact(brokers, artefact.digest, artefact.content)
    before = chosen(brokers, role)
    at = clock.now() if before is None else max(clock.now(), before.at + LATER_S)
    known = last_counts(brokers, {(ASSESSMENT, partition): end for partition, end in ends.items()})
    digest = None if artefact is None else artefact.digest
    publish_choice(brokers, InventoryModel(role=role, digest=digest, at=at))
    with reader(brokers) as consumer:
        consumer.assign([TopicPartition(ASSESSMENT, partition, end) for partition, end in ends.items()])
        return _wait(consumer, Hearing(role, digest, {p: known.get(p) for p in ends}), wait_s)


@dataclass(slots=True)
class Hearing:
    """What the partitions have said so far; ``counts`` holds the newest counts of each, first those before it."""

    role: ModelRole
    digest: str | None
    counts: dict[int, Counts | None]
    heard: set[int] = field(default_factory=set)
    choices: dict[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self.choices = {p: -1 if told is None else told.models for p, told in self.counts.items()}

    def hear(self, partition: int, told: Counts) -> None:
        """A partition has told its counts."""
        self.counts[partition] = told
        self.heard.add(partition)

    def uses(self, partition: int) -> bool:
        """Whether a partition has said that it uses what was chosen."""
        told = self.counts[partition]
        if told is None or partition not in self.heard:
            return False
        if self.role == "active":
            return told.model == self.digest
        if self.digest == told.model:
            return True  # the active model is compared with itself by leaving it out
        return (None if told.shadow is None else told.shadow.digest) == self.digest

    def refusal(self, partition: int) -> str | None:
        """Why the partition refused it; None while it may still have to take it."""
        told = self.counts[partition]
        if told is None or told.refused is None or self.uses(partition) or told.models <= self.choices[partition]:
            return None
        return told.refused if told.refused.startswith(f"{self.role} {(self.digest or '')[:16]}") else None

    def answers(self) -> Answers:
        """What all of them say so far."""
        refused = {p: why for p in self.counts if (why := self.refusal(p)) is not None}
        used = tuple(p for p in self.counts if self.uses(p))
        silent = {p: self._state(p) for p in self.counts if p not in used and p not in refused}
        return Answers(used, refused, silent)

    def _state(self, partition: int) -> str:
        told = self.counts[partition]
        if told is None or partition not in self.heard:
            return "has said nothing meanwhile: is a worker running?"
        return f"still uses {told.model[:16]}"


def _wait(consumer: Consumer, hearing: Hearing, wait_s: float) -> Answers:
    deadline = clock.monotonic() + wait_s
    answers = hearing.answers()
    while answers.silent and clock.monotonic() < deadline:
        for message in consumer.consume(BATCH, POLL_S):
            if message.error() is None and message.key() == COUNTS_KEY:
                told = decode_assessment(message.value() or b"")
                if isinstance(told, Counts):
                    hearing.hear(int(message.partition() or 0), told)
        answers = hearing.answers()
    return answers
