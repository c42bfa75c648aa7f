"""The fold over one telemetry partition: frames in, assessments, incidents and counts out.

The state is a function of the partition's records in their order, and each output follows from it; how the records
were cut into batches shows nowhere (a property test). Between two control records the frames of different nodes do not
touch each other, so they are taken in rounds, the k-th frame of every node in round k, each round vectorised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from models.cohort import Cohort, Observed
from models.foresight import Choices, Fetch, Foresight, Models, nowhere
from models.incident import IncidentSettings, Latch, Transition
from models.limits import METRICS_MAX, SKEW_S_MAX
from models.records import Assessment, Cause, Counts, Incident, Verdict, digest_id
from models.telemetry import Member, ModelChoice, Row, Schema, TelemetryTick, Unreadable

WORST_METRICS = 3

Control = TelemetryTick | Member | ModelChoice | Unreadable
Telemetry = Row | Control
Conclusion = Assessment | Counts | Incident | Unreadable
Shown = tuple[float | None, float | None, float | None]  # probability, deviation, anomaly


@dataclass(slots=True)
class Node:
    """What is known of one node beside its columns in a cohort."""

    cohort: Cohort
    row: int
    last_ts: float = -np.inf
    silent: bool = False
    job: str | None = None
    latch: Latch = field(default_factory=Latch)
    source: Schema | None = None  # the schema of the node's frames, as last met
    order: NDArray[np.intp] | None = None  # from the source's columns to the cohort's; None when they are the same


@dataclass(slots=True)
class PartitionState:
    """Everything learned from one telemetry partition."""

    cohorts: dict[tuple[tuple[str, ...], tuple[bool, ...]], Cohort] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    jobs: dict[str, tuple[str | None, float]] = field(default_factory=dict)  # of each node, and since when
    counts: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    now: float = -np.inf
    history: bool = False
    choices: Choices = field(default_factory=Choices)


class Assessor:
    """Assesses the nodes of one telemetry partition.

    Parameters
    ----------
    topic, partition : where the records come from; they go into causes and evidence.
    foresight : the model of the settings, in use until the partition is told of another.
    fetch : looks up the models that the partition is told of.
    """

    def __init__(
        self,
        topic: str,
        partition: int,
        foresight: Foresight,
        incidents: IncidentSettings,
        state: PartitionState | None = None,
        fetch: Fetch = nowhere,
    ) -> None:
        self.topic = topic
        self.partition = partition
        self.incidents = incidents
        self.state = state or PartitionState()
        self.models = Models(foresight, fetch, self.state.choices)

    def apply(self, records: Iterable[tuple[int, Telemetry]]) -> list[tuple[int, Conclusion]]:
        """Take (offset, record) in order; returns (offset, conclusion) in order."""
        concluded: list[tuple[int, Conclusion]] = []
        frames: list[tuple[int, Row]] = []
        for offset, record in records:
            if isinstance(record, Row):
                frames.append((offset, record))
                continue
            concluded += self._frames(frames)
            frames = []
            concluded += [(offset, conclusion) for conclusion in self._control(offset, record)]
        concluded += self._frames(frames)
        return concluded

    def _control(self, offset: int, record: Control) -> list[Conclusion]:
        state = self.state
        if isinstance(record, TelemetryTick):
            return self._tick(offset, record)
        if isinstance(record, Member):
            return self._member(offset, record)
        if isinstance(record, ModelChoice):
            return self._choose(offset, record)
        state.counts["dead_letters"] += 1
        return [record]

    def _member(self, offset: int, member: Member) -> list[Conclusion]:
        """A node works for a job. The inventory is copied anew at times: what is older than known changes nothing.

        An incident lies on the decision log under its job: when the job changes it is closed there, and opens anew
        under the new one if the suspicion lasts.
        """
        state = self.state
        state.counts["members"] += 1
        _, known = state.jobs.get(member.node, (None, -np.inf))
        if member.ts < known:
            return []
        state.jobs[member.node] = member.job, member.ts
        node = state.nodes.get(member.node)
        if node is None or node.job == member.job:
            return []
        closed: list[Conclusion] = []
        if node.latch.incident is not None:
            told = node.latch.told
            node.latch.close(told)
            closed = [self._incident_record(offset, member.node, member.ts, node, "closed", told, 0.0)]
            node.latch.incident = None
        node.job = member.job
        return closed

    def _choose(self, offset: int, choice: ModelChoice) -> list[Conclusion]:
        """Another model from the next frame on; that it is so, or why not, is told at once. Incidents stay open."""
        self.state.counts["models"] += 1
        if not self.models.choose(choice):
            return []
        told = self._counts(Cause(self.partition, offset))
        return [told if self.state.now > -np.inf else replace(told, ts=choice.ts)]

    def _tick(self, offset: int, tick: TelemetryTick) -> list[Conclusion]:
        """Time passes: nodes that fell silent become unknown, and the counts are told.

        A past that is loaded brings its own time, which may lie before what was the present; until it ends nobody
        else's time is heard.
        """
        state = self.state
        state.counts["ticks"] += 1
        if state.history and tick.history is None:
            return [self._counts(Cause(self.partition, offset))]
        state.now = tick.ts if tick.history or state.history else max(state.now, tick.ts)
        state.history = bool(tick.history)
        silent = {id(cohort): cohort.silent(state.now) for cohort in state.cohorts.values()}
        out: list[Conclusion] = []
        for name, node in state.nodes.items():
            if silent[id(node.cohort)][node.row] and not node.silent:
                node.silent = True
                out.append(self._assessment(name, node, state.now, "unknown", Cause(self.partition, offset, len(out))))
        out.append(self._counts(Cause(self.partition, offset, len(out))))
        return out

    def _counts(self, cause: Cause) -> Counts:
        state, models = self.state, self.models
        return Counts(
            ts=state.now,
            cause=cause,
            missing_values=dict(sorted(state.missing.items())),
            model=models.active.digest,
            refused=models.refusal,
            shadow=models.compared(),
            **state.counts,
        )

    def _frames(self, frames: Sequence[tuple[int, Row]]) -> list[tuple[int, Conclusion]]:
        """Frames without a control record between them, in rounds of one frame a node."""
        rounds: list[list[tuple[int, Row]]] = []
        depth: Counter[str] = Counter()
        for item in frames:
            at = depth[item[1].node]
            depth[item[1].node] = at + 1
            if at == len(rounds):
                rounds.append([])
            rounds[at].append(item)
        concluded: list[tuple[int, Conclusion]] = []
        for one in rounds:
            concluded += self._round(one)
        concluded.sort(key=lambda pair: pair[0])
        return concluded

    def _round(self, frames: list[tuple[int, Row]]) -> list[tuple[int, Conclusion]]:
        fresh: dict[int, list[tuple[int, Row, Node]]] = {}
        concluded: list[tuple[int, Conclusion]] = []
        for offset, row in frames:
            if row.missing:
                self.state.missing.update(dict(row.missing))
            node = self._node(row)
            if row.ts > node.last_ts:
                fresh.setdefault(id(node.cohort), []).append((offset, row, node))
            else:
                concluded += self._late(offset, row, node)
        for items in fresh.values():
            concluded += self._fresh(items)
        return concluded

    def _fresh(self, items: list[tuple[int, Row, Node]]) -> list[tuple[int, Conclusion]]:
        cohort = items[0][2].cohort
        rows = np.array([node.row for _, _, node in items], np.intp)
        ts = np.array([row.ts for _, row, _ in items], np.float64)
        observed = cohort.advance(rows, ts, np.stack([_in_order(row, node) for _, row, node in items]))
        for _, row, node in items:
            node.last_ts, node.silent = row.ts, False
        return self._conclude(cohort, items, observed, newest=True)

    def _late(self, offset: int, row: Row, node: Node) -> list[tuple[int, Conclusion]]:
        """A frame that is not the newest of its node: a duplicate, one within the grace, or one too late."""
        cohort = node.cohort
        if node.last_ts > self.state.now + SKEW_S_MAX and self.state.now > -np.inf:
            cohort.forget(node.row)
            node.last_ts = -np.inf
            return self._fresh([(offset, row, node)])
        if cohort.has_time(node.row, row.ts):
            self.state.counts["duplicates"] += 1
            return []
        observed = cohort.insert(node.row, row.ts, _in_order(row, node))
        if observed is None:
            self.state.counts["late"] += 1
            return []
        return self._conclude(cohort, [(offset, row, node)], observed, newest=False)

    def _conclude(
        self, cohort: Cohort, items: list[tuple[int, Row, Node]], observed: Observed, *, newest: bool
    ) -> list[tuple[int, Conclusion]]:
        probability = np.round(self.models.active.probability(observed.features), 6)
        if self.models.shadow is not None:
            told = np.array([warm and not node.silent for warm, (_, _, node) in zip(observed.warm, items, strict=True)])
            self.models.compare(observed.features[told], probability[told], self.incidents.theta)
        p = probability.tolist()
        d = np.round(observed.deviation.astype(np.float64), 4).tolist()
        anomaly, anomalous = _anomalies(observed)
        worst = _worst_metrics(cohort.metrics, observed.z)
        out: list[tuple[int, Conclusion]] = []
        self.state.counts["history" if self.state.history else "assessed"] += len(items)
        for at, (offset, row, node) in enumerate(items):
            cause = Cause(self.partition, offset)
            if node.silent or not observed.warm[at]:
                out.append((offset, self._assessment(row.node, node, row.ts, _untold(node), cause)))
                continue
            shown = p[at], d[at], anomaly[at]
            incident = self._incident(offset, row, node, shown, anomalous=anomalous[at]) if newest else None
            verdict: Verdict = "healthy" if p[at] < self.incidents.theta else "suspect"
            if node.latch.incident is not None:
                verdict = "failing" if node.latch.reason == "probability" else "suspect"
            out.append((offset, self._assessment(row.node, node, row.ts, verdict, cause, shown, worst[at])))
            if incident is not None:
                out.append((offset, incident))
                if incident.state == "closed":
                    node.latch.incident = None
        return out

    def _assessment(
        self,
        name: str,
        node: Node,
        ts: float,
        verdict: Verdict,
        cause: Cause,
        shown: Shown = (None, None, None),
        worst: tuple[tuple[str, float], ...] = (),
    ) -> Assessment:
        return Assessment(
            node=name,
            ts=ts,
            verdict=verdict,
            cause=cause,
            job=node.job,
            probability=shown[0],
            deviation=shown[1],
            anomaly=shown[2],
            incident=node.latch.incident,
            worst=worst,
            history=self.state.history,
        )

    def _incident(
        self, offset: int, row: Row, node: Node, shown: tuple[float, float, float | None], *, anomalous: bool
    ) -> Incident | None:
        transition = node.latch.advance(shown[0], self.incidents, anomalous=anomalous)
        if transition is None:
            return None
        if transition == "opened":
            node.latch.incident = digest_id("incident", row.node, self.topic, self.partition, offset)
        return self._incident_record(offset, row.node, row.ts, node, transition, *shown)

    def _incident_record(
        self,
        offset: int,
        name: str,
        at: float,
        node: Node,
        state: Transition,
        probability: float,
        deviation: float,
        anomaly: float | None = None,
    ) -> Incident:
        incident = str(node.latch.incident)
        return Incident(
            id=f"{incident}/{node.latch.serial}",
            job=node.job,
            node=name,
            at=at,
            incident=incident,
            state=state,
            probability=probability,
            deviation=deviation,
            horizon_s=self.models.active.horizon_s,
            reason=node.latch.reason,
            anomaly=anomaly,
            history=self.state.history,
            evidence=(f"{self.topic}/{self.partition}/{offset}",),
        )

    def _node(self, row: Row) -> Node:
        """The node of a frame, with columns for every metric that the frame names."""
        node = self.state.nodes.get(row.node)
        if node is None:
            cohort = self._cohort(row.schema)
            node = Node(cohort, int(cohort.add()[0]), job=self.state.jobs.get(row.node, (None, 0.0))[0])
            self.state.nodes[row.node] = node
        if row.schema is not node.source:
            self._adopt(node, row.schema)
        return node

    def _adopt(self, node: Node, source: Schema) -> None:
        """Frames come in another schema; if it has new metrics the node goes on in a cohort with the old and the new.

        Metrics beyond ``METRICS_MAX`` are not read.
        """
        kinds = dict(zip(node.cohort.metrics, node.cohort.counters.tolist(), strict=True))
        added = {m: c for m, c in zip(source.metrics, source.counters, strict=True) if m not in kinds}
        if added and len(kinds) < METRICS_MAX:
            kinds |= dict(list(added.items())[: METRICS_MAX - len(kinds)])
            self._move(node, Schema(tuple(sorted(kinds)), tuple(kinds[name] for name in sorted(kinds))))
        place = {metric: at for at, metric in enumerate(source.metrics)}
        same = node.cohort.metrics == source.metrics
        node.order = None if same else np.array([place.get(m, len(place)) for m in node.cohort.metrics], np.intp)
        node.source = source

    def _move(self, node: Node, schema: Schema) -> None:
        """Put a node into the cohort of more metrics with what it has learned; a cohort without nodes is let go."""
        before, row = node.cohort, node.row
        node.cohort = self._cohort(schema)
        node.row = int(node.cohort.add()[0])
        node.cohort.take_over(node.row, before, row)
        if all(other.cohort is not before for other in self.state.nodes.values()):
            del self.state.cohorts[before.metrics, tuple(before.counters.tolist())]

    def _cohort(self, schema: Schema) -> Cohort:
        key = (schema.metrics, schema.counters)
        if key not in self.state.cohorts:
            self.state.cohorts[key] = Cohort(*key)
        return self.state.cohorts[key]


def _anomalies(observed: Observed) -> tuple[list[float | None], list[bool]]:
    """Of each row the anomaly, None where it is not told, and whether the detector has latched."""
    if observed.judged is None:
        return [None] * len(observed.warm), [False] * len(observed.warm)
    told = np.round(observed.judged.anomaly.astype(np.float64), 4).tolist()
    return [None if value != value else value for value in told], observed.judged.open.tolist()


def _untold(node: Node) -> Verdict:
    """The verdict without a probability: a frame that came late from a node since fallen silent does not clear it."""
    return "unknown" if node.silent else "warming"


def _in_order(row: Row, node: Node) -> NDArray[np.float64]:
    """The frame's values in the columns of the node's cohort; a metric that it lacks is missing."""
    return row.values if node.order is None else np.append(row.values, np.nan)[node.order]


def _worst_metrics(metrics: tuple[str, ...], z: NDArray[np.float32]) -> list[tuple[tuple[str, float], ...]]:
    """For each row of ``z (rows, metrics)`` the metrics of largest |z|, with z; a missing value counts as 0."""
    known = np.where(np.isnan(z), 0.0, z.astype(np.float64))
    order = np.argsort(-np.abs(known), axis=-1, kind="stable")[:, :WORST_METRICS]
    values = np.round(np.take_along_axis(known, order, axis=-1), 3).tolist()
    return [
        tuple([(metrics[m], value) for m, value in zip(columns, row, strict=True)])
        for columns, row in zip(order.tolist(), values, strict=True)
    ]
