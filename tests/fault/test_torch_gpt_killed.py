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
from collections.abc import Iterator, Sequence
from pathlib import Path

import forestall_client
import pytest
import torch_process
from rank_ear import Ear, listening, wait

torch = pytest.importorskip("torch", reason="the example is one for torch")
sys.path.insert(0, str(torch_process.EXAMPLES))
import torch_gpt.job as torch_gpt_job  # noqa: E402
from torch_gpt.model import BATCH, Trainer  # noqa: E402

sys.path.remove(str(torch_process.EXAMPLES))
pytestmark = pytest.mark.torch

STEPS, SEED, OWN_EVERY = 40, 5, 10
KILLS = int(os.environ.get("GPT_KILLS", "0"))


class Job:
    """Ranks of one job in ``folder``."""

    def __init__(
        self, folder: Path, world: int, steps: int = STEPS, *, own_every: int = OWN_EVERY, sockets: Sequence[str] = ()
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.own_every, self.sockets = own_every, sockets
        self.folder, self.world, self.steps = folder, world, steps
        self.ranks: list[subprocess.Popen[bytes]] = []
        self.output = (folder / "output").open("ab")

    def start(self, rank: int, **more: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, str(torch_process.EXAMPLES / "torch_gpt"), "--directory", str(self.folder)]
        words += ["--steps", str(self.steps), "--step-s", "0.1", "--seed", str(SEED)]
        words += ["--own-every", str(self.own_every), "--final", str(self.folder / "final.json")]
        more |= {"FORESTALL_SOCKET": self.sockets[rank]} if self.sockets else {}
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
def ears(tmp_path: Path) -> Iterator[tuple[Ear, Ear]]:
    """The cluster agents of two ranks; the second one has an order, the first one does not know of it yet."""
    for name in ("0", "1"):
        (tmp_path / name).mkdir()
    order = {"type": "checkpoint", "command": "c1", "order": 3, "step": 7}
    with listening(tmp_path / "0") as late, listening(tmp_path / "1", order) as early:
        yield late, early


@pytest.fixture
def job(tmp_path: Path, ears: tuple[Ear, Ear]) -> Iterator[Job]:
    made = Job(tmp_path / "run", 2, sockets=[str(one.path) for one in ears])
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.timeout(600)
def test_ranks_agree_kills_change_no_bit_and_a_smaller_world_goes_on(job: Job, ears: tuple[Ear, Ear]) -> None:
    job.start_all()
    the_ranks_agree(*ears)
    survivor = job.ranks[0]
    job.kill(1, 14)
    assert wait(lambda: ears[0].of("resumed"))[-1]["step"] in {7, 10}
    assert job.ranks[0] is survivor
    assert survivor.poll() is None
    job.kill(0, 30)
    final = job.end()
    trainer = Trainer(SEED)
    expected = unkilled(trainer, 2, STEPS)
    assert job.losses(0) == job.losses(1) == expected
    assert final == {"step": STEPS, "sha256": trainer.digest()}
    assert float.fromhex(expected[STEPS]) < float.fromhex(expected[1])
    assert all(ear.of("finished")[-1]["step"] == STEPS for ear in ears)

    smaller = Job(job.folder, 1, STEPS + 20)
    smaller.ranks = [smaller.start(0, FORESTALL_RESUME_STEP=str(STEPS))]
    final = smaller.end()
    unkilled(trainer, 1, STEPS + 20)
    assert final == {"step": STEPS + 20, "sha256": trainer.digest()}
    smaller.close()


def the_ranks_agree(late: Ear, early: Ear) -> None:
    """The order of one cluster agent is fulfilled by both ranks; the other agent hears of it when it orders too."""
    wait(lambda: early.of("durable"), 240)
    assert not late.of("staged", "durable")
    late.order("c1", 3)
    wait(lambda: late.of("durable"))
    for ear in (late, early):
        (staged,), (durable,) = ear.of("staged"), ear.of("durable")
        assert (staged["command"], staged["step"], durable["step"]) == ("c1", 7, 7)
        ear.orders.clear()
    assert late.of("durable")[0]["uri"] == early.of("durable")[0]["uri"]
    assert late.of("durable")[0]["digest"] != early.of("durable")[0]["digest"]


def test_a_checkpoint_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path / "run", 2)
    assert job.start(0, FORESTALL_RESUME_STEP="30").wait(60) == 1
    assert "no good checkpoint of step 30" in job.said()
    job.close()


def test_a_survivor_leaves_training_before_it_waits_for_its_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []

    class Group:
        is_initialized = staticmethod(lambda: True)

        @staticmethod
        def destroy_process_group(group: str = "all groups") -> None:
            did.append(f"leave {group}")

    class Save:
        @staticmethod
        def wait() -> None:
            did.append("wait for the save")

    plan = torch_gpt_job.Plan(tmp_path, 0, 1, 1, 0.0, SEED, 1, 1, None)
    monkeypatch.setattr(torch_gpt_job, "dist", Group)
    rank = torch_gpt_job.Rank(plan, forestall_client.connect({}))
    rank._training, rank._checkpoints = "training", Save
    rank._leave_group()
    assert did == ["leave training", "wait for the save", "leave all groups"]


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
        job = Job(tmp_path / name, 4, 200, own_every=2)  # so that many a kill falls into a save
        job.start_all()
        for step in sorted(script.randrange(5, 180) for _ in range(kills)):
            job.kill(script.randrange(4), step)
        finals.append(job.end())
        assert job.losses(0) == job.losses(1) == job.losses(2) == job.losses(3)
        assert "Timed out" not in (job.folder / "output").read_text(), "ranks waited for each other"
        print(f"{name}: {kills} kills, {len(job.lines(0)) - 200} steps done again, {finals[-1]}")
        job.close()
    assert finals[0] == finals[1]
