"""The ways to save that are measured. Each begins with a call that blocks the job and ends with a safe checkpoint.

``sync`` stops the job until the checkpoint is on disk. ``async`` copies the state, lets the job go on, and writes in
a thread. ``in-memory`` copies the state into the memory of another process: it outlives the training process, not the
machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import torch
import torch.distributed.checkpoint as distributed

from experiments.checkpoint_cost.peer_memory import PeerMemory
from experiments.checkpoint_cost.sample import Sample
from experiments.checkpoint_cost.timed_files import DurableWriter

MODES: Final = ("sync", "async", "in-memory")
State = dict[str, torch.Tensor]


class Saving(Protocol):
    """A checkpoint that was begun: the job may go on."""

    def done(self) -> Sample:
        """Wait until it is safe, and tell what it took."""


class Saver(Protocol):
    """Makes checkpoints of one size."""

    def begin(self, state: State) -> Saving:
        """Save, and return as soon as the job may go on."""

    def close(self) -> None:
        """Give memory and disk back."""


def saver(mode: str, folder: Path, size: int) -> Saver:
    """Return the saver of a mode for states of ``size`` bytes; it writes below ``folder``, which it makes."""
    if mode == "in-memory":
        return PeerMemory(size)
    return _ToDisk(folder, {"sync": _save, "async": _save_async}[mode])


class _ToDisk:
    """A new folder for each checkpoint, removed as soon as it was safe: no page of a file is in the cache before."""

    def __init__(self, folder: Path, save: Callable[[State, DurableWriter], Saving]) -> None:
        self._folder, self._save, self._number = folder, save, 0
        folder.mkdir(parents=True)

    def begin(self, state: State) -> Saving:
        self._number += 1
        return self._save(state, DurableWriter(self._folder / str(self._number)))

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _OnDisk:
    """A checkpoint whose writer knows when it is safe, once ``wait`` returned; that of a job that waited itself."""

    def __init__(self, writer: DurableWriter, began: float, blocked: float, wait: Callable[[], object]) -> None:
        self._writer, self._began, self._blocked, self._wait = writer, began, blocked, wait

    def done(self) -> Sample:
        self._wait()
        durable = self._writer.safe_at - self._began
        written = self._writer.files.write_s
        shutil.rmtree(self._writer.folder)
        return Sample(durable - written, written, self._blocked, durable)


def _save(state: State, writer: DurableWriter) -> Saving:
    began = time.perf_counter()
    distributed.save(dict(state), storage_writer=writer, no_dist=True)
    return _OnDisk(writer, began, time.perf_counter() - began, lambda: None)


def _save_async(state: State, writer: DurableWriter) -> Saving:
    began = time.perf_counter()
    future: Any = distributed.async_save(dict(state), storage_writer=writer, no_dist=True)
    return _OnDisk(writer, began, time.perf_counter() - began, future.result)
