"""The callbacks in the real Trainers of transformers and of Lightning, on tiny models, offline, each in a process.

Each process trains to step 40 with checkpoints ordered at 10 and 20, then cuts the one of step 20 and trains again: it
has to go on from step 10 and to end with the same weights.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch_process
from forestall_client import sealed
from rank_ear import Ear, Message, listening

pytestmark = pytest.mark.torch

TWICE = """
import pathlib, runpy, shutil, sys
import forestall_client.sealed as sealed
main, run, cut = runpy.run_path(sys.argv[1])["main"], pathlib.Path(sys.argv[2]), sys.argv[3]
main(["--directory", str(run), "--steps", "40"])
shutil.copy(run / "final.pt", run.parent / "first.pt")
newest = sealed.newest_good(run)
print("newest before the cut", newest.step)
with (newest.path / cut).open("r+b") as file:
    file.truncate((newest.path / cut).stat().st_size // 2)
print("newest after the cut", sealed.newest_good(run).step)
main(["--directory", str(run), "--steps", "40"])
"""


def order(command: str, number: int, step: int) -> Message:
    return {"type": "checkpoint", "command": command, "order": number, "step": step}


def train_twice(name: str, tmp_path: Path, cut: str) -> tuple[Ear, str]:
    """Run the example of a framework as told above; return what was heard, and what was said."""
    script = torch_process.EXAMPLES / name / "train.py"
    with listening(tmp_path, order("c1", 3, 10), order("c2", 4, 20)) as ear:
        more = {"FORESTALL_SOCKET": str(ear.path), "FORESTALL_RANK": "0", "HF_HUB_OFFLINE": "1"}
        words = [sys.executable, "-c", TWICE, str(script), str(tmp_path / "run"), cut]
        ran = subprocess.run(words, env=torch_process.environment(**more), capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return ear, ran.stdout


def check(ear: Ear, said: str, tmp_path: Path) -> None:
    """What holds for both frameworks."""
    torch = pytest.importorskip("torch")
    assert "newest before the cut 20" in said
    assert "newest after the cut 10" in said
    first = steps_until(ear.heard, "finished")
    assert [(one["type"], one["command"], one["step"]) for one in first if "command" in one] == [
        ("staged", "c1", 10),
        ("durable", "c1", 10),
        ("staged", "c2", 20),
        ("durable", "c2", 20),
    ]
    for one in ear.of("staged"):
        assert one["seconds"] > 0
        assert one["bytes"] > 1000
    assert all(len(one["digest"]) == 64 for one in ear.of("durable"))
    assert first[1]["type"] == "progress"
    assert all(one["loss"] > 0 and one["step_s"] > 0 for one in ear.of("progress"))
    assert [one["step"] for one in ear.of("resumed")] == [10]
    assert [one["step"] for one in ear.of("finished")] == [40, 40]
    one, other = torch.load(tmp_path / "first.pt"), torch.load(tmp_path / "run" / "final.pt")
    assert all(torch.equal(one[name], other[name]) for name in one)


def steps_until(heard: Sequence[Message], last: str) -> list[Message]:
    return list(heard[: next(place for place, one in enumerate(heard) if one["type"] == last) + 1])


@pytest.mark.skipif(importlib.util.find_spec("transformers") is None, reason="it is a callback for transformers")
def test_the_trainer_of_hugging_face(tmp_path: Path) -> None:
    ear, said = train_twice("huggingface", tmp_path, "optimizer.pt")
    check(ear, said, tmp_path)
    newest = sealed.newest_good(tmp_path / "run")
    assert newest is not None
    assert newest.path.name in {"checkpoint-10", "checkpoint-20"}


@pytest.mark.skipif(importlib.util.find_spec("lightning") is None, reason="it is a callback for Lightning")
def test_the_trainer_of_lightning(tmp_path: Path) -> None:
    ear, said = train_twice("lightning", tmp_path, "lightning.ckpt")
    check(ear, said, tmp_path)
