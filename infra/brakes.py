"""What an operator says of the brakes: on the inventory, and from there on every partition of the decision log.

The word stands from when the inventory has it. That a partition decides by it is known when the worker that owns it has
copied it there, which is waited for.
"""

from __future__ import annotations

import argparse
import getpass
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from confluent_kafka import Consumer, TopicPartition

from connectors.codecs.records import InventoryBrake, brake_key, decode_event, encode_inventory
from connectors.errors import InvalidRecord
from connectors.kafka.log import reader
from connectors.kafka.put import put
from connectors.kafka.topics import EVENT, INVENTORY
from infra import clock
from infra.broker.locate import locate_broker
from infra.cli.options import report
from infra.observer.reader import log_ends
from infra.settings import Settings
from models.records import BreakerReset, OptOut, Pause

POLL_S = 0.2
BATCH = 1_000


@dataclass(frozen=True, slots=True)
class Taken:
    """Which partitions of the decision log have the word, and which had not in time."""

    partitions: tuple[int, ...]
    silent: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Whether all have it."""
        return not self.silent


def speaker() -> str:
    """Who it is that speaks: user and machine, as people will be told."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def say(brokers: str, told: InventoryBrake, wait_s: float) -> Taken:
    """Put a word on the inventory, then wait until every partition of the decision log has it.

    Raises
    ------
    Failed, Unreachable
        It could not be put there, or topics are missing.
    """
    ends = log_ends(brokers, (EVENT, INVENTORY))[EVENT]
    partition, offset = put(brokers, INVENTORY, brake_key(told), encode_inventory(told))
    identity = f"{INVENTORY}/{partition}/{offset}"
    with reader(brokers) as consumer:
        consumer.assign([TopicPartition(EVENT, number, end) for number, end in ends.items()])
        return _wait(consumer, identity, set(ends), wait_s)


def _wait(consumer: Consumer, identity: str, partitions: set[int], wait_s: float) -> Taken:
    deadline = clock.monotonic() + wait_s
    silent = set(partitions)
    while silent and clock.monotonic() < deadline:
        for message in consumer.consume(BATCH, POLL_S):
            if message.error() is None and _is(message.value() or b"", identity):
                silent.discard(int(message.partition() or 0))
    return Taken(tuple(sorted(partitions - silent)), tuple(sorted(silent)))


def _is(raw: bytes, identity: str) -> bool:
    if identity.encode() not in raw:
        return False
    try:
        event = decode_event(raw)
    except InvalidRecord:
        return False
    return isinstance(event, Pause | OptOut | BreakerReset) and event.id == identity


def lines_of(what: str, taken: Taken) -> Iterator[str]:
    """Yield what a person is told: what holds now, and where it is not known yet."""
    total = len(taken.partitions) + len(taken.silent)
    yield f"{what}: taken by {len(taken.partitions)} of {total} partitions of the decision log"
    if taken.silent:
        numbers = ", ".join(map(str, taken.silent))
        yield f"  partition {numbers} has not taken it yet: is a worker running?"
        yield "  it stands on the inventory, and workers take it as they come"


def said(
    options: argparse.Namespace, settings: Settings, told: InventoryBrake, what: str, facts: Mapping[str, object]
) -> int:
    """Say it and wait for the workers, as ``options.wait`` allows; report; 1 when a partition has not taken it."""
    with locate_broker(settings) as broker:
        taken = say(broker.bootstrap, told, options.wait)
    result = {
        "ok": taken.complete,
        **facts,
        "by": told.by,
        "why": told.why,
        "taken": list(taken.partitions),
        "silent": list(taken.silent),
    }
    report(options, result, lines_of(what, taken))
    return 0 if taken.complete else 1
