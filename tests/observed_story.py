"""One rescue as the topics tell it: a fleet of 16, a job of 4 ranks, one node that begins to fail."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TypeVar

from connectors.codecs.records import encode_record
from connectors.kafka.topics import ASSESSMENT, COMMAND, EVENT, INVENTORY
from infra.observer.reader import LogState
from infra.observer.record import LogRecord
from infra.observer.view import View
from models.records import (
    Assessment,
    Cause,
    Command,
    Counts,
    Incident,
    InventoryNode,
    Outcome,
    Progress,
    Reason,
    command_id,
)

BEGAN = 1_763_942_400.0
JOB, BAD, SPARE = "demo", "n03", "n05"
NODES = tuple(f"n{number:02d}" for number in range(1, 17))
RANKS = {0: "n01", 1: "n02", 2: "n03", 3: "n04"}
LATENCY_S = 0.004
INCIDENT = "incident-1"
ALARM_S = 45.0


_T = TypeVar("_T")


class Story:
    """Appends records as a broker would: a partition's offsets count up."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}

    def append(
        self, topic: str, record: object, at: float, key: str, partition: int = 0, latency_s: float = LATENCY_S
    ) -> LogRecord:
        offset = self._offsets.get((topic, partition), 0)
        self._offsets[topic, partition] = offset + 1
        return LogRecord(topic, partition, offset, key.encode(), encode_record(record), at + latency_s)


def rescue(seconds: int = 60, began: float = BEGAN) -> Iterator[LogRecord]:
    """The story second by second; the last ``seconds`` before ``began + seconds``."""
    story = Story()
    for rank, node in RANKS.items():
        member = InventoryNode(node=node, at=began, state="running", job=JOB, rank=rank, world=4)
        yield story.append(INVENTORY, member, began, node)
    for node in (SPARE, "n06"):
        yield story.append(INVENTORY, InventoryNode(node=node, at=began, state="spare", job=JOB), began, node)
    for second in range(seconds):
        yield from _second(story, began, second)


def _second(story: Story, began: float, second: int) -> Iterator[LogRecord]:
    at = began + second
    for index, node in enumerate(NODES):
        yield story.append(ASSESSMENT, assessment(node, index, at, second), at, node, index % 2)
    for partition in (0, 1):
        counts = Counts(
            ts=at, cause=Cause(partition, second * 9 + 8), assessed=8 * (second + 1), history=24_000, ticks=second
        )
        yield story.append(ASSESSMENT, counts, at, "counts", partition)
    for rank, node in RANKS.items():
        yield story.append(
            EVENT, progress(rank, SPARE if node == BAD and second > ALARM_S + 6 else node, at, second), at, JOB
        )
    if second == 12:
        yield from _checkpoint(story, at, None, 1, 96)
    if second == ALARM_S:
        yield from _rescue(story, at)


def assessment(node: str, index: int, at: float, second: int) -> Assessment:
    """What is held of a node: all quiet, but for the one that begins to fail and one that is odd."""
    probability = 0.015 + 0.01 * abs(math.sin(second / 7 + index))
    deviation = 0.8 * math.sin(second / 5 + 2 * index)
    verdict = "healthy"
    if node == BAD and second >= 36:
        probability = 1 / (1 + math.exp(-(second - 42) / 1.6))
        deviation = 1.2 * (second - 36) + 0.5
        verdict = "failing" if second >= ALARM_S else "suspect"
    if node == "n12":
        probability, deviation, verdict = 0.31, 4.6 + 0.4 * math.sin(second), "suspect"
    if node in ("n15", "n16"):
        return Assessment(
            node=node, ts=at, verdict="warming" if node == "n16" else "unknown", cause=Cause(index % 2, second)
        )
    return Assessment(
        node=node,
        ts=at,
        verdict=verdict,  # type: ignore[arg-type]
        cause=Cause(index % 2, second),
        job=JOB if node in RANKS.values() else None,
        probability=probability,
        deviation=deviation,
        incident=INCIDENT if verdict == "failing" else None,
        worst=(
            ("gpu0.temp_c", 1.0 + deviation),
            ("gpu0.ecc_correctable_total", 0.7 * deviation),
            ("gpu0.power_w", -0.5 - abs(deviation) / 2),
            ("net.retransmits_total", 0.4),
        ),
    )


def progress(rank: int, node: str, at: float, second: int) -> Progress:
    """The rank's step: four a second, back to the checkpoint's after the rescue."""
    step = 8 * second if second <= ALARM_S + 4 else 8 * second - 32
    loss = 0.35 + 2.1 * math.exp(-step / 140)
    return Progress(
        id=f"p-{rank}-{second}", job=JOB, node=node, rank=rank, at=at, step=step, loss=loss, step_s=0.125, load=0.4
    )


def command(
    action: str,
    at: float,
    generation: int,
    incident: str | None,
    node: str | None = None,
    ranks: tuple[int, ...] = (),
    spare: str | None = None,
    step: int | None = None,
) -> Command:
    """A command with the reason that the fold would give."""
    rule = {"CHECKPOINT": "P ≥ θ" if incident else "Young", "MIGRATE": "P(s′|s,a) > η", "RESTORE": "node vacated"}[
        action
    ]
    numbers = {"P": 0.9313, "theta": 0.5, "L": 21.4} if incident else {"lambda": 0.0283, "C": 5.0}
    return Command(
        id=command_id(JOB, node, action, incident, generation),  # type: ignore[arg-type]
        action=action,  # type: ignore[arg-type]
        job=JOB,
        generation=generation,
        issued_at=at,
        expires_at=at + 60,
        reason=Reason(rule=rule, numbers=numbers, evidence=(f"{EVENT}/0/{generation}",)),
        cause=Cause(0, generation),
        incident=incident,
        node=node,
        spare=spare,
        ranks=ranks,
        step=step,
    )


def outcome(order: Command, node: str, stage: str, at: float, rank: int | None = None, **more: object) -> Outcome:
    """One stage of a command at one agent."""
    return Outcome(
        id=f"{order.id}-{node}-{rank}-{stage}",
        job=JOB,
        command=order.id,
        action=order.action,
        node=node,
        stage=stage,
        at=at,
        rank=rank,
        **more,  # type: ignore[arg-type]
    )


def _checkpoint(story: Story, at: float, incident: str | None, generation: int, step: int) -> Iterator[LogRecord]:
    order = command("CHECKPOINT", at, generation, incident)
    yield story.append(COMMAND, order, at, JOB, latency_s=0.009)
    for rank, node in RANKS.items():
        later = at + 0.02 + 0.004 * rank
        for stage, after in (
            ("received", 0.0),
            ("accepted", 0.003),
            ("staged", 0.16),
            ("durable", 0.41),
            ("done", 0.42),
        ):
            more = {"step": step, "seconds": 0.021} if stage == "staged" else {"step": step} if after > 0.1 else {}
            yield story.append(EVENT, outcome(order, node, stage, later + after, rank, **more), later + after, JOB)


def _rescue(story: Story, at: float) -> Iterator[LogRecord]:
    opened = Incident(
        id="opened-1",
        job=JOB,
        node=BAD,
        at=at,
        incident=INCIDENT,
        state="opened",
        probability=0.9313,
        deviation=11.3,
        horizon_s=60.0,
    )
    yield story.append(EVENT, opened, at, JOB)
    yield from _checkpoint(story, at, INCIDENT, 2, 360)
    migrate = command("MIGRATE", at + 0.5, 3, INCIDENT, BAD, (2,), SPARE, 360)
    yield story.append(COMMAND, migrate, at + 0.5, JOB, latency_s=0.007)
    for stage, after in (("received", 0.52), ("accepted", 0.53), ("done", 1.1)):
        yield story.append(EVENT, outcome(migrate, BAD, stage, at + after, 2, step=364), at + after, JOB)
    vacated = InventoryNode(node=BAD, at=at + 1.1, state="vacated", job=JOB)
    yield story.append(INVENTORY, vacated, at + 1.1, BAD)
    restore = command("RESTORE", at + 1.12, 4, INCIDENT, SPARE, (2,), None, 360)
    yield story.append(COMMAND, restore, at + 1.12, JOB, latency_s=0.006)
    for stage, after in (("received", 1.15), ("accepted", 1.16), ("done", 4.3)):
        yield story.append(EVENT, outcome(restore, SPARE, stage, at + after, 2, step=360), at + after, JOB)
    running = InventoryNode(node=SPARE, at=at + 1.3, state="running", job=JOB, rank=2, world=4)
    yield story.append(INVENTORY, running, at + 1.3, SPARE)


class Watched:
    """A view of the rescue without a broker, how its log stands, and how often it was looked at."""

    def __init__(self) -> None:
        self.view, self.log, self.looks = View(), LogState(away=False, silent_s=0.2), 0
        for record in rescue():
            self.view.fold(record)

    def look(self, at: Callable[[View], _T]) -> _T:
        self.looks += 1
        return at(self.view)

    def state(self) -> LogState:
        return self.log


class Clock:
    """A clock that stands at ``now``."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now
