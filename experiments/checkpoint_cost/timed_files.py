"""Checkpoint files as torch's distributed checkpoint writes them, with the time that writing and fsync took."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from torch.distributed.checkpoint import FileSystemWriter, Metadata
from torch.distributed.checkpoint.filesystem import FileSystem


class _TimedFile:
    """A new file that adds the seconds spent in it to its owner's; it is on disk when it is closed."""

    def __init__(self, path: Path, owner: TimedFiles) -> None:
        self._file = path.open("wb", buffering=0)
        self._owner = owner

    def write(self, data: Any) -> int:
        """Write all of ``data``."""
        began = time.perf_counter()
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += self._file.write(view[done:])
        self._owner.write_s += time.perf_counter() - began
        return len(view)

    def close(self) -> None:
        """Have the content kept, and close."""
        if self._file.closed:
            return
        began = time.perf_counter()
        os.fsync(self._file.fileno())
        self._file.close()
        self._owner.write_s += time.perf_counter() - began

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class TimedFiles(FileSystem):
    """The file system of a :class:`DurableWriter`; ``write_s`` is what writing has taken so far."""

    def __init__(self) -> None:
        self.write_s = 0.0

    @contextmanager
    def create_stream(self, path: str | os.PathLike[str], mode: str) -> Generator[io.IOBase, None, None]:
        """Open a file to write, timed."""
        file = _TimedFile(Path(path), self)
        try:
            yield cast(io.IOBase, file)
        finally:
            file.close()

    def keep_names(self, *folders: Path) -> None:
        """Have the names in folders kept as well: a file that no name leads to is no checkpoint."""
        began = time.perf_counter()
        for folder in folders:
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self.write_s += time.perf_counter() - began


class DurableWriter(FileSystemWriter):
    """Writes a checkpoint into a new folder; ``safe_at`` is when its content and its names were on disk."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, sync_files=False)
        self.folder, self.files = folder, TimedFiles()
        self.fs = self.files
        self.safe_at = 0.0

    def finish(self, metadata: Metadata, results: Any) -> None:
        """Write the metadata, by which a checkpoint is whole."""
        super().finish(metadata, results)
        self.files.keep_names(self.folder, self.folder.parent)
        self.safe_at = time.perf_counter()
