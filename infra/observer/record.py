"""One record of a topic as the observer reads it."""

from __future__ import annotations

from dataclasses import dataclass

from confluent_kafka import Message

from connectors.kafka.topics import DEAD_LETTER


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

    @classmethod
    def of(cls, message: Message) -> LogRecord:
        """The record that a consumer was given; of headers, which cost, only those of a dead letter."""
        key, topic = message.key(), str(message.topic())
        return cls(
            topic=topic,
            partition=int(message.partition() or 0),
            offset=int(message.offset() or 0),
            key=key.encode() if isinstance(key, str) else key,
            value=bytes(message.value() or b""),
            appended=message.timestamp()[1] / 1000.0,
            headers=_headers(message) if topic == DEAD_LETTER else (),
        )


def _headers(message: Message) -> tuple[tuple[str, bytes], ...]:
    return tuple((str(name), bytes(value or b"")) for name, value in message.headers() or ())
