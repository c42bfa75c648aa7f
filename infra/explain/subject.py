"""Whose telemetry explains a decision: the frame that an incident rests on, or the most suspect node of the job."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from confluent_kafka import OFFSET_END, TopicPartition

from connectors.codecs.records import decode_assessment
from connectors.errors import InvalidRecord
from connectors.kafka.log import TIMEOUT_S
from connectors.kafka.topics import ASSESSMENT, TELEMETRY
from infra.run_log import RunLog
from models.records import Assessment

#: Assessments of a job's nodes are looked for among those appended so long before a command and after it (s).
BEFORE_S: Final = 10.0
AFTER_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The node, the frame of it on the telemetry, and why this one."""

    node: str
    partition: int
    offset: int
    why: str


def telemetry_of(evidence: Iterable[str]) -> tuple[int, int] | None:
    """Partition and offset of the last telemetry record that evidence names.

    >>> telemetry_of(("telemetry.node.v1/0/812", "control.event.v1/1/7"))
    (0, 812)
    """
    found = None
    for place in evidence:
        topic, _, rest = place.partition("/")
        partition, _, offset = rest.partition("/")
        if topic == TELEMETRY and partition.isdecimal() and offset.isdecimal():
            found = int(partition), int(offset)
    return found


def most_suspect(log: RunLog, nodes: Iterable[str], at: float, appended: float, because: str) -> Subject | None:
    """Of some nodes the one of the highest P at source time ``at``; None where nothing is told of any.

    ``appended`` is when the broker took the command (Unix seconds), ``because`` why no node is named.
    """
    wanted, newest = frozenset(nodes), dict[str, Assessment]()
    for partition in log.partitions(ASSESSMENT):
        for _, told in assessments(log, partition, appended - BEFORE_S, appended + AFTER_S):
            known = newest.get(told.node)
            if told.node in wanted and told.ts <= at and (known is None or told.ts >= known.ts):
                newest[told.node] = told
    claimed = [(told.probability, name) for name, told in newest.items() if told.probability is not None]
    if not claimed:
        return None
    highest, name = max(claimed)
    cause = newest[name].cause
    why = f"{because}: of the job's {len(wanted)} nodes {name} had the highest P then, {highest:.3f}"
    return Subject(name, cause.partition, cause.offset, why)


def assessments(log: RunLog, partition: int, since: float, until: float) -> Iterator[tuple[bytes, Assessment]]:
    """The assessments that were appended in a span of time (Unix seconds), with their bytes."""
    for message in log.records(ASSESSMENT, partition, _first(log, partition, since)):
        if message.timestamp()[1] > until * 1000:
            return
        raw = message.value() or b""
        try:
            told = decode_assessment(raw)
        except InvalidRecord:
            continue
        if isinstance(told, Assessment):
            yield raw, told


def _first(log: RunLog, partition: int, since: float) -> int:
    asked = [TopicPartition(ASSESSMENT, partition, round(since * 1000))]
    offset = int(log.consumer.offsets_for_times(asked, timeout=TIMEOUT_S)[0].offset)
    return log.bounds(ASSESSMENT, partition)[1] if offset == OFFSET_END else max(0, offset)
