"""Ranks of the demonstration job are killed at random moments: losses and weights are those of an unkilled run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiments.training_job import checkpoint

STEPS, WORLD = 150, 4


def start(folder: Path, rank: int) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "experiments.training_job", "--directory", str(folder)]
    words += ["--steps", str(STEPS), "--step-s", "0.01", "--own-every", "25"]
    environment = {**os.environ, "FORESTALL_RANK": str(rank), "FORESTALL_WORLD": str(WORLD)}
    return subprocess.Popen(words, env=environment)


def losses(folder: Path, rank: int) -> dict[int, str]:
    seen: dict[int, str] = {}
    for line in (folder / f"losses-rank-{rank}.txt").read_text().splitlines():
        step, loss = line.split()
        assert seen.setdefault(int(step), loss) == loss, f"step {step} of rank {rank} was done again and differs"
    return seen


def final_weights(folder: Path) -> list[bytes]:
    return [checkpoint.read(checkpoint.path_of(folder / "checkpoints", STEPS, rank, WORLD)) for rank in range(WORLD)]


def has_reached(folder: Path, rank: int, step: int) -> bool:
    try:
        return (folder / f"losses-rank-{rank}.txt").read_text().count("\n") >= step
    except FileNotFoundError:
        return False


def run(folder: Path, kills: list[tuple[int, int]]) -> int:
    """Train to the end; kill each (rank, after so many losses) and start it again; return how many kills fired."""
    folder.mkdir()
    ranks = [start(folder, rank) for rank in range(WORLD)]
    fired = 0
    until = time.monotonic() + 120
    todo = list(kills)
    while any(one.poll() is None for one in ranks):
        assert time.monotonic() < until
        if todo and has_reached(folder, todo[0][0], todo[0][1]):
            rank = todo.pop(0)[0]
            if ranks[rank].poll() is None:
                ranks[rank].send_signal(signal.SIGKILL)
                fired += ranks[rank].wait() == -signal.SIGKILL
                ranks[rank] = start(folder, rank)
        time.sleep(0.002)
    assert [one.wait() for one in ranks] == [0] * WORLD
    return fired


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("job") / "unkilled"
    run(folder, [])
    return folder


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_killed_and_restarted_rank_changes_no_bit(tmp_path: Path, unkilled: Path, seed: int) -> None:
    script = random.Random(seed)
    kills = sorted(((script.randrange(WORLD), script.randrange(5, 130)) for _ in range(3)), key=lambda kill: kill[1])
    assert run(tmp_path / "killed", kills) == 3, f"seed {seed}: a kill did not fire"
    for rank in range(WORLD):
        ours = losses(tmp_path / "killed", rank)
        assert sorted(ours) == list(range(1, STEPS + 1))
        assert ours == losses(unkilled, 0)
    assert final_weights(tmp_path / "killed") == final_weights(unkilled)


def test_the_loss_falls_and_is_the_same_on_every_rank(unkilled: Path) -> None:
    told = losses(unkilled, 0)
    assert all(losses(unkilled, rank) == told for rank in range(WORLD))
    assert float.fromhex(told[STEPS]) < float.fromhex(told[1])
