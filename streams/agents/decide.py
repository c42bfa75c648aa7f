"""Decide: the decision log → checkpoint, migration and restore commands, job by job.

The checkpoint scheduler and the recovery orchestrator are two pure parts of one fold: both read the same record before
the next one is taken, and their commands share one sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connectors.codecs.records import decode_event, encode_record
from connectors.errors import InvalidRecord
from connectors.kafka import topics
from models.decision_state import DecisionState, from_bytes, to_bytes
from models.decisions import decide, initial_state
from models.policy_settings import PolicySettings
from models.records import Cause, Event
from streams.agents.assess import place_of
from streams.batch import Batch, Partition
from streams.dead_letter import dead_letter
from streams.fold import Fold, Heard, Ordered, Output, Place, Sealer, Stage

#: Told each event that is folded.
Observed = Callable[[Event], None]


class DecideFold:
    """The decisions of one partition of the decision log."""

    def __init__(self, partition: int, state: DecisionState, observed: Observed | None = None) -> None:
        self._partition = partition
        self._state = state
        self._observed = observed
        self.told_at: list[float] = []

    @property
    def state(self) -> DecisionState:
        """What it remembers, to be looked at."""
        return self._state

    @property
    def loading(self) -> bool:
        """Whether a past is being loaded; then nothing is commanded."""
        return self._state.loading

    def snapshot(self) -> bytes:
        """The state as bytes."""
        return to_bytes(self._state)

    def apply(self, batch: Batch) -> Sequence[Output]:
        """Fold each event; its commands stand at its offset."""
        outputs: list[Output] = []
        self.told_at = []
        for (offset, raw), key in zip(batch.records(), batch.keys, strict=True):
            outputs += self._event(batch.source, offset, key, raw)
        return outputs

    def _event(self, source: Partition, offset: int, key: bytes, raw: bytes) -> list[Output]:
        try:
            event = decode_event(raw)
        except InvalidRecord as wrong:
            return [dead_letter(source, offset, key, raw, str(wrong))]
        self._state, commands = decide(self._state, event, Cause(self._partition, offset))
        self.told_at += [command.issued_at for command in commands]
        if self._observed is not None:
            self._observed(event)
        return [
            Ordered(Place(offset, command.cause.index), command.job.encode(), encode_record(command))
            for command in commands
        ]


def decide_stage(
    settings: PolicySettings,
    seal: Sealer | None = None,
    heard: Heard | None = None,
    observed: Observed | None = None,
) -> Stage:
    """The stage from the decision log to commands, which ``seal`` signs."""

    def restore(partition: int, state: bytes | None) -> Fold:
        known = initial_state(settings) if state is None else from_bytes(state, settings)
        return DecideFold(partition, known, observed)

    return Stage(topics.EVENT, topics.COMMAND, restore, place_of, seal, _told_at, heard)


def _told_at(fold: DecideFold) -> Sequence[float]:
    return fold.told_at
