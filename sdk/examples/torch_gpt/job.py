"""The loop of one rank, and what it does when the group breaks: form it anew and go back to the last checkpoint."""

from __future__ import annotations

import gc
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch.distributed as dist
from forestall_client import Client
from forestall_client.torch import Agreement, Checkpoints, newest_good

from torch_gpt.model import Trainer
from torch_gpt.rendezvous import Rendezvous

#: A rank that answers nothing for so long is taken for dead. One whose process was killed is noticed at once.
SILENT_SECONDS_MAX = 60.0
#: So many groups may break in a row before their first step; then something is wrong that a new group does not mend.
BARREN_MAX = 20
END_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Plan:
    """What one rank is to do. ``steps`` 0: without end."""

    directory: Path
    rank: int
    world: int
    steps: int
    step_s: float
    seed: int
    own_every: int
    agree_every: int
    final: Path | None


class Lost(Exception):
    """This rank cannot go on: its last checkpoint cannot be written, or no group holds."""


class Broken(Exception):
    """The group of ranks has broken; it is to be formed anew."""


class Rank:
    """One rank of the job."""

    def __init__(self, plan: Plan, client: Client) -> None:
        self._plan, self._client = plan, client
        self._directory = plan.directory / "checkpoints"
        self._trainer = Trainer(plan.seed)
        self._rendezvous = Rendezvous(plan.directory / "rendezvous", plan.rank, plan.world, time.sleep)
        self._losses = plan.directory / f"losses-rank-{plan.rank}.txt"
        self._training: Any = None
        self._checkpoints: Checkpoints | None = None
        self._barren = 0

    def run(self) -> None:
        """Train to the end of the plan, in as many groups as it takes."""
        while not self._is_over():
            try:
                self._in_one_group()
            except Broken as fault:
                self._say(f"epoch {self._rendezvous.epoch} has broken at step {self._trainer.step}: {fault}")
            finally:
                self._leave_group()
        self._write_final()
        self._client.finished(self._trainer.step)

    def _is_over(self) -> bool:
        """Tell whether the last checkpoint is there already: then no other rank is needed, and none may be left."""
        plan = self._plan
        newest = newest_good(self._directory)
        if plan.steps == 0 or newest is None or newest.step != plan.steps:
            return False
        if self._trainer.step != plan.steps:
            Checkpoints(self._client, self._directory).load(self._trainer.state())
            self._trainer.step = plan.steps
            self._client.resumed(plan.steps)
        return True

    def _in_one_group(self) -> None:
        plan = self._plan
        self._barren += 1
        if self._barren > BARREN_MAX:
            raise Lost(f"{BARREN_MAX} groups in a row have broken before their first step")
        with _breaking():
            self._form_group()
        agreement = Agreement(self._client, plan.agree_every, self._training)
        self._take_up()
        while plan.steps == 0 or self._trainer.step < plan.steps:
            self._one_step(agreement)
            self._barren = 0
        self._end()

    def _form_group(self) -> None:
        """Join the others: one group for checkpoints, another for training, which can be left before the first."""
        plan, limit = self._plan, timedelta(seconds=SILENT_SECONDS_MAX)
        store = dist.FileStore(str(self._rendezvous.join()), plan.world)
        dist.init_process_group("gloo", store=store, rank=plan.rank, world_size=plan.world, timeout=limit)
        self._training = dist.new_group(backend="gloo", timeout=limit)
        self._checkpoints = Checkpoints(self._client, self._directory)

    def _leave_group(self) -> None:
        """Close the connections to the other ranks, so that those who wait for this one notice.

        Training's come first: while a save of this rank still waits for another one's, that one may wait for us there.
        """
        if self._training is not None:
            dist.destroy_process_group(self._training)
            self._training = None
            gc.collect()  # they close when nothing refers to them
        if self._checkpoints is not None:
            self._checkpoints.wait()
            self._checkpoints = None
        if dist.is_initialized():
            dist.destroy_process_group()
            gc.collect()

    def _take_up(self) -> None:
        trainer = self._trainer
        with _breaking():
            found = self._checkpoints.load(trainer.state())
        if found == 0:
            trainer.begin()
        trainer.step = found
        if found or self._rendezvous.epoch > 1:
            self._client.resumed(found)
        self._say(f"epoch {self._rendezvous.epoch} begins at step {found}")

    def _one_step(self, agreement: Agreement) -> None:
        plan, trainer = self._plan, self._trainer
        began = time.monotonic()
        self._require_current()
        gradient = trainer.local_gradient(plan.rank, plan.world)
        with _breaking():
            dist.all_reduce(gradient, group=self._training)
        trainer.apply(gradient[:-1])
        loss = float(gradient[-1])
        with self._losses.open("a") as losses:
            losses.write(f"{trainer.step} {loss.hex()}\n")
        with _breaking():
            order = agreement.due(trainer.step)
        if order or trainer.step % plan.own_every == 0 or trainer.step == plan.steps:
            self._checkpoints.save_async(trainer.step, trainer.state(), order)
        time.sleep(max(0.0, plan.step_s - (time.monotonic() - began)))
        self._client.progress(trainer.step, loss, time.monotonic() - began)

    def _end(self) -> None:
        """Stay until every rank's part of the last checkpoint is durable: one that dies before needs the others."""
        is_durable = self._checkpoints.wait()
        while not self._is_over():
            self._require_current()
            if not is_durable:
                raise Lost(f"the last checkpoint could not be written to {self._directory}")
            time.sleep(END_POLL_SECONDS)

    def _require_current(self) -> None:
        if self._rendezvous.has_moved_on():
            raise Broken("a rank was started again")

    def _write_final(self) -> None:
        if self._plan.final is not None:
            told = json.dumps({"step": self._trainer.step, "sha256": self._trainer.digest()})
            fresh = self._plan.final.with_name(f"{self._plan.final.name}.{os.getpid()}.tmp")
            fresh.write_text(told + "\n")
            fresh.replace(self._plan.final)

    def _say(self, words: str) -> None:
        print(f"rank {self._plan.rank}: {words}", flush=True)


@contextmanager
def _breaking() -> Iterator[None]:
    """Take what torch raises in a collective, which is no more than a RuntimeError, for a broken group."""
    try:
        yield
    except RuntimeError as fault:
        raise Broken(str(fault).splitlines()[0]) from None
