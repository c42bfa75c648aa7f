"""What the records of the topics say as points, in their order. No I/O, no clock.

A record makes its own point at once. What needs more than one record is told at ticks: the nodes of a partition at each
of its counts, the ledger of a job, and candidates in the shadow, at the times of a grid. Both are functions of what
stood on the partition before, so a sink that reads on from elsewhere makes the same points again.

Fleet points differ in one thing: who is out, and who is a member, comes from the decision log as far as it was read,
which is not ordered with the assessments. Of one that is made again, ``health`` may differ, and ``nodes`` and
``unknown`` by members that were never assessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol

from connectors.codecs.records import decode_assessment, decode_command, decode_event
from connectors.influx import points
from connectors.influx.lines import AT_S_MAX
from connectors.influx.schema import GRID_S
from connectors.kafka.topics import ASSESSMENT, COMMAND, EVENT
from infra.observer.account import account_from
from infra.observer.latency import LIVE_S_MAX
from infra.observer.record import LogRecord
from infra.sink.kept_nodes import Node
from models.fleet_health import Standing, fleet_health, node_states
from models.job_account import JobAccounts
from models.policy_settings import PolicySettings
from models.records import (
    Assessment,
    Counts,
    Event,
    Incident,
    JobEvent,
    Membership,
    NodeFate,
    Outcome,
    Progress,
    Tick,
    Verdict,
)

#: The topics that are read, and no other.
READS: Final = (EVENT, COMMAND, ASSESSMENT)
_HISTORY: Final = b'"history":true'
#: Progress that is told this much later than the first: the job's account is of some time then.
BEGUN_S: Final = 0.001


class Compared(Protocol):
    """How a candidate in the shadow compares for one job."""

    @property
    def job(self) -> str: ...
    @property
    def policy(self) -> str: ...
    @property
    def commands(self) -> int: ...
    @property
    def differences(self) -> int: ...
    @property
    def seconds(self) -> float: ...


class Shadows(Protocol):
    """Candidates that fold the decision log and command nothing."""

    def take(self, partition: int, offset: int, event: Event) -> None:
        """Fold one event."""

    def compared(self) -> Sequence[Compared]:
        """How each compares so far."""


class Telling:
    """Folds records and tells their points.

    Parameters
    ----------
    policy : what the ledger's estimates are made with
    shadows : candidates to tell of too
    nodes : partition of the assessments → its nodes, where reading begins

    ``nodes`` is of where reading has come to.
    """

    def __init__(
        self,
        policy: PolicySettings,
        shadows: Shadows | None = None,
        nodes: Mapping[int, Mapping[str, Node]] | None = None,
    ) -> None:
        self._policy, self._shadows = policy, shadows
        self.nodes = {partition: dict(known) for partition, known in (nodes or {}).items()}
        self._known = {node for known in self.nodes.values() for node in known}
        self._standing = Standing()
        #: Members that were never assessed → the partition of their job.
        self._unassessed: dict[str, int] = {}
        self._jobs = JobAccounts()
        self._home: dict[str, int] = {}
        self._progress: dict[str, tuple[float, float]] = {}
        self._grid: dict[int, int] = {}

    def take(self, record: LogRecord) -> list[str]:
        """The points of a record, in line protocol.

        Raises
        ------
        InvalidRecord
            It cannot be read, or has no time that InfluxDB could hold.
        """
        if not record.value or (record.topic == ASSESSMENT and _HISTORY in record.value):
            return []
        if record.topic == ASSESSMENT:
            return self._assessed(decode_assessment(record.value), record)
        if record.topic == COMMAND:
            command = decode_command(record.value)
            return [points.command_point(command, delay_s(command.issued_at, record.appended))]
        return self._event(decode_event(record.value), record)

    def _assessed(self, told: Assessment | Counts, record: LogRecord) -> list[str]:
        delay = delay_s(told.ts, record.appended)
        nodes = self.nodes.setdefault(record.partition, {})
        if isinstance(told, Assessment):
            nodes[told.node] = Node(told.verdict, told.probability, told.incident is not None)
            self._known.add(told.node)
            self._unassessed.pop(told.node, None)
            return [points.assessment_point(told, None if told.verdict == "unknown" else delay)]
        if not told.assessed:  # the past is being loaded
            return []
        return [points.pipeline_point(told, record.partition, delay), self._fleet(told, record.partition, nodes)]

    def _fleet(self, told: Counts, partition: int, nodes: Mapping[str, Node]) -> str:
        never = [node for node, home in self._unassessed.items() if home == partition]
        verdicts = Counter[Verdict](one.verdict for one in nodes.values())
        verdicts["unknown"] += len(never)
        held = [one.probability for one in nodes.values() if one.probability is not None]
        fields = {
            "in_incident": sum(one.in_incident for one in nodes.values()),
            "worst_probability": max(held, default=None),
            "health": fleet_health(node_states([*nodes, *never], nodes, self._standing)).number,
        }
        return points.fleet_point(told, partition, verdicts, fields)

    def _event(self, event: Event, record: LogRecord) -> list[str]:
        if self._shadows is not None:
            self._shadows.take(record.partition, record.offset, event)
        if isinstance(event, Tick):
            return list(self._at_tick(event, record.partition))
        if isinstance(event, JobEvent):
            self._keep(event, record.partition)
        if isinstance(event, Incident) and not event.history:
            return [points.incident_point(event)]
        if isinstance(event, Outcome):
            return [points.outcome_point(event)]
        return []

    def _keep(self, event: JobEvent, partition: int) -> None:
        """An event is its job's; the fate of a node of no job goes to each, whose account knows whether it matters."""
        if isinstance(event, Membership | NodeFate):
            self._standing.take(event)
        if isinstance(event, Membership) and event.node not in self._known:
            self._unassessed.setdefault(event.node, partition)
        self._jobs.take(event)
        if event.job is None:
            return
        self._home.setdefault(event.job, partition)
        if isinstance(event, Progress):
            first, last = self._progress.get(event.job, (event.at, event.at))
            self._progress[event.job] = (min(first, event.at), max(last, event.at))

    def _at_tick(self, tick: Tick, partition: int) -> Iterator[str]:
        """Where a tick is the first at or after a time of the grid: what is told of that time."""
        grid = int(tick.at // GRID_S) if abs(tick.at) < AT_S_MAX else 0
        if tick.history or grid <= self._grid.get(partition, 0):
            return
        self._grid[partition] = grid
        at = float(grid * GRID_S)
        begun = {
            job
            for job, (first, last) in self._progress.items()
            if self._home[job] == partition and last - first > BEGUN_S
        }
        for job in sorted(begun):
            told = account_from(self._jobs.of(job).folds(), self._policy)
            if told is not None:
                yield points.ledger_point(job, told, at)
        for one in self._shadows.compared() if self._shadows is not None else ():
            if one.job in begun:
                fields = {"commands": one.commands, "differences": one.differences, "seconds": one.seconds}
                yield points.shadow_policy_point(one.job, one.policy, fields, at)


def delay_s(source: float, appended: float) -> float | None:
    """From source time to the log; None for what was not live. The broker's clock has whole milliseconds only."""
    seconds = appended - source
    return max(0.0, round(seconds, 3)) if -1.0 < seconds < LIVE_S_MAX else None
