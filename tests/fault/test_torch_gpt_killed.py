"""Ranks of the torch example are killed at random moments: losses and weights are those of a run never killed.

The run never killed is computed here, by one process: with two ranks the sum of two gradients knows no order.
``GPT_KILLS=20`` takes four ranks and two runs of real processes (``make torch``).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch_process
from rank_ear import listening, wait

torch = pytest.importorskip("torch", reason="the example is one for torch")
sys.path.insert(0, str(torch_process.EXAMPLES))
from torch_gpt.model import BATCH, Trainer  # noqa: E402

sys.path.remove(str(torch_process.EXAMPLES))
pytestmark = pytest.mark.torch

STEPS, SEED, OWN_EVERY = 40, 5, 10
KILLS = int(os.environ.get("GPT_KILLS", "0"))


class Job:
    """Ranks of one job in ``folder``."""

    def __init__(self, folder: Path, world: int, steps: int = STEPS) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.world, self.steps = folder, world, steps
        self.ranks: list[subprocess.Popen[bytes]] = []
        self.output = (folder / "output").open("ab")

    def start(self, rank: int, **more: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(torch_process.EXAMPLES / "torch_gpt"), "--directory", str(self.folder)]
        words += ["--steps", str(self.steps), "--step-s", "0.02", "--seed", str(SEED)]
        words += ["--own-every", str(OWN_EVERY), "--final", str(self.folder / "final.json")]
        told = torch_process.environment(FORESTALL_RANK=str(rank), FORESTALL_WORLD=str(self.world), **more)
        return subprocess.Popen(words, env=told, stdout=self.output, stderr=subprocess.STDOUT)

    def start_all(self) -> None:
        self.ranks = [self.start(rank) for rank in range(self.world)]

    def kill(self, rank: int, step: int) -> None:
        """Kill ``rank`` once it has done ``step`` losses, and start it again; the kill has to fire."""
        wait(lambda: len(self.lines(rank)) >= step or self.ranks[rank].poll() is not None, 120)
        self.ranks[rank].send_signal(signal.SIGKILL)
        assert self.ranks[rank].wait() == -signal.SIGKILL, self.said()
        self.ranks[rank] = self.start(rank)

    def lines(self, rank: int) -> list[str]:
        path = self.folder / f"losses-rank-{rank}.txt"
        return path.read_text().splitlines() if path.exists() else []

    def losses(self, rank: int) -> dict[int, str]:
        """Return the loss of each step; one that was done again had the same."""
        seen: dict[int, str] = {}
        for line in self.lines(rank):
            step, loss = line.split()
            assert seen.setdefault(int(step), loss) == loss, f"step {step} was done again and differs"
        return seen

    def end(self) -> dict[str, object]:
        """Wait for the end of all ranks; return what the final file says."""
        codes = [one.wait(240) for one in self.ranks]
        assert codes == [0] * self.world, self.said()
        told: dict[str, object] = json.loads((self.folder / "final.json").read_text())
        return told

    def said(self) -> str:
        return (self.folder / "output").read_text()[-3000:]

    def close(self) -> None:
        for one in self.ranks:
            one.kill()
            one.wait()
        self.output.close()


def unkilled(trainer: Trainer, world: int, steps: int) -> dict[int, str]:
    """Train in this process as ``world`` ranks would, to ``steps``; return the losses."""
    losses = {}
    while trainer.step < steps:
        gradient = sum(
            (trainer.local_gradient(rank, world) for rank in range(1, world)), trainer.local_gradient(0, world)
        )
        trainer.apply(gradient[:-1])
        losses[trainer.step] = float(gradient[-1]).hex()
    return losses


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path / "run", 2)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.timeout(600)
def test_kills_change_no_bit_and_a_smaller_world_goes_on(job: Job) -> None:
    job.start_all()
    survivor = job.ranks[0].pid
    job.kill(1, 14)
    told = wait(lambda: len(job.lines(0)) > 25 and job.ranks[0].pid)
    assert told == survivor
    job.kill(0, 30)
    final = job.end()
    trainer = Trainer(SEED)
    expected = unkilled(trainer, 2, STEPS)
    assert job.losses(0) == job.losses(1) == expected
    assert final == {"step": STEPS, "sha256": trainer.digest()}
    assert float.fromhex(expected[STEPS]) < float.fromhex(expected[1])

    smaller = Job(job.folder, 1, STEPS + 20)
    smaller.ranks = [smaller.start(0, FORESTALL_RESUME_STEP=str(STEPS))]
    final = smaller.end()
    unkilled(trainer, 1, STEPS + 20)
    assert final == {"step": STEPS + 20, "sha256": trainer.digest()}
    smaller.close()


@pytest.mark.timeout(600)
def test_ranks_agree_on_a_checkpoint_that_one_of_them_was_told_of(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "1").mkdir()
    order = {"type": "checkpoint", "command": "c1", "order": 3, "step": 7}
    with listening(tmp_path / "0") as late, listening(tmp_path / "1", order) as early:
        job = Job(tmp_path / "run", 2, 100)
        job.ranks = [job.start(rank, FORESTALL_SOCKET=str(ear.path)) for rank, ear in enumerate((late, early))]
        wait(lambda: early.of("durable"), 240)
        assert not late.of("staged", "durable")
        late.order("c1", 3)
        wait(lambda: late.of("durable"))
        job.end()
    for ear in (late, early):
        (staged,), (durable,) = ear.of("staged"), ear.of("durable")
        assert (staged["command"], staged["step"], durable["step"]) == ("c1", 7, 7)
        assert ear.of("finished")[-1]["step"] == 100
    assert late.of("durable")[0]["uri"] == early.of("durable")[0]["uri"]
    assert late.of("durable")[0]["digest"] != early.of("durable")[0]["digest"]
    job.close()


def test_a_checkpoint_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path / "run", 2)
    assert job.start(0, FORESTALL_RESUME_STEP="30").wait(60) == 1
    assert "no good checkpoint of step 30" in job.said()
    job.close()


def test_a_step_takes_the_same_sequences_in_any_world() -> None:
    whole = Trainer(SEED).local_gradient(0, 1)
    for world in (3, BATCH):
        parts = sum(Trainer(SEED).local_gradient(rank, world) for rank in range(world))
        assert torch.allclose(parts, whole, rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(not KILLS, reason="GPT_KILLS=20 asks for it")
@pytest.mark.timeout(3600)
def test_many_kills_of_four_ranks_change_no_bit(tmp_path: Path) -> None:
    script = random.Random(SEED)
    finals = []
    for name, kills in (("unkilled", 0), ("killed", KILLS)):
        job = Job(tmp_path / name, 4, 200)
        job.start_all()
        for step in sorted(script.randrange(5, 180) for _ in range(kills)):
            job.kill(script.randrange(4), step)
        finals.append(job.end())
        assert job.losses(0) == job.losses(1) == job.losses(2) == job.losses(3)
        print(f"{name}: {kills} kills, {len(job.lines(0)) - 200} steps done again, {finals[-1]}")
        job.close()
    assert finals[0] == finals[1]
