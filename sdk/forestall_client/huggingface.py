"""The client for the Trainer of Hugging Face's transformers: a checkpoint when it is ordered.

::

    trainer = Trainer(..., callbacks=[ForestallCallback()])
    trainer.train(resume_from_checkpoint=newest_checkpoint(training_arguments.output_dir))

The checkpoints that the Trainer makes of its own accord are sealed too. Give it a ``save_total_limit`` of at least 2.
All ranks write below one ``output_dir`` that they share.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from forestall_client.client import Client, connect
from forestall_client.sealed import bytes_below, newest_good, seal_share
from forestall_client.torch import Agreement

_log = logging.getLogger("forestall_client")


class ForestallCallback(TrainerCallback):
    """Speaks for one rank; ``every`` is the number of steps between two looks at what is ordered."""

    def __init__(self, client: Client | None = None, every: int = 1) -> None:
        self._client = client or connect()
        self._every = every
        self._agreement: Agreement | None = None
        self._order = 0
        self._loss: float | None = None
        self._step_began = self._still_since = time.monotonic()

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell from which step it goes on."""
        self._agreement = Agreement(self._client, self._every, device=str(args.device))
        if state.global_step:
            self._client.resumed(state.global_step)

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look at the clock."""
        self._step_began = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Have a checkpoint made when the ranks agree that one is due."""
        self._still_since = time.monotonic()
        if self._loss is None:
            control.should_log = True  # the loss is told by the log alone, and progress tells the loss
        else:
            self._progress(state.global_step, self._still_since)
        if self._agreement is not None and (order := self._agreement.due(state.global_step)):
            self._order = order
            control.should_save = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Remember the loss."""
        is_first = self._loss is None
        self._loss = (logs or {}).get("loss", self._loss)
        if is_first:
            self._progress(state.global_step, self._still_since)

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Leave the evaluation out of what the checkpoint costs."""
        self._still_since = time.monotonic()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Seal the checkpoint that was written just now, and acknowledge it."""
        step, path = state.global_step, Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if args.world_size > 1:
            dist.barrier()  # each rank has written its part
        share = bytes_below(path) // args.world_size
        self._client.ack_staged(step, time.monotonic() - self._still_since, share, order=self._order)
        self._order = 0
        try:
            digest = seal_share(path, step, args.process_index, args.world_size)
        except OSError as fault:
            _log.warning("the checkpoint of step %d failed: %s", step, fault)
            self._client.ack_failed(step, str(fault))
            return
        self._client.ack_durable(step, path.absolute().as_uri(), digest)

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell that the exit that follows is no failure."""
        self._client.finished(state.global_step)

    def _progress(self, step: int, now: float) -> None:
        if self._loss is not None:
            self._client.progress(step, self._loss, now - self._step_began)


def newest_checkpoint(output_dir: str | Path) -> str | None:
    """Return what ``resume_from_checkpoint`` is to be: the newest good checkpoint, or None."""
    newest = newest_good(Path(output_dir))
    return None if newest is None else str(newest.path)
