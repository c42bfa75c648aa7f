"""The telemetry of a log assessed anew by another model, with the worker's own code: which incidents that makes."""

from __future__ import annotations

import math
import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.artefacts import artefact_content, artefact_path, read_artefact
from connectors.codecs.frames import FrameDecoder
from connectors.errors import WrongUse
from connectors.kafka.log import bounds, read_range, reader
from connectors.kafka.partitioning import partition_of
from connectors.kafka.schemas import SchemaTable
from connectors.kafka.topics import EVENT, TELEMETRY
from infra import clock
from infra.backtest.reading import ALONE_MAX
from infra.run_log import RunLog
from infra.wiring import foresight_of, require_fit
from models.assessment import Assessor
from models.incident import IncidentSettings
from models.limits import RANGE_FRAMES
from models.mlp import Predictor
from models.records import Incident
from models.telemetry import ModelChoice, Row

FRAMES_A_TURN: Final = 10_000


@dataclass(frozen=True, slots=True)
class Assessed:
    """What a telemetry partition came to: its incidents in order, and how many frames were assessed.

    ``since`` is the source time from which on the model judges as a worker would have: where the telemetry has lost its
    beginning, that of its first frame and the frames that a node has to be known for. −∞: it is all there.
    """

    incidents: list[Incident]
    frames: int
    since: float


def find_artefact(path: Path) -> bytes:
    """The bytes of a model's artefact: a file, the only one in a folder, or ``default`` or ``eq1``.

    Raises
    ------
    WrongUse
        There is none, or more than one, or it cannot be used.
    """
    if path.is_dir():
        there = sorted(path.glob("*.safetensors"))
        if len(there) != 1:
            names = ", ".join(one.name for one in there) or "none"
            raise WrongUse(f"--model {path}: one artefact is wanted in that folder; there are: {names}")
        path = there[0]
    content = artefact_content(artefact_path(path))
    _predictor(content, str(path))
    return content


def _predictor(content: bytes, name: str) -> Predictor:
    predictor, stated = read_artefact(content, name)
    if predictor.digest != stated:
        raise WrongUse(f"artefact {name}: its content is not what its digest says; take the original, or train it anew")
    require_fit(predictor)
    return predictor


def digest_of(content: bytes) -> str:
    """The digest of an artefact that was found."""
    return read_artefact(content, "the model")[0].digest


def assess_anew(log: RunLog, content: bytes, incidents: IncidentSettings) -> list[Assessed]:
    """Assess every telemetry partition by the model in ``content``; a choice of another on the log is passed over.

    Partitions know nothing of one another, so a long log is assessed by as many processes as there are cores.
    """
    partitions = log.partitions(TELEMETRY)
    records = sum(high - low for low, high in (log.bounds(TELEMETRY, number) for number in partitions))
    asked = [(log.bootstrap, number, content, incidents) for number in partitions]
    workers = min(len(asked), os.cpu_count() or 1)
    if workers == 1 or records <= ALONE_MAX:
        return [_assess(*one) for one in asked]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_assess, *zip(*asked, strict=True)))


def _assess(brokers: str, partition: int, content: bytes, incidents: IncidentSettings) -> Assessed:
    assessor = Assessor(TELEMETRY, partition, foresight_of(_predictor(content, "the model")), incidents)
    found: list[Incident] = []
    frames, first = 0, math.inf
    with reader(brokers) as consumer, reader(brokers) as schemas:
        decoder = FrameDecoder(SchemaTable(schemas, clock.monotonic))
        low, high = bounds(consumer, TELEMETRY, partition)
        for start in range(low, high, FRAMES_A_TURN):
            messages = read_range(consumer, TELEMETRY, partition, start, min(start + FRAMES_A_TURN, high))
            records = decoder.decode_batch([message.value() or b"" for message in messages])
            rows = [record.ts for record in records if isinstance(record, Row)]
            frames, first = frames + len(rows), min([first, *rows])
            taken = [
                (int(message.offset() or 0), record)
                for message, record in zip(messages, records, strict=True)
                if not isinstance(record, ModelChoice)
            ]
            found += [told for _, told in assessor.apply(taken) if isinstance(told, Incident)]
    return Assessed(found, frames, first + RANGE_FRAMES * _interval_s(assessor) if low else -math.inf)


def _interval_s(assessor: Assessor) -> float:
    """The longest sampling interval of any node (s)."""
    intervals = (node.cohort.interval_s(node.row) for node in assessor.state.nodes.values())
    return max((one for one in intervals if one == one), default=0.0)


def by_partition(log: RunLog, assessed: Iterable[Assessed]) -> tuple[dict[int, list[Incident]], float]:
    """The incidents by the partition of the decision log that each belongs on, and since when they are whole."""
    placed: dict[int, list[Incident]] = {}
    count = len(log.partitions(EVENT))
    since = -math.inf
    for one in assessed:
        since = max(since, one.since)
        for incident in one.incidents:
            placed.setdefault(partition_of((incident.job or incident.node).encode(), count), []).append(incident)
    return placed, since
