"""Snapshots of a partition's state on ``state.snapshot.v1``, in slices below the broker's message limit.

A snapshot's slices have the keys ``topic/partition/set/index``; two sets alternate, so that one whole snapshot is
always there while the next is written. A slice's value is a header (magic, format, how many slices, which, the next
input offset, CRC-32 of the whole state) and its part of the state. It is whole when all slices carry the same header.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, Message

from connectors.kafka.log import bounds, read_range

MAGIC: Final = b"FSNP"
FORMAT: Final = 1
SLICE_BYTES_MAX: Final = 4 * 1024 * 1024
_HEADER: Final = struct.Struct("<4sHIIqI")
_FIRST_LOOK: Final = 16


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a partition and the next input offset that it has not seen."""

    next_offset: int
    state: bytes


def slices(source: str, partition: int, snapshot: Snapshot, which: int) -> list[tuple[bytes, bytes]]:
    """Key and value of each slice; ``which`` (0 or 1) is the set to write."""
    state = snapshot.state
    parts = [state[at : at + SLICE_BYTES_MAX] for at in range(0, max(len(state), 1), SLICE_BYTES_MAX)]
    check = zlib.crc32(state)
    return [
        (
            f"{source}/{partition}/{which}/{index}".encode(),
            _HEADER.pack(MAGIC, FORMAT, len(parts), index, snapshot.next_offset, check) + part,
        )
        for index, part in enumerate(parts)
    ]


def newest(source: str, partition: int, records: Iterable[tuple[bytes, bytes]]) -> Snapshot | None:
    """The newest whole snapshot among (key, value) records, oldest first."""
    prefix = f"{source}/{partition}/".encode()
    parts: dict[tuple[bytes, int, int, int], dict[int, bytes]] = {}
    best: Snapshot | None = None
    for key, value in records:
        if not key.startswith(prefix) or len(value) < _HEADER.size:
            continue
        magic, version, count, index, next_offset, check = _HEADER.unpack_from(value)
        if (magic, version) != (MAGIC, FORMAT) or index >= count:
            continue
        which = key.removeprefix(prefix).split(b"/")[0]
        found = parts.setdefault((which, next_offset, count, check), {})
        found[index] = value[_HEADER.size :]
        if len(found) == count:
            state = b"".join(found[i] for i in range(count))
            if zlib.crc32(state) == check and (best is None or next_offset >= best.next_offset):
                best = Snapshot(next_offset, state)
    return best


def read_newest(consumer: Consumer, topic: str, source: str, partition: int) -> Snapshot | None:
    """The newest whole snapshot of a source partition, looking back from the end as far as it takes."""
    low, high = bounds(consumer, topic, partition)
    look = _FIRST_LOOK
    while True:
        start = max(low, high - look)
        found = newest(source, partition, map(_pair, read_range(consumer, topic, partition, start, high)))
        if found is not None or start == low:
            return found
        look *= 4


def _pair(message: Message) -> tuple[bytes, bytes]:
    return message.key() or b"", message.value() or b""
