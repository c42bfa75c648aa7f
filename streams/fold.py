"""What a stage is made of: a fold over one partition, and where its outputs go.

The fold's state is a function of the partition's records in order, and each output follows from it. An *ordered* output
goes to the partition of the same number on the stage's output topic, where it stands in the one true sequence of
(input offset, index): what that partition already holds is never written again. A *repeatable* output goes elsewhere,
carries a deterministic identity, and may be written again after a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from connectors.kafka.publisher import Outgoing
from streams.batch import Batch


class Place(NamedTuple):
    """Where an output stands: the input offset that caused it, and which of the outputs of that record it is."""

    offset: int
    nth: int


@dataclass(frozen=True, slots=True)
class Ordered:
    """An output of the stage's own sequence."""

    place: Place
    key: bytes
    value: bytes


Output = Ordered | Outgoing
#: Told what a lane writes: its ordered outputs, then its repeatable ones.
Heard = Callable[[Sequence[Ordered], Sequence[Outgoing]], None]


class Fold(Protocol):
    """State over one partition."""

    def apply(self, batch: Batch) -> Sequence[Output]:
        """Take a batch that follows what was taken before; returns its outputs in order."""
        ...

    def snapshot(self) -> bytes:
        """The state, from which the stage's ``restore`` makes an equal fold."""
        ...

    @property
    def loading(self) -> bool:
        """Whether a past is being loaded: then source time is told by who loads it."""
        ...


class Sealer(Protocol):
    """Signs the ordered outputs of a stage and chains them, one to the next of their partition."""

    def seal(self, previous: bytes | None, value: bytes) -> bytes:
        """Seal a fresh output; ``previous`` is the one before it as it stands on the output, None for the first."""
        ...

    def holds(self, value: bytes) -> bool:
        """Whether a record of the output was sealed by us, whatever became of the key since."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """One fold for each partition of ``source``; its ordered outputs go to ``output``.

    ``restore`` makes the fold of a partition from a snapshot's bytes, or afresh from None. ``place_of`` reads from an
    output's value where it stands, or None for a record that is not the stage's. ``seal`` signs the ordered outputs as
    they are written; the fold knows nothing of it. ``told_at`` gives the source times (Unix s) of what the fold's last
    batch put out live, for the delays; ``heard`` is told what is written, before it is sealed.
    """

    source: str
    output: str
    restore: Callable[[int, bytes | None], Fold]
    place_of: Callable[[bytes], Place | None]
    seal: Sealer | None = None
    told_at: Callable[[Any], Sequence[float]] | None = None
    heard: Heard | None = None
