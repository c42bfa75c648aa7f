"""Fold a log's partitions with a candidate beside them, and gather what is told of it."""

from __future__ import annotations

import math
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.kafka.log import reader
from connectors.kafka.topics import EVENT
from infra.backtest.reading import ALONE_MAX, Given, incident_ids, read_commands, read_events
from infra.run_log import RunLog
from models.backtest.anew import Told, told_anew
from models.backtest.beside import Beside
from models.backtest.comparison import Comparison
from models.backtest.difference import Difference
from models.backtest.worth import Failure
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings
from models.records import Event, Incident, Tick

NAME = "candidate"
#: Incidents that another model makes, by the partition of the decision log that they belong on, and since when.
Anew = tuple[Mapping[int, Sequence[Incident]], float]


@dataclass(slots=True, kw_only=True)
class Replayed:
    """What a back-test found, over all partitions.

    ``begun_at`` and ``ended_at`` are the first and the last tick of the present (source time), ``begins`` the first
    offset of each partition that has lost its beginning, ``unlike`` how many records the log's own settings do not
    command as it holds them, ``strange`` how many commands on it cannot be read, ``events`` how many were folded,
    ``wall_s`` how long reading and folding took, ``anew`` what another model made of the telemetry.
    """

    begun_at: float = math.inf
    ended_at: float = -math.inf
    differences: list[Difference] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    commands: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    begins: dict[int, int] = field(default_factory=dict)
    equal: int = 0
    left_out: int = 0
    unlike: int = 0
    strange: int = 0
    events: int = 0
    wall_s: float = 0.0
    anew: dict[str, Any] | None = None

    def add(self, part: Replayed) -> None:
        """Add what was found in one more partition."""
        self.begun_at, self.ended_at = min(self.begun_at, part.begun_at), max(self.ended_at, part.ended_at)
        self.differences += part.differences
        self.failures += part.failures
        self.commands += part.commands
        self.answered += part.answered
        self.kept += part.kept
        self.begins |= part.begins
        self.equal += part.equal
        self.left_out += part.left_out
        self.unlike += part.unlike
        self.strange += part.strange
        self.events += part.events

    @property
    def span_s(self) -> float:
        """Source time that was folded."""
        return max(0.0, self.ended_at - self.begun_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is folded: the log's own policy and the candidate, and which range of source time is told of.

    ``anew`` is what another model makes of the telemetry, in place of the log's incidents.
    """

    own: PolicySettings
    candidate: PolicySettings
    begin: float | None = None
    end: float | None = None
    anew: Anew | None = None

    @property
    def same(self) -> bool:
        """Whether the candidate is the log's own policy on its own incidents."""
        return self.candidate == self.own and self.anew is None


def replay(log: RunLog, asked: Asked) -> Replayed:
    """Fold every partition of the decision log; nothing is published.

    The fold begins where the log does, whatever range is told of: its past is its state. Partitions know nothing of one
    another, so a long log is folded by as many processes as there are cores.
    """
    found, began = Replayed(), time.perf_counter()
    partitions = log.partitions(EVENT)
    records = sum(high - low for low, high in (log.bounds(EVENT, number) for number in partitions))
    workers = min(len(partitions), os.cpu_count() or 1)
    if workers == 1 or records <= ALONE_MAX:
        parts = [_partition(log, number, asked) for number in partitions]
    else:
        with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
            count = len(partitions)
            parts = list(pool.map(_elsewhere, [log.bootstrap] * count, partitions, [asked] * count))
    for part in parts:
        found.add(part)
    found.differences.sort(key=lambda one: (one.at, one.job))
    found.failures.sort(key=lambda one: (one.at, one.job))
    found.wall_s = time.perf_counter() - began
    return found


def _elsewhere(bootstrap: str, partition: int, asked: Asked) -> Replayed:
    """The same in a process of its own."""
    with reader(bootstrap) as consumer:
        return _partition(RunLog(None, bootstrap, consumer), partition, asked)


def _partition(log: RunLog, partition: int, asked: Asked) -> Replayed:
    found = Replayed()
    low, _ = log.bounds(EVENT, partition)
    if low:
        found.begins[partition] = low
    given = read_commands(log, partition)
    comparison = Comparison(
        asked.candidate,
        partition,
        exact=asked.same,
        begin=-math.inf if asked.begin is None else asked.begin,
        end=math.inf if asked.end is None else asked.end,
    )
    told = _told(log, partition, asked.anew, asked.end)
    _fold(found, Beside(asked.own, partition, {NAME: comparison}), told, given)
    found.differences, found.failures = comparison.differences, comparison.failures
    found.commands, found.equal = comparison.commands, comparison.equal
    world = comparison.world
    found.answered, found.kept, found.left_out = world.answered, world.kept, world.left_out
    found.strange = given.strange
    return found


def _told(log: RunLog, partition: int, anew: Anew | None, end: float | None) -> Iterator[Told]:
    events = _until(read_events(log, partition), end)
    if anew is None:
        return (Told(offset, event, event) for offset, event in events)
    incidents, since = anew
    return told_anew(events, incidents.get(partition, ()), incident_ids(log, partition), since)


def _fold(found: Replayed, beside: Beside, records: Iterable[Told], given: Given) -> None:
    for offset, event, instead in records:
        there = given.commands.get(offset, []) if event is not None else []
        found.unlike += list(beside.take_apart(offset, event, instead, there)) != there
        found.events += 1
        if isinstance(event, Tick) and not beside.state.loading:
            found.begun_at, found.ended_at = min(found.begun_at, event.at), max(found.ended_at, event.at)


def _until(events: Iterable[tuple[int, Event]], end: float | None) -> Iterator[tuple[int, Event]]:
    """The events up to the last tick before ``end``; what a past tells is not after anything."""
    for offset, event in events:
        if end is not None and isinstance(event, Tick) and event.history is None and event.at > end:
            return
        yield offset, event


def backtest(log: RunLog, asked: Asked, content: bytes | None, incidents: IncidentSettings) -> Replayed:
    """Replay under a candidate, with the telemetry assessed anew where there is another model (``content``)."""
    if content is None:
        return replay(log, asked)
    from infra.backtest.assessing import assess_anew, by_partition, digest_of  # a process that folds needs none of it

    began = time.perf_counter()
    assessed = assess_anew(log, content, incidents)
    placed, since = by_partition(log, assessed)
    spent_s = time.perf_counter() - began
    found = replay(log, replace(asked, anew=(placed, since)))
    found.anew = {
        "digest": digest_of(content),
        "frames": sum(one.frames for one in assessed),
        "incidents": sum(map(len, placed.values())),
        "since": None if since == -math.inf else since,
        "wall_s": round(spent_s, 3),
    }
    found.wall_s += spent_s
    return found
