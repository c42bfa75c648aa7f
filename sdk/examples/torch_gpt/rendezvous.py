"""How ranks find each other, and find each other again after one has died: by files in a shared directory.

A group of processes lives in an *epoch*, a numbered directory in which each rank leaves a file. A rank joins the newest
epoch, or begins the next one where it, or an earlier life of its rank, has been in the newest. The group is formed when
every rank of the world is there. So survivors of a broken group and the rank that was started again come together
without knowing of each other; and a rank that looks for a newer epoch between two steps notices one that came anew.
Jobs of different worlds are apart: a resized job never meets what it was before.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

POLL_SECONDS = 0.02
#: Epochs that are kept: a straggler may still be reading the last.
KEEP = 3


class Superseded(Exception):
    """A later life of this rank has begun elsewhere: this one has to end."""


class Rendezvous:
    """One life of rank ``rank`` among ``world`` below ``folder``; ``sleep`` waits for seconds."""

    def __init__(self, folder: Path, rank: int, world: int, sleep: Callable[[float], None]) -> None:
        self._folder, self._rank, self._world, self._sleep = folder / f"world-{world}", rank, world, sleep
        self._folder.mkdir(parents=True, exist_ok=True)
        self._life = self._begin_life()
        self.epoch = 0

    def join(self) -> Path:
        """Wait until every rank is in one epoch with this one; return the path of a file for its group to use.

        Raises :class:`Superseded`.
        """
        while True:
            self._require_last_life()
            epoch = self._newest()
            if epoch == 0 or self._path(epoch, self._rank).exists():
                epoch += 1
            if self._enter(epoch) and self._gather(epoch):
                self.epoch = epoch
                self._remove_older()
                return self._folder / f"epoch-{epoch:06d}" / "store"

    def has_moved_on(self) -> bool:
        """Tell whether a newer epoch than this rank's has begun: then its group is to be left."""
        return self._directory(self.epoch + 1).exists()

    def _gather(self, epoch: int) -> bool:
        """Wait for all in ``epoch``; false when a newer one has begun."""
        while not all(self._path(epoch, rank).exists() for rank in range(self._world)):
            if self._newest() > epoch:
                return False
            self._sleep(POLL_SECONDS)
        return True

    def _enter(self, epoch: int) -> bool:
        self._directory(epoch).mkdir(exist_ok=True)
        return _create(self._path(epoch, self._rank))

    def _begin_life(self) -> int:
        while True:
            life = 1 + self._last_life()
            if _create(self._folder / f"life-{self._rank}-{life}"):
                return life

    def _require_last_life(self) -> None:
        if self._last_life() > self._life:
            raise Superseded(f"rank {self._rank} was started again elsewhere")

    def _last_life(self) -> int:
        return max((int(one.name.rsplit("-", 1)[1]) for one in self._folder.glob(f"life-{self._rank}-*")), default=0)

    def _newest(self) -> int:
        return max((int(one.name[6:]) for one in self._folder.glob("epoch-*")), default=0)

    def _directory(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch:06d}"

    def _path(self, epoch: int, rank: int) -> Path:
        return self._directory(epoch) / f"rank-{rank}"

    def _remove_older(self) -> None:
        for one in self._folder.glob("epoch-*"):
            if int(one.name[6:]) <= self.epoch - KEEP:
                shutil.rmtree(one, ignore_errors=True)


def _create(path: Path) -> bool:
    """Create an empty file; false when it is there already."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return False
    return True
