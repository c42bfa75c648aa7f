"""An all-reduce over a shared directory that survives kill -9 of any rank.

Each rank appends one record a step to a file of its own; the mean is taken over all ranks' records of the step, in the
order of the ranks, so it is the same on each, bit for bit. Files begin anew at each checkpoint (a *segment*) and are
kept until a later checkpoint is good. So a rank that is started again from a checkpoint reads what the others sent
since, and catches up to the step at which they wait for it. A rank's lock keeps a second process of the same rank out.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.training_job.network import SIZE, Vector

_HEAD = struct.Struct("<qqdI")  # step, order, loss, crc of the rest
RECORD_BYTES = _HEAD.size + 8 * SIZE
POLL_SECONDS_MIN, POLL_SECONDS_MAX = 0.001, 0.02
LOCK_SECONDS_MAX = 30.0


class Exchange:
    """Rank ``rank``'s part of an all-reduce among ``world`` ranks through ``folder``, from the segment of ``start``.

    ``sleep`` waits for seconds; ``start`` is the step of the checkpoint taken up, 0 at the very beginning.
    """

    def __init__(self, folder: Path, rank: int, world: int, start: int, sleep: Callable[[float], None]) -> None:
        self._folder, self._rank, self._world, self._sleep = folder, rank, world, sleep
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(folder / f"rank-{rank}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self._hold_lock()
        self._readers: dict[int, int] = {}
        self._own = -1
        self.begin_segment(start)

    def begin_segment(self, start: int) -> None:
        """Go over to the files that begin after the checkpoint of ``start``."""
        self._close()
        self._start = start
        self._own = os.open(self._path(self._rank, start), os.O_RDWR | os.O_CREAT, 0o600)
        whole = os.fstat(self._own).st_size // RECORD_BYTES * RECORD_BYTES
        os.ftruncate(self._own, whole)

    def has_sent(self, step: int) -> bool:
        """Tell whether an earlier life of this rank has done ``step``: then this one is catching up."""
        return os.fstat(self._own).st_size > self._place(step)

    def all_reduce(self, step: int, order: int, loss: float, gradient: Vector) -> tuple[int, float, Vector]:
        """Send this rank's values of ``step``, wait for the others', return max order, mean loss, mean gradient."""
        self._write(step, order, loss, gradient)
        records = [self._await(rank, step) for rank in range(self._world)]
        mean: Vector = np.sum([gradient for _, _, gradient in records], axis=0) / self._world
        return max(order for order, _, _ in records), sum(loss for _, loss, _ in records) / self._world, mean

    def remove_older(self, good: int) -> None:
        """Remove this rank's segments from before the checkpoint of ``good``, which is good and so will be resumed."""
        for path in self._folder.glob(f"rank-{self._rank}-after-*.bin"):
            if int(path.stem.rsplit("-", 1)[1]) < good:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Give files and lock back."""
        self._close()
        os.close(self._lock)

    def _close(self) -> None:
        for descriptor in [*self._readers.values(), *([self._own] if self._own >= 0 else [])]:
            os.close(descriptor)
        self._readers, self._own = {}, -1

    def _path(self, rank: int, start: int) -> Path:
        return self._folder / f"rank-{rank}-after-{start:010d}.bin"

    def _hold_lock(self) -> None:
        waited = 0.0
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waited > LOCK_SECONDS_MAX:
                    raise
                self._sleep(POLL_SECONDS_MAX)
                waited += POLL_SECONDS_MAX
            else:
                return

    def _place(self, step: int) -> int:
        return (step - self._start - 1) * RECORD_BYTES

    def _write(self, step: int, order: int, loss: float, gradient: Vector) -> None:
        """Append the record; one that an earlier life of this rank has sent stays, so that all see one value."""
        if self.has_sent(step):
            return
        body = gradient.tobytes()
        record = _HEAD.pack(step, order, loss, zlib.crc32(body)) + body
        if os.pwrite(self._own, record, self._place(step)) != len(record):
            raise OSError(f"the exchange in {self._folder} cannot be written: is its disk full?")

    def _read(self, rank: int, step: int) -> tuple[int, float, Vector] | None:
        if rank not in self._readers:
            try:
                self._readers[rank] = os.open(self._path(rank, self._start), os.O_RDONLY)
            except FileNotFoundError:
                return None
        record = os.pread(self._readers[rank], RECORD_BYTES, self._place(step))
        if len(record) < RECORD_BYTES:
            return None
        found, order, loss, crc = _HEAD.unpack_from(record)
        if found != step or zlib.crc32(record[_HEAD.size :]) != crc:
            return None
        return order, loss, np.frombuffer(record, np.float64, SIZE, _HEAD.size)

    def _await(self, rank: int, step: int) -> tuple[int, float, Vector]:
        pause = POLL_SECONDS_MIN
        while (record := self._read(rank, step)) is None:
            self._sleep(pause)
            pause = min(1.5 * pause, POLL_SECONDS_MAX)
        return record
