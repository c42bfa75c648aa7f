"""What cannot be read, on its way to the dead-letter topic: nothing is dropped without a word."""

from __future__ import annotations

from typing import Final

from connectors.kafka import topics
from connectors.kafka.publisher import Outgoing
from streams.batch import Partition

#: Well below Kafka's default bound on a record, so that the largest record that came in can be told of.
VALUE_BYTES_MAX: Final = 512 * 1024
KEY_BYTES_MAX: Final = 16 * 1024
REASON_CHARS_MAX: Final = 500


def dead_letter(source: Partition, offset: int, key: bytes, raw: bytes, reason: str) -> Outgoing:
    """A record's bytes with why it could not be read and where it stood.

    Of a giant only the beginning is kept, and a header ``bytes`` tells how many it had; the rest stands where it stood.
    """
    headers = [
        ("reason", reason[:REASON_CHARS_MAX].encode(errors="backslashreplace")),
        ("topic", source.topic.encode()),
        ("partition", str(source.number).encode()),
        ("offset", str(offset).encode()),
    ]
    if len(raw) > VALUE_BYTES_MAX:
        headers.append(("bytes", str(len(raw)).encode()))
    return Outgoing(topics.DEAD_LETTER, key[:KEY_BYTES_MAX], raw[:VALUE_BYTES_MAX], headers=tuple(headers))
