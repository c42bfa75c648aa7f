"""A command log as a file of JSON lines: each record as it is on the topic, partition by partition, then a last line.

The last line says what must be there: how many records each partition has, the link its first command names and that of
its last. So a file that was cut at its end is found out. That line is not signed: who can rewrite all of it can write
another last line, and only the links that were noted elsewhere at the time of the export tell the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from connectors.errors import WrongUse
from connectors.lasting_files import write_atomically
from connectors.signing.chain import Fault, PartitionAudit, Record, audit, claims_of
from connectors.signing.keyring import Keys

EXPORT_MODE = 0o644


class Extent(msgspec.Struct, frozen=True):
    """What a partition of the export holds; ``offset`` is that of its first record on the topic."""

    partition: int
    offset: int
    records: int
    after: str
    tip: str


class LastLine(msgspec.Struct, frozen=True, tag_field="kind", tag="export"):
    """The last line; ``run`` is the run of the embedded broker that the log was read from."""

    v: Literal[1]
    run: str | None
    partitions: list[Extent]


@dataclass(frozen=True, slots=True)
class Export:
    """A file that was read: its records by partition, lines that are no commands, and its last line if it has one."""

    records: Mapping[int, Sequence[Record]]
    strange: Sequence[Fault]
    last: LastLine | None


def write_export(path: Path, records: Mapping[int, Sequence[Record]], run: str | None) -> LastLine:
    """Write the records of each partition (numbered by offset) and the last line; returns that.

    Raises
    ------
    WrongUse
        The file is there already, or cannot be written.
    """
    if path.exists():
        raise WrongUse(f"{path} is there already: name a new file, so that no earlier export is lost")
    extents = [_extent(partition, found) for partition, found in sorted(records.items())]
    last = LastLine(1, run, extents)
    lines = [record.raw for _, found in sorted(records.items()) for record in found]
    try:
        write_atomically(path, b"\n".join([*lines, msgspec.json.encode(last)]) + b"\n", EXPORT_MODE)
    except OSError as fault:
        raise WrongUse(f"{path} cannot be written: {fault.strerror}") from fault
    return last


def _extent(partition: int, found: Sequence[Record]) -> Extent:
    seen = audit(partition, found, None, None)
    return Extent(partition, found[0].number if found else 0, len(found), seen.after, seen.tip)


def read_export(path: Path) -> Export:
    """Read an export, or any file of commands as JSON lines; raises :class:`WrongUse` when it cannot be read."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as fault:
        raise WrongUse(f"{path} cannot be read: {fault.strerror}") from fault
    records: dict[int, list[Record]] = {}
    strange: list[Fault] = []
    last = None
    for number, line in enumerate(lines, 1):
        claims = claims_of(line)
        if claims is not None:
            records.setdefault(claims.cause.partition, []).append(Record(number, line))
        elif number < len(lines) or (last := _last_line(line)) is None:
            strange.append(Fault(None, number, "unreadable"))
    return Export(records, strange, last)


def _last_line(line: bytes) -> LastLine | None:
    try:
        return msgspec.json.decode(line, type=LastLine)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def audit_export(export: Export, keys: Keys | None) -> list[PartitionAudit]:
    """Judge each partition of an export, and whether all is there that its last line names."""
    extents = {} if export.last is None else {extent.partition: extent for extent in export.last.partitions}
    found = []
    for partition in sorted(export.records.keys() | extents.keys()):
        extent = extents.get(partition)
        one = audit(partition, export.records.get(partition, ()), keys, *([] if extent is None else [extent.after]))
        if export.last is not None:
            one.faults += _differences(one, extent)
        found.append(one)
    return found


def _differences(found: PartitionAudit, extent: Extent | None) -> list[Fault]:
    if extent is None:
        return [Fault(found.partition, None, "cut-short", detail="the last line does not name this partition")]
    if found.records != extent.records:
        detail = f"{found.records} records, and the last line names {extent.records}"
        return [Fault(found.partition, None, "cut-short", detail=detail)]
    if found.tip != extent.tip and not found.faults:
        return [Fault(found.partition, None, "cut-short", detail="the last command is not the one that was last")]
    return []
