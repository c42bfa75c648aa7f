"""Assess: telemetry → windows → features → deviation → fault probability → assessments and incidents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from connectors.codecs.frames import FrameDecoder
from connectors.codecs.records import encode_record
from connectors.errors import Failed
from connectors.kafka import topics
from connectors.kafka.publisher import Outgoing
from models.assessment import Assessor, Conclusion
from models.assessment_state import state_from_bytes, state_to_bytes
from models.foresight import Fetch, Foresight, Refused, nowhere
from models.incident import IncidentSettings
from models.records import Assessment, Incident
from models.telemetry import Schema, Unreadable
from streams.batch import Batch
from streams.dead_letter import dead_letter
from streams.fold import Fold, Heard, Ordered, Output, Place, Stage

COUNTS_KEY: Final = b"counts"


class _Caused(msgspec.Struct):
    class Cause(msgspec.Struct):
        offset: int
        index: int

    cause: Cause


_caused = msgspec.json.Decoder(_Caused)


def place_of(value: bytes) -> Place | None:
    """Where an assessment, a count or a command stands in its stage's sequence."""
    try:
        cause = _caused.decode(value).cause
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Place(cause.offset, cause.index)


class AssessFold:
    """The assessor of one telemetry partition with its codecs."""

    def __init__(self, assessor: Assessor, decoder: FrameDecoder) -> None:
        self._assessor = assessor
        self._decoder = decoder
        self.told_at: list[float] = []

    @property
    def assessor(self) -> Assessor:
        """What it folds with, to be looked at."""
        return self._assessor

    @property
    def loading(self) -> bool:
        """Whether the fleet's past is being loaded."""
        return self._assessor.state.history

    def snapshot(self) -> bytes:
        """The state as bytes."""
        return state_to_bytes(self._assessor.state)

    def apply(self, batch: Batch) -> Sequence[Output]:
        """Decode, assess, encode."""
        records = enumerate(self._decoder.decode_batch(batch.values), batch.first)
        concluded = self._assessor.apply(records)
        self.told_at = [
            one.ts
            for _, one in concluded
            if type(one) is Assessment and not one.history and one.verdict != "unknown"  # of a frame that has just come
        ]
        return [self._encode(offset, conclusion, batch) for offset, conclusion in concluded]

    def _encode(self, offset: int, conclusion: Conclusion, batch: Batch) -> Output:
        if isinstance(conclusion, Incident):
            job = conclusion.job or conclusion.node
            return Outgoing(topics.EVENT, job.encode(), encode_record(conclusion))
        at = offset - batch.first
        if isinstance(conclusion, Unreadable):
            return dead_letter(batch.source, offset, batch.keys[at], batch.values[at], conclusion.detail)
        place = Place(offset, conclusion.cause.index)
        key = conclusion.node.encode() if isinstance(conclusion, Assessment) else COUNTS_KEY
        return Ordered(place, key, encode_record(conclusion))


def assess_stage(
    schemas: Mapping[str, Schema],
    foresight: Foresight,
    incidents: IncidentSettings,
    fetch: Fetch = nowhere,
    heard: Heard | None = None,
) -> Stage:
    """The stage from telemetry to assessments; ``fetch`` looks up the models that a partition is told of."""

    def restore(partition: int, state: bytes | None) -> Fold:
        known = None if state is None else state_from_bytes(state)
        try:
            assessor = Assessor(topics.TELEMETRY, partition, foresight, incidents, known, fetch)
        except Refused as wrong:
            raise Failed(
                f"the model that {topics.TELEMETRY}/{partition} uses is not to be had: {wrong}; put it there again: "
                "forestall model activate FILE"
            ) from wrong
        return AssessFold(assessor, FrameDecoder(schemas))

    return Stage(topics.TELEMETRY, topics.ASSESSMENT, restore, place_of, told_at=_told_at, heard=heard)


def _told_at(fold: AssessFold) -> Sequence[float]:
    return fold.told_at
