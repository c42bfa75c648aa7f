"""What waits for InfluxDB, on disk, together with how far the topics were read for it.

An entry is written and synced in one step: lines, and the offsets to read on from after them. So whatever kills the
process, the topics are read on from exactly what the outbox holds. Entries lie in numbered segments; those whose lines
the database has are removed, the newest segment never, for it tells the offsets. When the bound is reached nothing is
dropped: :attr:`Outbox.full` says so, and who fills it waits, since the topics keep what is new.

An entry that was cut short by a kill is found by its checksum and left out: it was never told to be safe.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from connectors.errors import WrongUse
from connectors.lasting_files import sync_folder

SEGMENTS: Final = 16
_SUFFIX: Final = ".outbox"
_DELIVERED: Final = "delivered"
_HEAD: Final = 8  # length and CRC-32, each four bytes, little-endian
Positions = dict[tuple[str, int], int]
_Wire = tuple[list[tuple[str, int, int, int]], list[str]]
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Wire)


@dataclass(slots=True)
class _Segment:
    """One file: its bytes, how many of them are delivered, and the lines that are not."""

    number: int
    path: Path
    size: int = 0
    delivered: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """Lines, and where to read on from after them: (topic, partition) → first offset that began, next offset."""

    begin: Mapping[tuple[str, int], int]
    next: Mapping[tuple[str, int], int]
    lines: tuple[str, ...]


class Outbox:
    """Lines on disk, first in first out, and the offsets behind them.

    Parameters
    ----------
    directory : made when missing, for its owner alone; used by one process at a time
    bytes_max : bound on what waits there, at least 64 KiB; an entry that begins below it is taken whole

    Raises
    ------
    WrongUse
        Another process uses the directory, or it cannot be written.
    """

    def __init__(self, directory: Path, bytes_max: int) -> None:
        self.bytes_max = max(bytes_max, 1 << 16)
        self.begin: Positions = {}
        self.next: Positions = {}
        self.torn = 0
        self._directory = directory
        self._taken: list[tuple[_Segment, int, int]] = []
        self._writer: BinaryIO | None = None
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (directory / "lock").open("ab")
        except OSError as fault:
            raise WrongUse(f"the outbox {directory} cannot be written: {fault.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise WrongUse(f"the outbox {directory} is in use by another sink") from None
        found = [self._found(path) for path in sorted(directory.glob(f"*{_SUFFIX}"))]
        self._segments = [segment for segment in found if segment.size]
        self._forget_delivered()

    def __len__(self) -> int:
        """Lines that wait."""
        return sum(segment.waiting for segment in self._segments)

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return sum(segment.size - segment.delivered for segment in self._segments)

    @property
    def full(self) -> bool:
        """Whether nothing more should be put here for now."""
        return sum(segment.size for segment in self._segments) >= self.bytes_max

    def append(self, entry: Entry) -> None:
        """Keep an entry behind all others; it is on the disk when this returns.

        Raises
        ------
        OSError
            It could not be written; nothing of it is kept, and it may be tried again.
        """
        data = _pack(entry)
        segment = self._tail()
        try:
            self._write(data)
        except OSError:
            self._cut(segment)
            raise
        segment.size += len(data)
        segment.waiting += len(entry.lines)
        self.begin, self.next = dict(entry.begin), dict(entry.next)
        self._forget_delivered()

    def take(self, lines_max: int) -> list[str]:
        """The lines of the oldest entries, at least one entry and then no more than ``lines_max`` lines.

        They stay until :meth:`forget`; taken again before that, they are the same or more.
        """
        self._taken, found = [], list[str]()
        for segment in self._segments:
            for lines, end in self._waiting(segment):
                if found and len(found) + len(lines) > lines_max:
                    return found
                found += lines
                self._taken.append((segment, end, len(lines)))
        return found

    def forget(self) -> None:
        """InfluxDB, or the dead-letter topic, has the lines last taken."""
        for segment, end, lines in self._taken:
            segment.delivered = end
            segment.waiting -= lines
        if self._taken:
            self._note_delivered(self._taken[-1][0])
        self._taken = []
        self._forget_delivered()

    def close(self) -> None:
        """Let go of the directory; what waits there waits for the next to open it."""
        self._end_writing()
        self._lock.close()

    @staticmethod
    def _waiting(segment: _Segment) -> Iterator[tuple[list[str], int]]:
        """The entries of a segment that are not delivered, each with the byte after it."""
        if segment.delivered == segment.size:
            return
        with segment.path.open("rb") as file:
            file.seek(segment.delivered)
            while file.tell() < segment.size and (wire := _read(file)) is not None:
                yield wire[1], file.tell()

    def _tail(self) -> _Segment:
        if self._segments and self._writer is not None and self._segments[-1].size < self.bytes_max // SEGMENTS:
            return self._segments[-1]
        self._end_writing()
        number = self._segments[-1].number + 1 if self._segments else 1
        segment = _Segment(number, self._directory / f"{number:012d}{_SUFFIX}")
        writer = segment.path.open("xb", buffering=0)
        try:
            sync_folder(self._directory)
        except OSError:
            writer.close()
            segment.path.unlink(missing_ok=True)
            raise
        self._writer = writer
        self._segments.append(segment)
        return segment

    def _write(self, data: bytes) -> None:
        if self._writer is None or self._writer.write(data) != len(data):
            raise OSError("short write")
        os.fsync(self._writer.fileno())

    def _cut(self, segment: _Segment) -> None:
        """Take back what was written of an entry that did not get through; the next one begins a segment of its own."""
        self._end_writing()
        with suppress(OSError):
            os.truncate(segment.path, segment.size)
        if not segment.size:
            self._segments.remove(segment)
            segment.path.unlink(missing_ok=True)

    def _end_writing(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _forget_delivered(self) -> None:
        """Remove what is delivered, but for the newest segment: it tells how far the topics were read."""
        for segment in [one for one in self._segments[:-1] if one.delivered == one.size]:
            self._segments.remove(segment)
            segment.path.unlink(missing_ok=True)

    def _note_delivered(self, segment: _Segment) -> None:
        """Keep up to where lines were delivered; were it lost, they would be written once more, to the same end."""
        fresh = self._directory / f"{_DELIVERED}.new"
        with suppress(OSError):
            fresh.write_text(f"{segment.number} {segment.delivered}")
            fresh.replace(self._directory / _DELIVERED)

    def _found(self, path: Path) -> _Segment:
        """A segment of an earlier life, counted from where its delivery had come to."""
        segment, whole = _Segment(int(path.stem), path), path.stat().st_size
        number, place = self._noted()
        up_to = whole if segment.number < number else place if segment.number == number else 0
        with path.open("rb") as file:
            while (wire := _read(file)) is not None:
                positions, lines = wire
                segment.size = file.tell()
                if segment.size <= up_to:
                    segment.delivered = segment.size
                else:
                    segment.waiting += len(lines)
                self.begin = {(topic, partition): first for topic, partition, first, _ in positions}
                self.next = {(topic, partition): after for topic, partition, _, after in positions}
        if segment.size < whole:
            self.torn += 1
            os.truncate(path, segment.size)
        if not segment.size:
            path.unlink()
        return segment

    def _noted(self) -> tuple[int, int]:
        try:
            number, place = (self._directory / _DELIVERED).read_text().split()
            return int(number), int(place)
        except (OSError, ValueError):
            return 0, 0


def _pack(entry: Entry) -> bytes:
    positions = [(*place, entry.begin[place], after) for place, after in entry.next.items()]
    body = _encoder.encode((positions, entry.lines))
    return len(body).to_bytes(4, "little") + zlib.crc32(body).to_bytes(4, "little") + body


def _read(file: BinaryIO) -> _Wire | None:
    """The next entry of a file; None where no whole one follows."""
    head = file.read(_HEAD)
    length, check = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
    body = file.read(length)
    if len(head) < _HEAD or len(body) < length or zlib.crc32(body) != check:
        return None
    wire: _Wire = _decoder.decode(body)
    return wire
