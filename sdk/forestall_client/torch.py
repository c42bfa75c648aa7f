"""The client for torch: ranks agree on the step of a checkpoint, and ``torch.distributed.checkpoint`` writes it.

::

    client = forestall_client.connect()
    agreement = Agreement(client, every=10)
    checkpoints = Checkpoints(client, directory)
    step = checkpoints.load(state)                     # the newest good one, the same on every rank; 0: none
    while step < last:
        step += 1
        loss = train_one_step()
        if order := agreement.due(step):
            checkpoints.save_async(step, state, order)  # training stands still while the state is copied
        client.progress(step, loss, step_s)
    checkpoints.wait()
    client.finished(step)

All ranks make the same calls in the same order. Without an initialised process group there is one rank (torch then
warns that it takes this for the intent).
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.api import CheckpointException

from forestall_client.client import Client
from forestall_client.sealed import KEEP, name_of, newest_good, remove_older, seal

__all__ = ["Agreement", "Checkpoints", "newest_good"]

_log = logging.getLogger("forestall_client")
#: What a save or a load can end with: a full disk, a peer that is gone, what another rank met.
_FAULTS = (OSError, RuntimeError, CheckpointException)
REASON_CHARACTERS_MAX = 400

State = dict[str, Any]


class Agreement:
    """Tells the ranks of a job at one and the same step that a checkpoint is due.

    Parameters
    ----------
    client
        Of this rank.
    every
        Steps between two agreements; each costs one all-reduce of eight bytes.
    group
        The process group, by default the default one. Where it cannot reduce on the CPU (NCCL alone), give ``device``.
    device
        Of the number that is reduced.
    """

    def __init__(self, client: Client, every: int = 1, group: Any = None, device: str = "cpu") -> None:
        if every < 1:
            raise ValueError(f"every is a number of steps, at least 1, not {every}")
        self._client, self._every, self._group = client, every, group
        self._number = torch.zeros(1, dtype=torch.int64, device=device)

    def due(self, step: int) -> int:
        """Return the newest order that any rank has been given, the same on every rank; 0: none, or not its turn."""
        if step % self._every:
            return 0
        self._number[0] = self._client.due(step)
        if dist.is_initialized():
            dist.all_reduce(self._number, dist.ReduceOp.MAX, self._group)
        return int(self._number.item())


class Checkpoints:
    """Writes and reads the checkpoints of a job in ``directory``, which all ranks share.

    ``group`` must reduce on the CPU; :meth:`save_async` uses it in a thread, so it has to be one of its own
    (``dist.new_group(backend="gloo")``). The ``keep`` newest are kept. A save that fails is logged and leaves
    the job to go on: what it has not told of as durable, nobody relies upon.
    """

    def __init__(self, client: Client, directory: Path, group: Any = None, keep: int = KEEP) -> None:
        self._client, self._directory, self._group, self._keep = client, Path(directory), group, keep
        self._rank = dist.get_rank(group) if dist.is_initialized() else 0
        self._world = dist.get_world_size(group) if dist.is_initialized() else 1
        self._finisher: threading.Thread | None = None
        self._is_durable = True
        self._directory.mkdir(parents=True, exist_ok=True)

    def save(self, step: int, state: State, order: int = 0) -> bool:
        """Write ``state`` while training stands still; tell whether this rank's part is durable."""
        self._begin()
        began = time.monotonic()
        try:
            path = self._agreed_path(step)
            dcp.save(state, checkpoint_id=path, process_group=self._group)
        except _FAULTS as fault:
            return self._failed(step, fault, order)
        self._client.ack_staged(step, time.monotonic() - began, bytes_of(state), order=order)
        self._is_durable = self._seal(step, path)
        return self._is_durable

    def save_async(self, step: int, state: State, order: int = 0) -> None:
        """Copy ``state``, then go on while a thread writes the copy."""
        self._begin()
        began = time.monotonic()
        try:
            path = self._agreed_path(step)
            begun = dcp.async_save(state, checkpoint_id=path, process_group=self._group)
        except _FAULTS as fault:
            self._failed(step, fault, order)
            return
        self._client.ack_staged(step, time.monotonic() - began, bytes_of(state), order=order)
        self._finisher = threading.Thread(target=self._finish, args=(step, path, begun), name="forestall-checkpoint")
        self._finisher.start()

    def wait(self) -> bool:
        """Wait for what :meth:`save_async` has begun; tell whether this rank's part of the newest save is durable."""
        if self._finisher is not None:
            self._finisher.join()
            self._finisher = None
        return self._is_durable

    def load(self, state: State) -> int:
        """Load the newest good checkpoint into the tensors of ``state``; return its step, 0 when there is none.

        It may be of another world. The first rank chooses, so that all load the same. Raises :class:`RuntimeError`
        where another rank is gone, or could not load it.
        """
        self.wait()
        newest = newest_good(self._directory) if self._rank == 0 else None
        name = self._told_by_first(newest.path.name if newest else "")
        if not name:
            return 0
        try:
            dcp.load(state, checkpoint_id=self._directory / name, process_group=self._group)
        except CheckpointException as fault:  # no Exception, in torch
            raise RuntimeError(f"{self._directory / name} could not be loaded: {fault}") from fault
        return int(name.split("-")[1])

    def _begin(self) -> None:
        self.wait()
        self._is_durable = False

    def _agreed_path(self, step: int) -> Path:
        return self._directory / self._told_by_first(name_of(step))

    def _told_by_first(self, word: str) -> str:
        if self._world == 1:
            return word
        box = [word]
        dist.broadcast_object_list(box, dist.get_global_rank(self._group or dist.group.WORLD, 0), group=self._group)
        return box[0]

    def _finish(self, step: int, path: Path, begun: Future[Any]) -> None:
        try:
            begun.result()
        except _FAULTS as fault:
            self._failed(step, fault)
        else:
            self._is_durable = self._seal(step, path)

    def _seal(self, step: int, path: Path) -> bool:
        """Seal what this rank has written, tell that it is durable, and remove what is too old."""
        files = [*path.glob(f"__{self._rank}_*"), *([path / ".metadata"] if self._rank == 0 else [])]
        try:
            digest = seal(path, step, self._rank, self._world, files)
        except OSError as fault:
            return self._failed(step, fault)
        self._client.ack_durable(step, path.absolute().as_uri(), digest)
        remove_older(self._directory, self._keep)
        return True

    def _failed(self, step: int, fault: BaseException, order: int | None = None) -> bool:
        """Say that a save came to nothing; ``order`` is left out once it was staged."""
        reason = (str(fault).strip() or type(fault).__name__).splitlines()[-1][:REASON_CHARACTERS_MAX]
        _log.warning("the checkpoint of step %d failed: %s", step, reason)
        self._client.ack_failed(step, reason, order)
        return False


def bytes_of(state: Any) -> int:
    """Return the bytes of all tensors in a nested ``state``."""
    if isinstance(state, torch.Tensor):
        return int(state.element_size() * state.nelement())
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, (list, tuple)) else ()
    return sum(bytes_of(part) for part in parts)
