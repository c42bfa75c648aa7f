"""The loop of one rank: gradient, all-reduce, step; a checkpoint where the ranks have agreed on one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from forestall_client import Client

from experiments.training_job import checkpoint
from experiments.training_job.exchange import Exchange
from experiments.training_job.network import Trainer


@dataclass(frozen=True, slots=True)
class Plan:
    """What one rank is to do. ``steps`` 0: without end. ``resume``: the checkpoint's step that must be there."""

    directory: Path
    rank: int
    world: int
    steps: int
    step_s: float
    seed: int
    own_every: int
    resume: int | None


class LostCheckpoint(Exception):
    """The checkpoint that this rank was told to take up is not there."""


class Rank:
    """One rank of the job; ``sleep`` and ``monotonic`` are the clock."""

    def __init__(
        self, plan: Plan, client: Client, sleep: Callable[[float], None], monotonic: Callable[[], float]
    ) -> None:
        self._plan, self._client = plan, client
        self._sleep, self._monotonic = sleep, monotonic
        self._checkpoints = plan.directory / "checkpoints"
        self._trainer = Trainer(plan.seed, plan.rank, f"world-{plan.world}")
        start = self._take_up()
        among = plan.directory / "exchange" / self._trainer.lineage
        self._exchange = Exchange(among, plan.rank, plan.world, start, sleep)
        self._writer: threading.Thread | None = None

    def run(self) -> None:
        """Train to the end of the plan."""
        plan = self._plan
        next_at = self._monotonic()
        with (plan.directory / f"losses-rank-{plan.rank}.txt").open("a", buffering=1) as losses:
            while plan.steps == 0 or self._trainer.step < plan.steps:
                began = self._monotonic()
                is_new, loss, order = self._one_step()
                losses.write(f"{self._trainer.step} {loss.hex()}\n")
                if order or self._own_turn():
                    self._checkpoint(order)
                if is_new:
                    next_at = max(next_at + plan.step_s, self._monotonic())
                    self._sleep(max(0.0, next_at - self._monotonic()))
                    self._client.progress(self._trainer.step, loss, self._monotonic() - began)
        self._wait_for_writer()
        self._client.finished(self._trainer.step)
        self._exchange.close()

    def _take_up(self) -> int:
        """Load the checkpoint that all ranks take up; return its step, 0 when there is none."""
        plan, wanted = self._plan, self._plan.resume
        good = checkpoint.to_take_up(self._checkpoints, plan.world, wanted)
        if good is not None:
            rank = min(plan.rank, good.world - 1)
            checkpoint.load(checkpoint.path_of(self._checkpoints, good.step, rank, good.world), self._trainer)
            if good.world != plan.world:
                self._trainer.resize(plan.seed, plan.rank, plan.world)
        elif wanted:
            newest = checkpoint.to_take_up(self._checkpoints, plan.world, None)
            told = newest.step if newest is not None else None
            raise LostCheckpoint(f"no good checkpoint of step {wanted} in {self._checkpoints}; the newest is {told}")
        start = good.step if good is not None else 0
        if good is not None or wanted is not None:
            self._client.resumed(start)
        return start

    def _one_step(self) -> tuple[bool, float, int]:
        step = self._trainer.step + 1
        is_new = not self._exchange.has_sent(step)
        loss, gradient = self._trainer.local_gradient()
        order, mean_loss, mean = self._exchange.all_reduce(step, self._client.due(step), loss, gradient)
        self._trainer.apply(mean)
        return is_new, mean_loss, order

    def _own_turn(self) -> bool:
        """Tell whether the job checkpoints of its own accord: rarely, to bound the exchange, and at its end."""
        step = self._trainer.step
        return step % self._plan.own_every == 0 or step == self._plan.steps

    def _checkpoint(self, order: int) -> None:
        """Copy the state, let a thread make it durable, and go on."""
        self._wait_for_writer()
        began = self._monotonic()
        step = self._trainer.step
        data = checkpoint.serialise(self._trainer)
        self._exchange.begin_segment(step)
        self._client.ack_staged(step, self._monotonic() - began, len(data), order=order)
        self._writer = threading.Thread(target=self._write, args=(step, data), name="checkpoint")
        self._writer.start()

    def _write(self, step: int, data: bytes) -> None:
        """Make a copy durable. Where that fails training goes on: the last good checkpoint is still there."""
        plan = self._plan
        path = checkpoint.path_of(self._checkpoints, step, plan.rank, plan.world)
        try:
            digest = checkpoint.write(path, data)
        except OSError as fault:
            print(f"training job: no checkpoint of step {step}: {path}: {fault.strerror}", file=sys.stderr)
            return
        self._client.ack_durable(step, path.absolute().as_uri(), digest)
        good = checkpoint.latest_good(self._checkpoints, plan.world)
        if good is not None:
            checkpoint.remove_older(self._checkpoints, plan.rank, plan.world, good)
            self._exchange.remove_older(good)

    def _wait_for_writer(self) -> None:
        if self._writer is not None:
            self._writer.join()
