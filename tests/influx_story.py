"""The rescue of ``observed_story`` as the points that the sink makes of it, so late that a bucket keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from observed_story import BAD, JOB, rescue

from connectors.codecs.records import decode_assessment, decode_inventory, encode_record
from connectors.influx.points import outcome_point
from connectors.kafka.topics import ASSESSMENT, EVENT, INVENTORY
from infra.observer.record import LogRecord
from infra.sink.telling import Telling
from models.policy_settings import PolicySettings
from models.records import Counts, Event, InventoryNode, Membership, Outcome, ShadowCounts, Tick

SECONDS = 90
#: Ticks of the decision log have offsets of their own, beyond those of the story.
_TICKS_FROM = 1_000_000


@dataclass(frozen=True)
class Candidate:
    """How a policy in the shadow compares."""

    job: str
    policy: str
    commands: int
    differences: int
    seconds: float


class Candidates:
    """Two policies in the shadow that differ more with each tick."""

    def __init__(self) -> None:
        self._ticks = 0

    def take(self, partition: int, offset: int, event: Event) -> None:
        self._ticks += isinstance(event, Tick)

    def compared(self) -> Sequence[Candidate]:
        seconds = self._ticks / 10
        return [Candidate(JOB, "young", 3, 1, -seconds), Candidate(JOB, "paper", 9, 7, seconds)]


def story_lines(began: float, seconds: int = SECONDS) -> list[str]:
    """Every point of the story that begins then."""
    telling = Telling(PolicySettings(), Candidates())
    lines = [line for record in _with_ticks(began, seconds) for line in telling.take(record)]
    return [*lines, outcome_point(_refused(began + seconds / 2))]


def _refused(at: float) -> Outcome:
    """What an agent says of a command that it does not carry out."""
    return Outcome(
        id="refused", job=JOB, command="c0", action="MIGRATE", node=BAD, stage="rejected", at=at, reason="opted-out"
    )


def _with_ticks(began: float, seconds: int) -> Iterator[LogRecord]:
    ticked = began
    for record in rescue(seconds, began):
        while record.appended >= ticked + 1:
            ticked += 1
            offset = _TICKS_FROM + round(ticked - began)
            yield LogRecord(EVENT, 0, offset, b"tick", encode_record(Tick(at=ticked)), ticked)
        yield _on_the_log(record) if record.topic == INVENTORY else _counted(record)


def _on_the_log(record: LogRecord) -> LogRecord:
    """What the inventory says of a node, as the partition's owner copies it."""
    node = decode_inventory(record.value)
    assert isinstance(node, InventoryNode)
    member = Membership(
        id=f"member-{node.node}-{node.at}", job=node.job, node=node.node, at=node.at, state=node.state, rank=node.rank
    )
    return LogRecord(EVENT, 0, _TICKS_FROM * 2 + record.offset, JOB.encode(), encode_record(member), record.appended)


def _counted(record: LogRecord) -> LogRecord:
    """The story's counts with a model, one in the shadow, and something of all that is passed over."""
    told = decode_assessment(record.value) if record.topic == ASSESSMENT else None
    if not isinstance(told, Counts):
        return record
    shadow = ShadowCounts(digest="5" * 64, compared=told.assessed, difference=3.5, active_only=2, shadow_only=1)
    passed_over = told.ticks // 10
    more = replace(
        told,
        late=passed_over,
        duplicates=passed_over,
        dead_letters=passed_over,
        missing_values={"gpu0.temp_c": passed_over},
        model="a" * 64,
        shadow=shadow,
    )
    return replace(record, value=encode_record(more))
