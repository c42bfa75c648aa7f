"""One record of a topic as the observer reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogRecord:
    """Where a record lies, what it holds, and when the broker appended it (Unix seconds)."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    appended: float
    headers: tuple[tuple[str, bytes], ...] = ()
