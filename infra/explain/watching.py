"""One node assessed anew from the log, up to one of its frames: what the worker saw, and what it concluded.

Between control records the frames of different nodes do not touch each other, so those of the one node and the control
records of its partition give the same conclusions as the whole partition did, to the last bit.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from connectors.codecs.frames import FrameDecoder
from connectors.errors import InvalidRecord, WrongUse
from connectors.kafka.log import reader
from connectors.kafka.schemas import SchemaTable
from connectors.kafka.snapshots import read_newest
from connectors.kafka.topics import SNAPSHOT, TELEMETRY
from infra import clock
from infra.explain.epochs import Epochs, NotOnLog
from infra.explain.finding import appended
from infra.kept_settings import KeptSettings
from infra.models_in_use import ModelsInUse
from infra.run_log import RunLog
from infra.wiring import foresight_of
from models.assessment import Assessor, Conclusion, PartitionState, Telemetry
from models.assessment_state import UnreadableState, state_from_bytes
from models.cohort import Cohort
from models.explaining.sources import feature_sources
from models.explaining.transitions import Transition, TransitionWatch
from models.foresight import Foresight, Refused
from models.mlp import Predictor
from models.records import Assessment, Incident
from models.telemetry import Member, Row, Schema
from models.windows import SPANS

Floats = NDArray[np.float32]

#: Is told how far something is: so many of so many.
HowFar = Callable[[int, int], None]


def quiet(_: int, __: int) -> None:
    """Nobody wants to know."""


#: The node's own ordinary state is the median of so many of its healthy frames, at least and at most.
HEALTHY_FRAMES: Final = (30, 600)
TRANSITIONS: Final = 10
TELL_RECORDS: Final = 500
#: The longest span over which features average.
EXTREME_FRAMES: Final = max(SPANS)
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:@-]+")
_CONTROL: Final = b'"kind"'


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of the node at the frame, in its own measure (a counter: its rate a second), and what is usual.

    ``extreme`` is its value farthest from the usual in the last :data:`EXTREME_FRAMES` frames, ``z`` how far that is,
    in the node's usual deviations.
    """

    name: str
    unit: str
    value: float
    usual: float
    extreme: float
    z: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What a node showed right after a frame, and the model that judged it.

    ``features`` are all of ``models.features.FEATURE_NAMES``, ``healthy (frames, features)`` the same at the node's own
    healthy frames before it, ``sources`` the metric of each feature (−1: none).
    """

    predictor: Predictor
    features: Floats
    healthy: Floats
    sources: NDArray[np.intp]
    metrics: tuple[Metric, ...]
    transitions: tuple[Transition, ...]


@dataclass(slots=True)
class Seen:
    """What was seen of a node: at the frame asked for (None where it was not assessed), and what all of it led to.

    ``appended`` is when the broker took that frame; ``incidents`` are by their id, ``assessments`` by offset.
    """

    node: str
    place: str
    offset: int
    settings: KeptSettings
    appended: float = 0.0
    shown: Shown | None = None
    incidents: dict[str, Incident] = field(default_factory=dict)
    assessments: dict[int, Assessment] = field(default_factory=dict)

    @property
    def partition(self) -> int:
        """Of the telemetry."""
        return int(self.place.split("/")[1])


class Watching:
    """Assesses one node anew.

    Parameters
    ----------
    log, partition : the telemetry.
    node : whose frames are taken.
    epochs, models : the settings and models that the worker used.
    told : is told how many records of how many are read.
    """

    def __init__(
        self,
        log: RunLog,
        partition: int,
        node: str,
        epochs: Epochs,
        models: ModelsInUse,
        told: HowFar = quiet,
    ) -> None:
        self._log, self._partition, self._node = log, partition, node
        self._epochs, self._models, self._tell = epochs, models, told
        self._used: Floats | None = None
        self._watch = TransitionWatch()
        self._healthy: deque[Floats] = deque(maxlen=HEALTHY_FRAMES[1])

    def up_to(self, offset: int, until: int | None = None) -> Seen:
        """Assess all that lies before ``offset`` and the frame there, and what follows up to ``until``.

        Raises
        ------
        NotOnLog
            The frame is gone, or what was learned before it is.
        """
        until = offset if until is None else max(offset, until)
        state, start = self._begin(offset)
        place = f"{TELEMETRY}/{self._partition}/{offset}"
        seen = Seen(self._node, place, offset, self._epochs.at(float("-inf")))
        assessor: Assessor | None = None
        for at, stamped, record in self._records(start, until):
            settings = self._epochs.at(stamped)
            if assessor is None or settings != seen.settings:
                assessor, seen.settings = self._assessor(settings, state), settings
            self._take(assessor, seen, at, record)
            if at == offset:
                seen.shown, seen.appended = self._look(assessor), stamped
        return seen

    def _begin(self, offset: int) -> tuple[PartitionState, int]:
        """A state, and the offset to read on from: the beginning of the log, or what a snapshot still tells of it."""
        low, high = self._log.bounds(TELEMETRY, self._partition)
        topic = f"{TELEMETRY}/{self._partition}"
        if not low <= offset < high:
            raise NotOnLog(f"{topic} holds offsets {low} to {high - 1}; {offset} is not there (any more)")
        if low == 0:
            return PartitionState(), 0
        snapshot = read_newest(self._log.consumer, SNAPSHOT, TELEMETRY, self._partition)
        if snapshot is None or not low <= snapshot.next_offset <= offset:
            raise NotOnLog(
                f"{topic} begins at offset {low}, and what was learned before it is not kept: the state at {offset} "
                "cannot be computed any more (topics.telemetry_retention_h keeps telemetry longer)"
            )
        try:
            state = state_from_bytes(snapshot.state)
        except UnreadableState as wrong:
            raise NotOnLog(f"{topic} begins at offset {low}, and its snapshot is of another build: {wrong}") from wrong
        state.nodes = {name: node for name, node in state.nodes.items() if name == self._node}
        return state, snapshot.next_offset

    def _records(self, start: int, until: int) -> Iterator[tuple[int, float, Telemetry]]:
        with reader(self._log.bootstrap) as consumer:
            decoder = FrameDecoder(SchemaTable(consumer, clock.monotonic))
            for count, message in enumerate(self._log.records(TELEMETRY, self._partition, start, until + 1)):
                if count % TELL_RECORDS == 0:
                    self._tell(count, until + 1 - start)
                record = self._mine(message, decoder)
                if record is not None:
                    yield int(message.offset() or 0), appended(message), record

    def _mine(self, message: Message, decoder: FrameDecoder) -> Telemetry | None:
        """The record, where it is a frame of the node or a control record that touches it."""
        raw = message.value() or b""
        plain = _PLAIN.fullmatch(self._node) is not None and b"\\" not in raw
        if plain and self._node.encode() not in raw and _CONTROL not in raw:
            return None
        try:
            record = decoder.decode(raw)
        except InvalidRecord:
            return None
        others = isinstance(record, Row | Member) and record.node != self._node
        return None if others else record

    def _assessor(self, settings: KeptSettings, state: PartitionState) -> Assessor:
        given = self._recorded(foresight_of(self._models.predictor(settings.model)))
        return Assessor(TELEMETRY, self._partition, given, settings.incidents, state, self._fetch)

    def _fetch(self, digest: str) -> Foresight:
        try:
            return self._recorded(foresight_of(self._models.predictor(digest)))
        except WrongUse as wrong:
            raise Refused(str(wrong)) from wrong

    def _recorded(self, foresight: Foresight) -> Foresight:
        """A model that remembers what it was asked about; of active and shadow the active one is asked first."""

        def probability(features: Floats) -> NDArray[np.float64]:
            if self._used is None and len(features):
                self._used = features[-1].copy()
            return foresight.probability(features)

        return replace(foresight, probability=probability)

    def _take(self, assessor: Assessor, seen: Seen, offset: int, record: Telemetry) -> None:
        node = assessor.state.nodes.get(self._node)
        newest = isinstance(record, Row) and (node is None or record.ts > node.last_ts)
        if newest and node is not None:
            self._watch.begin(node.cohort, node.row)
        self._used = self._used if not isinstance(record, Row) else None
        concluded = assessor.apply([(offset, record)])
        node = assessor.state.nodes.get(self._node)
        if newest and node is not None and isinstance(record, Row):
            self._watch.note(node.cohort, node.row, record.ts)
        for _, conclusion in concluded:
            self._note(seen, offset, conclusion)

    def _note(self, seen: Seen, offset: int, conclusion: Conclusion) -> None:
        if isinstance(conclusion, Incident):
            seen.incidents[conclusion.id] = conclusion
        elif isinstance(conclusion, Assessment) and conclusion.node == self._node:
            seen.assessments[offset] = conclusion
            calm = conclusion.verdict == "healthy" and conclusion.incident is None
            low = (conclusion.probability or 0.0) < seen.settings.incidents.theta / 2
            if calm and low and self._used is not None and offset < seen.offset:
                self._healthy.append(self._used)

    def _look(self, assessor: Assessor) -> Shown | None:
        """What the node shows now."""
        node = assessor.state.nodes.get(self._node)
        if node is None or self._used is None:
            return None
        return Shown(
            predictor=self._models.predictor(assessor.models.active.digest),
            features=self._used,
            healthy=np.array(self._healthy, np.float32).reshape(-1, len(self._used)),
            sources=feature_sources(node.cohort, node.row),
            metrics=tuple(_metrics(node.cohort, node.row, node.source)),
            transitions=tuple(self._watch.most_improbable(node.cohort, node.row, TRANSITIONS)),
        )


def _metrics(cohort: Cohort, row: int, source: Schema | None) -> Iterator[Metric]:
    units = {} if source is None else dict(zip(source.metrics, source.units, strict=False))
    state = cohort.state
    window = state["window"][row, :, -EXTREME_FRAMES:].astype(np.float64)
    anchor, unit = state["anchor"][row], state["unit"][row]
    centre, scale = state["centre"][row].astype(np.float64), state["scale"][row].astype(np.float64)
    away = (window - centre[:, None]) / scale[:, None]
    for column, name in enumerate(cohort.metrics):
        farthest = int(np.abs(np.nan_to_num(away[column])).argmax())
        shown = np.array([window[column, -1], centre[column], window[column, farthest]])
        value, usual, extreme = (anchor[column] + unit[column] * shown).tolist()
        told = units.get(name, "")
        counted = f"{told}/s" if told else "1/s"
        yield Metric(
            name, counted if cohort.counters[column] else told, value, usual, extreme, float(away[column, farthest])
        )
