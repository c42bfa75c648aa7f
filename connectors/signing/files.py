"""Files of keys that are read again when they change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from connectors.errors import ForestallError

T = TypeVar("T")
Say = Callable[[str], None]
_Stamp = tuple[int, int, int]


class Watched(Generic[T]):
    """What a file says, read again when time, size or inode have changed.

    A file that cannot be read at first is an error; one that can no longer be read later is told, once for each state
    that it is found in, and what was read before stays in use.

    Parameters
    ----------
    read : makes the value of the path; raises a :class:`ForestallError` that says what is wrong
    say : told when the file was read again, or could not be
    """

    def __init__(self, path: Path, read: Callable[[Path], T], say: Say) -> None:
        self.path = path
        self._read, self._say = read, say
        self._stamp = _stamp(path)
        self._value = read(path)

    def current(self) -> T:
        """The value of the file as it is now, or as it was when it could be read last."""
        stamp = _stamp(self.path)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._value = self._read(self.path)
            except ForestallError as wrong:
                self._say(f"{wrong}; what it held before stays in use")
            else:
                self._say(f"{self.path} has changed and was read again")
        return self._value


def _stamp(path: Path) -> _Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
