"""A bounded queue of records on disk, for while the broker is away.

Records are appended to numbered segment files, read from the oldest on, and forgotten once the broker has them. When
the bound is reached the oldest segment is dropped and what was in it is counted: fresh telemetry is worth more than
old. Each append is one write to the operating system and none is synced, so records survive the process but, in part,
not a loss of power. A record that was cut short by a kill is found by its checksum and left out.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from connectors.errors import WrongUse
from connectors.ports import Outbound

FULL: Final = "spool-full"
DISK: Final = "spool-disk-error"
TORN: Final = "spool-torn"
#: The bound is kept by whole segments, so this is also the share of it that one overflow drops.
SEGMENTS: Final = 16
_FIRST: Final = 10**9
_HEAD: Final = 8  # length and CRC-32, each four bytes, little-endian
_SUFFIX: Final = ".spool"
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(tuple[str, bytes, bytes, int | None, bool])


@dataclass(slots=True)
class _Segment:
    """One file: how many records and frames are still to be read, and from which byte."""

    number: int
    path: Path
    size: int = 0
    start: int = 0
    records: int = 0
    frames: int = 0


class Spool:
    """Records on disk, first in first out.

    Parameters
    ----------
    directory : where the segments lie; made when missing, used by one process at a time
    bytes_max : bound on what lies there, at least 64 KiB

    Raises
    ------
    WrongUse
        Another process uses the directory, or it cannot be written.
    """

    def __init__(self, directory: Path, bytes_max: int) -> None:
        self.bytes_max = max(bytes_max, 1 << 16)
        self.dropped: Counter[str] = Counter()
        self._directory = directory
        self._taken: list[tuple[int, bool]] = []
        self._writer: BinaryIO | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = (directory / "lock").open("ab")
        except OSError as fault:
            raise WrongUse(f"the spool {directory} cannot be written: {fault.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise WrongUse(f"the spool {directory} is in use by another producer") from None
        self._segments = [self._found(path) for path in sorted(directory.glob(f"*{_SUFFIX}"))]
        self._forget_read()

    def __len__(self) -> int:
        return sum(segment.records for segment in self._segments)

    @property
    def untaken(self) -> int:
        """Records that wait here and were not taken."""
        return len(self) - len(self._taken)

    @property
    def frames(self) -> int:
        """Frames that wait here."""
        return sum(segment.frames for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(segment.size for segment in self._segments)

    def append(self, record: Outbound) -> None:
        """Keep a record behind all others; what has to go for it, or it itself, is counted in ``dropped``."""
        data = _pack(record)
        if not self._make_room(len(data)):
            self.dropped[FULL] += record.is_frame
            return
        try:
            segment = self._tail()
            self._write(segment, data)
        except OSError:
            self._end_writing()
            self.dropped[DISK] += record.is_frame
            return
        segment.records += 1
        segment.frames += record.is_frame

    def prepend(self, records: Iterable[Outbound]) -> None:
        """Keep records before all others, as many of the last of them as there is room for."""
        packed = [(_pack(record), record.is_frame) for record in records]
        room, first = self.bytes_max - self.size, len(packed)
        while first and len(packed[first - 1][0]) <= room:
            first -= 1
            room -= len(packed[first][0])
        self.dropped[FULL] += sum(is_frame for _, is_frame in packed[:first])
        kept = packed[first:]
        if not kept:
            return
        number = (self._segments[0].number if self._segments else _FIRST) - 1
        segment = _Segment(number, self._path(number), records=len(kept), frames=sum(f for _, f in kept))
        try:
            segment.size = segment.path.write_bytes(b"".join(data for data, _ in kept))
        except OSError:
            segment.path.unlink(missing_ok=True)
            self.dropped[DISK] += segment.frames
            return
        self._segments.insert(0, segment)

    def take(self, limit: int) -> list[Outbound]:
        """Up to ``limit`` of the oldest records; they stay until :meth:`forget`, and nothing is taken meanwhile."""
        if self._taken or not self._segments:
            return []
        head, records = self._segments[0], []
        for record, size in self._read(head.path, head.start):
            records.append(record)
            self._taken.append((size, record.is_frame))
            if len(records) == limit:
                break
        return records

    def forget(self) -> None:
        """The records last taken are with the broker."""
        if not self._taken:
            return
        head = self._segments[0]
        head.start += sum(size for size, _ in self._taken)
        head.records -= len(self._taken)
        head.frames -= sum(is_frame for _, is_frame in self._taken)
        self._taken.clear()
        self._forget_read()
        if self._segments and self._segments[0] is head:
            self._note_start(head)

    def drop_all(self) -> int:
        """Throw away what waits here; returns the number of frames, which the caller counts."""
        frames = self.frames
        self._taken.clear()
        self._end_writing()
        for segment in list(self._segments):
            self._remove(segment)
        return frames

    def close(self) -> None:
        """Let go of the directory; what waits there waits for the next to open it."""
        self._end_writing()
        self._lock.close()

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:012d}{_SUFFIX}"

    def _tail(self) -> _Segment:
        """The segment to write to: a new one where the last is full, or was read to its end and removed."""
        if self._segments and self._writer is not None and self._segments[-1].size < self.bytes_max // SEGMENTS:
            return self._segments[-1]
        self._end_writing()
        number = self._segments[-1].number + 1 if self._segments else _FIRST
        segment = _Segment(number, self._path(number))
        self._writer = segment.path.open("xb", buffering=0)
        self._segments.append(segment)
        return segment

    def _write(self, segment: _Segment, data: bytes) -> None:
        writer = self._writer
        if writer is None or writer.write(data) != len(data):
            raise OSError("short write")
        segment.size += len(data)

    def _end_writing(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _make_room(self, size: int) -> bool:
        """Drop oldest segments until ``size`` more bytes fit; never the one that is being read or written."""
        if size > self.bytes_max:
            return False
        while self.size + size > self.bytes_max:
            droppable = self._segments[1 if self._taken else 0 :]
            if not droppable:
                return False
            self._drop(droppable[0])
        return True

    def _drop(self, segment: _Segment) -> None:
        if segment is self._segments[-1]:
            self._end_writing()
        self.dropped[FULL] += segment.frames
        self._remove(segment)

    def _forget_read(self) -> None:
        for segment in [segment for segment in self._segments if not segment.records]:
            if segment is self._segments[-1]:
                self._end_writing()
            self._remove(segment)

    def _remove(self, segment: _Segment) -> None:
        self._segments.remove(segment)
        segment.path.unlink(missing_ok=True)
        segment.path.with_suffix(".start").unlink(missing_ok=True)

    def _note_start(self, segment: _Segment) -> None:
        """Keep the place up to which a segment was delivered, so that a restart does not send it twice."""
        place = segment.path.with_suffix(".start")
        fresh = segment.path.with_suffix(".fresh")
        with suppress(OSError):
            fresh.write_text(str(segment.start))
            fresh.replace(place)

    def _found(self, path: Path) -> _Segment:
        """A segment of an earlier run, counted from where its delivery had come to."""
        segment = _Segment(int(path.stem), path, path.stat().st_size)
        try:
            segment.start = int(path.with_suffix(".start").read_text())
        except (OSError, ValueError):
            segment.start = 0
        end = segment.start
        for record, size in self._read(path, segment.start):
            end += size
            segment.records += 1
            segment.frames += record.is_frame
        if end < segment.size:
            self.dropped[TORN] += 1
            os.truncate(path, end)
            segment.size = end
        return segment

    @staticmethod
    def _read(path: Path, start: int) -> Iterator[tuple[Outbound, int]]:
        """Whole records of a file from byte ``start``, each with the bytes that it takes."""
        with path.open("rb") as file:
            file.seek(start)
            while len(head := file.read(_HEAD)) == _HEAD:
                length, check = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
                body = file.read(length)
                if len(body) < length or zlib.crc32(body) != check:
                    return
                topic, key, value, partition, is_frame = _decoder.decode(body)
                yield Outbound(topic, key, value, partition, is_frame), _HEAD + length


def _pack(record: Outbound) -> bytes:
    body = _encoder.encode((record.topic, record.key, record.value, record.partition, record.is_frame))
    return len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body
