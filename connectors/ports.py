"""What forestall asks of the outside: where telemetry comes from, and how a record gets to the broker.

A :class:`Source` gives moments, each with the time at which it is due. A :class:`Link` carries records and says, later,
what came of each. Neither keeps what cannot be sent: that is the producer's and its spool's part
(``connectors/kafka/telemetry_producer.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.records import Frame
from models.telemetry import Schema

#: What a link says of a record: the broker has it, or it may be tried again; anything else is the reason of a refusal.
SENT: Final = "sent"
AGAIN: Final = "again"


@dataclass(frozen=True, slots=True)
class RowFrame:
    """A frame whose metrics stand in a row, float32 in the order of ``schema``; a missing value is NaN."""

    node: str
    ts: float
    seq: int
    schema: Schema
    row: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Moment:
    """All frames of one instant.

    ``ts`` is the source time in Unix seconds, ``due_s`` the seconds after the live part's start at which the moment is
    due (0 in history: as fast as it can be sent). ``take`` is called once, when it is due: a machine is sampled then.
    """

    ts: float
    due_s: float
    take: Callable[[], Sequence[Frame | RowFrame]]


class Source(Protocol):
    """Telemetry of some nodes: a past, then a present that follows it without gap or overlap.

    ``history`` is called first and read to its end, then ``live``, whose ``due_s`` count from ``start`` (the wall clock
    in Unix seconds, known before history is read). Source times never go back over both.
    """

    #: Schemas of every :class:`RowFrame` that will come; they are published before the first of them.
    schemas: Sequence[Schema]
    #: Whether source time is not the wall clock, so that the sender must put the ticks in the live part, too.
    brings_ticks: bool
    #: Whether the live part goes on by the wall clock, behind the past, while somebody waits to begin.
    flows_while_waiting: bool
    #: Whether it can be had again; what could not be sent of it is then not kept for the next run.
    repeatable: bool

    def history(self) -> Iterator[Moment]:
        """The past, in order of time; empty where there is none."""

    def live(self, start: float) -> Iterator[Moment]:
        """What comes after the past, in order of time."""

    def release(self) -> None:
        """The wait is over: what the live part has in store (a scripted fault) begins to count from here."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """One record on its way: a frame, or (``is_frame`` False) a tick or schema. Without ``partition`` its key decides.

    ``history`` marks what belongs to a past that is being loaded.
    """

    topic: str
    key: bytes
    value: bytes
    partition: int | None = None
    is_frame: bool = False
    history: bool = False


class Link(Protocol):
    """A way to the broker that keeps the order of what is sent to a partition and never blocks on the network."""

    def send(self, token: int, record: Outbound) -> None:
        """Take a record over; what came of it is told under ``token``."""

    def settled(self, wait_s: float) -> list[tuple[int, str]]:
        """What came of records since the last call: (token, SENT | AGAIN | reason); waits up to ``wait_s`` for one."""

    def close(self, wait_s: float) -> None:
        """Stop within about ``wait_s``; a record that is not settled afterwards was perhaps not delivered."""
