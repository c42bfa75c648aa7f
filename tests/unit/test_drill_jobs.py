"""The jobs of a drill by their files: starts that are witnessed, checkpoints that load or do not, steps done again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from forestall_client.sealed import seal

from experiments.training_job import checkpoint
from experiments.training_job.network import Trainer
from infra.drill.jobs import NumpyJob, TorchJob, Work, losses_of, path_of, repeated_steps
from infra.drill.witness import lines_of, witnessed

WORLD = 2


def test_a_start_is_written_down_and_the_process_is_the_rank_itself(tmp_path: Path) -> None:
    starts = tmp_path / "the starts.txt"
    told = [sys.executable, "-c", "import os, sys; print(os.getpid(), sys.argv[1])", "one argument"]
    place = {"FORESTALL_NODE": "n02", "FORESTALL_RANK": "2", "FORESTALL_WORLD": "4"}
    for resume in ({}, {"FORESTALL_RESUME_STEP": "160"}):
        process = subprocess.Popen(
            witnessed(told, starts), env={**os.environ, **place, **resume}, stdout=subprocess.PIPE, text=True
        )
        out, _ = process.communicate()
        assert out == f"{process.pid} one argument\n"
    assert lines_of(starts) == ["n02 2 4 -", "n02 2 4 160"]
    assert lines_of(tmp_path / "none") == []


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path / "job", steps=5, step_s=0.0, seed=3)


def written(work: Work, step: int) -> list[str]:
    """Both ranks' checkpoints of a step by the numpy job; returns where they are."""
    uris = []
    for rank in range(WORLD):
        trainer = Trainer(work.seed, rank)
        trainer.step = step
        path = checkpoint.path_of(work.directory / "checkpoints", step, rank, WORLD)
        checkpoint.write(path, checkpoint.serialise(trainer))
        uris.append(path.as_uri())
    return uris


def test_a_numpy_checkpoint_is_good_until_a_byte_is_missing(work: Work) -> None:
    uris, job = written(work, 4), NumpyJob()
    assert job.is_good(uris, 4)
    assert not job.is_good(uris, 5)
    path = path_of(uris[1])
    path.write_bytes(path.read_bytes()[:-1])
    assert not job.is_good(uris, 4)
    path.unlink()
    assert not job.is_good(uris, 4)


def test_final_weights_are_there_when_the_last_checkpoint_is(work: Work) -> None:
    job = NumpyJob()
    written(work, 4)
    assert job.weights(work, WORLD) is None
    written(work, 5)
    first = job.weights(work, WORLD)
    assert first is not None
    assert len(first) == 64
    other = Trainer(work.seed + 1, 1)
    checkpoint.write(checkpoint.path_of(work.directory / "checkpoints", 5, 1, WORLD), checkpoint.serialise(other))
    assert (job.weights(work, WORLD) or "").startswith("unequal")


def test_a_torch_checkpoint_is_good_until_a_byte_is_changed(tmp_path: Path) -> None:
    job, path = TorchJob(), tmp_path / "step-0000000004-00ff"
    path.mkdir()
    for rank in range(WORLD):
        (path / f"__{rank}_0.distcp").write_bytes(bytes(100))
        seal(path, 4, rank, WORLD, [path / f"__{rank}_0.distcp"])
    uris = [path.as_uri()] * WORLD
    assert job.is_good(uris, 4)
    assert not job.is_good(uris, 5)
    assert not job.is_good([path.as_uri(), tmp_path.as_uri()], 4)
    (path / "__1_0.distcp").write_bytes(bytes(99) + b"x")
    assert not job.is_good(uris, 4)


def test_the_torch_job_tells_its_final_weights_when_it_came_to_its_end(work: Work) -> None:
    job = TorchJob()
    assert job.weights(work, WORLD) is None
    final = work.directory.with_name("job-final.json")
    assert str(final) in job.command(work)
    final.write_text('{"step": 4, "sha256": "aa"}')
    assert job.weights(work, WORLD) is None
    final.write_text('{"step": 5, "sha256": "aa"}')
    assert job.weights(work, WORLD) == "aa"


def test_steps_done_again_are_counted_by_the_jobs_own_word(work: Work) -> None:
    work.directory.mkdir()
    lines = [f"{step} {(4.0 - step).hex()}" for step in (1, 2, 3)]
    (work.directory / "losses-rank-0.txt").write_text("\n".join([*lines, "2 0x1p-1", "3 0x1p-2"]) + "\n")
    (work.directory / "losses-rank-1.txt").write_text("\n".join(lines) + "\n")
    assert repeated_steps(work, WORLD) == 2
    assert losses_of(work) == {1: 3.0, 2: 0.5, 3: 0.25}
