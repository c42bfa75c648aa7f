"""The durable memory of a cluster agent: which commands it has seen, where each stands, what is still to be published.

One append-only file of JSON lines, written and fsynced before the effect that a line announces:

- ``{"event": {…}, "command": {…}}``: a stage was entered (``command`` with the first stage only), or a fate was seen;
  ``"accepted_at"`` where the file was rewritten;
- ``{"sent": "id"}``: the broker has acknowledged the event of this id;
- ``{"readmitted": 1763942400.0}``: the node's owner has given the node back at this time.

What is still to be published is bounded by who writes: at ``PENDING_MAX`` no command is taken up any more, so that only
what was begun can add to it.

A last line that was cut off by a crash is dropped: what it announced has not begun. A damaged line anywhere else is a
fault that is told, since commands might run twice without it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from connectors.codecs.records import decode_command, decode_event, encode_command, encode_event
from connectors.errors import Failed, InvalidRecord
from connectors.lasting_files import sync_folder
from models.command_protocol import Kept, Readmission, Record
from models.records import NodeFate, Outcome

#: The file is rewritten with what still counts when it holds more lines than this, and twice what was left by the last.
LINES_MAX = 20_000
#: With so many events that the broker has not acknowledged, nothing new may begin.
PENDING_MAX = 10_000


class SeenSet:
    """Open, or create, the file at ``path``; raises :class:`Failed` when it is damaged or cannot be written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.records: list[Kept] = []
        self._pending: dict[str, Outcome | NodeFate] = {}
        self._lines = self._left = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".new").unlink(missing_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._load()
            sync_folder(path.parent)
        except OSError as fault:
            raise Failed(f"{path} cannot be opened: {fault.strerror}; no command is carried out without it") from fault

    def append(self, records: Sequence[Record]) -> None:
        """Write stages that were entered, in one go; they are safe when this returns."""
        self._write([_line(record.outcome, record) for record in records])
        self._pending.update((record.outcome.id, record.outcome) for record in records)

    def append_fate(self, fate: NodeFate) -> None:
        """Write a fate that must reach the decision log; it is safe when this returns."""
        self._write([_line(fate)])
        self._pending[fate.id] = fate

    def readmit(self, at: float) -> None:
        """Write that the node's owner has given it back; it is safe when this returns."""
        self._write([_readmission(at)])
        self.records.append(Readmission(at))

    def has_room(self) -> bool:
        """Tell whether something new may begin, for what came of it could still be told."""
        return len(self._pending) < PENDING_MAX

    def pending(self) -> list[Outcome | NodeFate]:
        """Return the events that the broker has not acknowledged, oldest first."""
        return list(self._pending.values())

    def settle(self, ids: Iterable[str]) -> None:
        """Note that the broker holds these events. A crash may forget this: they are then published again."""
        settled = [one for one in ids if self._pending.pop(one, None) is not None]
        if settled:
            self._append(b"".join(json.dumps({"sent": one}).encode() + b"\n" for one in settled))
            self._lines += len(settled)

    def needs_compaction(self) -> bool:
        """Tell whether the file has grown so much that it should be rewritten."""
        return self._lines > max(LINES_MAX, 2 * self._left)

    def compact(self, records: Sequence[Kept]) -> None:
        """Rewrite the file with ``records`` and what is still to be published; a crash leaves the old or the new."""
        fresh = self._path.with_suffix(".new")
        kept = {one.outcome.id for one in records if isinstance(one, Record)}
        lines = [_line(event) for event in self._pending.values() if event.id not in kept]
        for one in records:
            if isinstance(one, Readmission):
                lines.append(_readmission(one.at))
                continue
            lines.append(_line(one.outcome, one))
            if one.outcome.id not in self._pending:
                lines.append(json.dumps({"sent": one.outcome.id}).encode() + b"\n")
        try:
            descriptor = _replace(self._path, fresh, b"".join(lines))
        except OSError as fault:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
            raise _unwritable(self._path, fault) from fault
        os.close(self._file)
        self._file, self._lines, self._left = descriptor, len(lines), len(lines)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._file)

    def _write(self, lines: Sequence[bytes]) -> None:
        self._append(b"".join(lines))
        try:
            os.fsync(self._file)
        except OSError as fault:
            raise _unwritable(self._path, fault) from fault
        self._lines += len(lines)

    def _append(self, data: bytes) -> None:
        before = os.fstat(self._file).st_size
        try:
            _write_all(self._file, data)
        except OSError as fault:
            with suppress(OSError):
                os.ftruncate(self._file, before)
            raise _unwritable(self._path, fault) from fault

    def _load(self) -> None:
        data = self._path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) != len(data):
            os.ftruncate(self._file, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            self._take(line, number)

    def _take(self, line: bytes, number: int) -> None:
        try:
            entry = json.loads(line)
            if "sent" in entry:
                self._pending.pop(entry["sent"], None)
            elif "readmitted" in entry:
                self.records.append(Readmission(float(entry["readmitted"])))
            else:
                self._take_event(entry)
        except (ValueError, KeyError, TypeError, InvalidRecord) as fault:
            raise Failed(
                f"{self._path} is damaged at line {number} ({fault}); look at what it held, then move it away: "
                "commands that have not expired may then run a second time"
            ) from fault
        self._lines += 1

    def _take_event(self, entry: dict[str, object]) -> None:
        event = decode_event(json.dumps(entry["event"]).encode())
        if not isinstance(event, Outcome | NodeFate):
            raise InvalidRecord("wrong-kind", type(event).__name__)
        self._pending[event.id] = event
        if isinstance(event, Outcome):
            raw, accepted = entry.get("command"), entry.get("accepted_at")
            command = decode_command(json.dumps(raw).encode()) if raw else None
            self.records.append(Record(event, command, float(str(accepted)) if accepted is not None else None))


def _readmission(at: float) -> bytes:
    return json.dumps({"readmitted": at}).encode() + b"\n"


def _line(event: Outcome | NodeFate, record: Record | None = None) -> bytes:
    head = b'{"event":' + encode_event(event)
    if record is not None and record.command is not None:
        head += b',"command":' + encode_command(record.command)
    if record is not None and record.accepted_at is not None:
        head += b',"accepted_at":' + json.dumps(record.accepted_at).encode()
    return head + b"}\n"


def _unwritable(path: Path, fault: OSError) -> Failed:
    return Failed(f"{path} cannot be written: {fault.strerror}; no command is carried out until it can be")


def _replace(path: Path, fresh: Path, content: bytes) -> int:
    """Put a file with this content in the place of another, durably; return its descriptor."""
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        _write_all(descriptor, content)
        os.fsync(descriptor)
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
