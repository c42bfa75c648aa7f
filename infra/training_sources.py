"""What ``forestall train`` learns from, beside the simulated fleet: a folder of recordings, or what is on the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from connectors.errors import Failed, WrongUse
from infra import clock

if TYPE_CHECKING:
    from connectors.history_recording import HistoryRecording
    from models.training.recording import Part, Recording

#: Of a history, where none is asked for: long enough for the leads that operators report, at one sample in 5 to 30 s.
HORIZON_STEPS: Final = 180
#: A horizon of fewer intervals leaves no time for an alarm to open and a checkpoint to be written.
HORIZON_STEPS_MIN: Final = 6

#: Is told what is being read, how much of it, and of how much (None: not known yet).
Told = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Material:
    """What to learn from: a recording, its parts, the horizon in steps, which rows to take, and what to say of it."""

    recording: Recording
    parts: tuple[Part, ...]
    horizon: int
    gap: int
    every: dict[str, int]
    data: str


def folder_material(folder: Path, horizon_s: float | None, told: Told) -> Material:
    """A folder with its fault log; raises ``WrongUse`` for a malformed one, ``Failed`` where it holds too little."""
    from connectors.sources.history_folder import FAULTS, read_history

    recording = read_history(folder, lambda frames: told(f"read {folder.name}", frames, None))
    return _material(recording, horizon_s, f"the folder {folder.name} with {FAULTS}: {_words(recording)}")


def kafka_material(brokers: str, horizon_s: float | None, told: Told) -> Material:
    """What the log holds now, labels from the fates of nodes; raises ``Failed`` where it holds too little."""
    from connectors.kafka.history import read_history
    from connectors.kafka.log import reader
    from connectors.kafka.schemas import SchemaTable

    with reader(brokers) as consumer:
        schemas = SchemaTable(consumer, clock.monotonic)
        found = read_history(brokers, schemas, lambda done, whole: told("read the log", done, whole))
    words = f"the log at offsets {', '.join(found.places)}: {_words(found.recording)}; {found.fates} fates told"
    return _material(found.recording, horizon_s, words)


def _words(recording: HistoryRecording) -> str:
    return (
        f"{recording.frames:,} frames of {len(recording.nodes)} nodes every {recording.interval_s:g} s, "
        f"{len(recording.metrics)} metrics, {len(recording.failures())} failures"
    )


def _horizon(recording: HistoryRecording, horizon_s: float | None) -> int:
    if horizon_s is None:
        return HORIZON_STEPS
    steps = round(horizon_s / recording.interval_s)
    if steps < HORIZON_STEPS_MIN:
        raise WrongUse(
            f"--horizon {horizon_s:g}s: the nodes are sampled every {recording.interval_s:g} s; "
            f"{HORIZON_STEPS_MIN} intervals are the least"
        )
    return steps


def _material(recording: HistoryRecording, horizon_s: float | None, data: str) -> Material:
    from models.training.history_split import TooLittle, history_split, require_failures

    horizon = _horizon(recording, horizon_s)
    gap = horizon  # a label looks so far ahead; a window never looks out of its part, which begins with cold nodes
    failures = recording.failures()
    try:
        parts = history_split([row for row, _ in failures], len(recording.nodes), recording.steps, gap)
        require_failures(parts, failures)
    except TooLittle as wrong:
        raise Failed(f"too little to learn from: {wrong}") from wrong
    return Material(recording, parts, horizon, gap, {}, data)
