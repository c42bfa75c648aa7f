"""Kill -9 real processes while they save by the torch client, again and again; say what was left each time.

Run by ``test_killed_while_saving.py``: ``python tests/killed_saver.py DIRECTORY KILLS WORLD SEED``. torch is imported
once; the ranks are forked. One of them, drawn by the seed, is killed at a random moment of the saving; the others are
killed after it. Each second time the moment is put off until a save is half-written. Each line of the output tells what
an inspection found: the newest step that every rank had called durable, the newest good step, what loading it gave, and
how many attempts lay half-written.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

import forestall_client
import torch
import torch.distributed as dist
import torch.distributed.checkpoint
from forestall_client import sealed
from forestall_client.torch import Checkpoints

NUMBERS = 200_000
#: After so many seconds of saving the killing is over.
SECONDS_MAX = 0.6


def state_of(step: int) -> dict[str, Any]:
    return {"weights": torch.full((NUMBERS,), float(step)), "moments": torch.full((NUMBERS // 2,), -float(step))}


def save_for_ever(directory: Path, rank: int, world: int, store: Path, first: int) -> None:
    """One rank: save step after step, by turns in both ways; write down what is durable."""
    if world > 1:
        files = dist.FileStore(str(store), world)
        dist.init_process_group("gloo", store=files, rank=rank, world_size=world, timeout=timedelta(seconds=60))
    checkpoints = Checkpoints(forestall_client.connect({}), directory / "checkpoints")
    with (directory / f"durable-{rank}").open("a", buffering=1) as durable:
        for step in range(first, first + 1_000_000):
            if step % 2:
                checkpoints.save(step, state_of(step))
            else:
                checkpoints.save_async(step, state_of(step))
            if checkpoints.wait():
                durable.write(f"{step}\n")


def told_durable(directory: Path, world: int) -> int:
    """Return the newest step that every rank has called durable."""
    told = []
    for rank in range(world):
        path = directory / f"durable-{rank}"
        lines = path.read_text().splitlines() if path.exists() else []
        told.append({int(one) for one in lines})
    return max(set.intersection(*told), default=0)


def half_written(directory: Path) -> int:
    """Count the attempts that lie there and are newer than the newest good one."""
    newest = sealed.newest_good(directory / "checkpoints")
    there = sealed.found(directory / "checkpoints")
    return sum(1 for one in there if newest is None or one.step > newest.step)


def stop_within_a_save(children: list[int], directory: Path, drawn: random.Random) -> None:
    """Let the ranks go on until they stand still in the middle of a save, or it takes too long."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for child in children:
            os.kill(child, signal.SIGSTOP)
            os.waitpid(child, os.WUNTRACED)
        if half_written(directory):
            return
        for child in children:
            os.kill(child, signal.SIGCONT)
        time.sleep(drawn.random() * 0.01)


def inspect(directory: Path, world: int) -> dict[str, Any]:
    """Load what is newest and good, as a job that is started again would."""
    half = half_written(directory)
    state = state_of(0)
    step = Checkpoints(forestall_client.connect({}), directory / "checkpoints").load(state)
    is_whole = all(torch.equal(state[name], state_of(step)[name]) for name in state)
    return {"durable": told_durable(directory, world), "good": step, "whole": is_whole, "half": half}


def main() -> None:
    directory, kills, world, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
    torch.set_num_threads(1)
    drawn = random.Random(seed)
    first = 1
    for attempt in range(kills):
        children = []
        for rank in range(world):
            child = os.fork()
            if child == 0:
                try:
                    save_for_ever(directory, rank, world, directory / f"store-{attempt}", first)
                finally:
                    os._exit(1)
            children.append(child)
        until = time.monotonic() + 60  # the first save of this life is over, or it takes too long to wait for
        while told_durable(directory, world) < first and time.monotonic() < until:
            time.sleep(0.002)
        time.sleep(drawn.random() * SECONDS_MAX)
        drawn.shuffle(children)
        if attempt % 2 == 0:
            stop_within_a_save(children, directory, drawn)
        for child in children:
            os.kill(child, signal.SIGKILL)
        codes = [os.waitpid(child, 0)[1] for child in children]
        assert all(os.WTERMSIG(code) == signal.SIGKILL for code in codes)
        found = inspect(directory, world)
        print(json.dumps(found), flush=True)
        first = found["good"] + 1 if attempt % 2 else found["good"] + 2


if __name__ == "__main__":
    main()
