"""What an executor remembers of its rank: one small file, replaced whole, so that a crash leaves the old or the new."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from connectors.errors import Failed
from connectors.executors import RankRecord
from connectors.lasting_files import write_atomically

MODE = 0o644


class RecordFile:
    """The record at ``path``; raises :class:`Failed` where it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise Failed(f"{path.parent} cannot be made: {fault.strerror}") from fault
        self.record = self._load()

    def remember(self, record: RankRecord | None) -> None:
        """Make ``record`` durable; raises :class:`Failed`, and holds what it held, where that is not possible."""
        try:
            if record is None:
                self._path.unlink(missing_ok=True)
            else:
                write_atomically(self._path, json.dumps(asdict(record)).encode(), MODE)
        except OSError as fault:
            raise Failed(f"{self._path} cannot be written: {fault.strerror}; make room there") from fault
        self.record = record

    def _load(self) -> RankRecord | None:
        try:
            return RankRecord(**json.loads(self._path.read_text()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as fault:
            raise Failed(f"{self._path} cannot be read ({fault}); end its rank by hand, then remove it") from fault
