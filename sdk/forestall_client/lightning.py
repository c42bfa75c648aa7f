"""The client for Lightning: a checkpoint when it is ordered.

::

    trainer = Trainer(..., callbacks=[ForestallCallback(directory)])
    trainer.fit(model, data, ckpt_path=newest_checkpoint(directory))

All ranks share ``directory``.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from forestall_client.client import Client, connect
from forestall_client.sealed import KEEP, bytes_below, name_of, newest_good, remove_older, seal_share
from forestall_client.torch import Agreement

_log = logging.getLogger("forestall_client")
FILE = "lightning.ckpt"


class ForestallCallback(Callback):
    """Speaks for one rank.

    Parameters
    ----------
    directory
        Where the checkpoints are put, each in a directory of its own; the ``keep`` newest are kept.
    client
        By default the one for the cluster agent that has started this process.
    every
        Steps between two looks at what is ordered.
    """

    def __init__(self, directory: str | Path, client: Client | None = None, every: int = 1, keep: int = KEEP) -> None:
        self._directory, self._client, self._every, self._keep = Path(directory), client or connect(), every, keep
        self._agreement: Agreement | None = None
        self._step = 0
        self._began = time.monotonic()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell from which step it goes on."""
        self._agreement = Agreement(self._client, self._every, device=str(trainer.strategy.root_device))
        self._step = trainer.global_step
        if self._step:
            self._client.resumed(self._step)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Look at the clock."""
        self._began = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Make a checkpoint when the ranks agree that one is due; a batch that ends no step is passed over."""
        step = trainer.global_step
        if step == self._step or self._agreement is None:
            return
        self._step = step
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, torch.Tensor):
            self._client.progress(step, float(loss.detach()), time.monotonic() - self._began)
        if order := self._agreement.due(step):
            self._save(trainer, step, order)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell that the exit that follows is no failure."""
        self._client.finished(trainer.global_step)

    def _save(self, trainer: Trainer, step: int, order: int) -> None:
        began = time.monotonic()
        path = self._directory / trainer.strategy.broadcast(name_of(step))
        try:
            trainer.save_checkpoint(path / FILE)  # all ranks are through when it returns
        except OSError as fault:
            if trainer.world_size > 1:
                raise  # the others wait for this rank, and it cannot go on without them
            _log.warning("the checkpoint of step %d failed: %s", step, fault)
            self._client.ack_failed(step, str(fault), order)
            return
        try:
            share = bytes_below(path) // trainer.world_size
            self._client.ack_staged(step, time.monotonic() - began, share, order=order)
            digest = seal_share(path, step, trainer.global_rank, trainer.world_size)
        except OSError as fault:
            _log.warning("the checkpoint of step %d failed: %s", step, fault)
            self._client.ack_failed(step, str(fault))
            return
        self._client.ack_durable(step, path.absolute().as_uri(), digest)
        remove_older(self._directory, self._keep)


def newest_checkpoint(directory: str | Path) -> str | None:
    """Return what ``ckpt_path`` is to be: the newest good checkpoint, or None."""
    newest = newest_good(Path(directory))
    return None if newest is None else str(newest.path / FILE)
