"""Checkpoints of the demonstration job: whole or absent, whatever byte a crash came at; the last good one loads."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from experiments.training_job import checkpoint
from experiments.training_job.checkpoint import BadCheckpoint, Good
from experiments.training_job.network import SIZE, Trainer


def trained(steps: int, rank: int = 0) -> Trainer:
    trainer = Trainer(seed=7, rank=rank)
    for _ in range(steps):
        trainer.apply(trainer.local_gradient()[1])
    return trainer


def save(folder: Path, step: int, ranks: range) -> None:
    for rank in ranks:
        checkpoint.write(checkpoint.path_of(folder, step, rank, len(ranks)), checkpoint.serialise(trained(step, rank)))


def test_a_loaded_trainer_goes_on_bit_for_bit(tmp_path: Path) -> None:
    save(tmp_path, 5, range(1))
    whole, loaded = trained(9), Trainer(seed=7, rank=3)
    checkpoint.load(checkpoint.path_of(tmp_path, 5, 0, 1), loaded)
    for _ in range(4):
        loaded.apply(loaded.local_gradient()[1])
    assert loaded.step == whole.step == 9
    for name in ("parameters", "momentum", "square"):
        assert getattr(loaded, name).tobytes() == getattr(whole, name).tobytes()
    assert loaded.local_gradient()[0] == whole.local_gradient()[0]


def test_training_learns() -> None:
    trainer = trained(0)
    first = np.mean([trainer.local_gradient()[0] for _ in range(20)])
    last = np.mean([trained(600).local_gradient()[0] for _ in range(1)])
    assert last < first / 4


def test_the_gradient_is_that_of_the_loss() -> None:
    trainer = trained(3)
    at = trainer.random.bit_generator.state
    _, gradient = trainer.local_gradient()
    rng = np.random.default_rng(1)
    direction = rng.normal(size=SIZE)
    losses = []
    for sign in (1.0, -1.0):
        trainer.random.bit_generator.state = at
        trainer.parameters += sign * 1e-6 * direction
        losses.append(trainer.local_gradient()[0])
        trainer.parameters -= sign * 1e-6 * direction
    slope = (losses[0] - losses[1]) / 2e-6
    assert slope == pytest.approx(float(gradient @ direction), rel=1e-5)


def test_a_file_cut_at_any_byte_or_changed_in_any_is_not_good(tmp_path: Path) -> None:
    path = checkpoint.path_of(tmp_path, 1, 0, 1)
    data = checkpoint.serialise(trained(1))
    checkpoint.write(path, data)
    assert checkpoint.is_good(tmp_path, 1, 1)
    for cut in [*range(64), *range(64, len(data), 131), len(data) - 1]:
        path.write_bytes(data[:cut])
        assert not checkpoint.is_good(tmp_path, 1, 1)
    for place in [*range(56), *range(56, len(data), 131)]:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(BadCheckpoint):
            checkpoint.read(path)


def test_what_was_interrupted_before_the_rename_is_not_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, 5, range(2))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(checkpoint.path_of(tmp_path, 9, 0, 1), checkpoint.serialise(trained(9)))
    monkeypatch.undo()
    assert list((tmp_path / "step-0000000009").iterdir())
    assert checkpoint.latest_good(tmp_path, 2) == 5


def test_the_latest_good_one_has_every_rank_s_file(tmp_path: Path) -> None:
    assert checkpoint.latest_good(tmp_path / "none", 2) is None
    save(tmp_path, 5, range(3))
    save(tmp_path, 9, range(2))
    assert checkpoint.latest_good(tmp_path, 3) == 5
    assert checkpoint.latest_good(tmp_path, 2) == 9
    checkpoint.path_of(tmp_path, 5, 1, 3).write_bytes(b"")
    assert checkpoint.latest_good(tmp_path, 3) is None


def test_the_two_newest_good_ones_are_kept_and_nothing_newer_than_the_good_one_is_touched(tmp_path: Path) -> None:
    for step in (2, 4, 6, 8):
        save(tmp_path, step, range(2))
    checkpoint.path_of(tmp_path, 8, 1, 2).unlink()
    for rank in range(2):
        checkpoint.remove_older(tmp_path, rank, 2, 6)
    assert checkpoint.steps(tmp_path) == [8, 6, 4]
    assert checkpoint.latest_good(tmp_path, 2) == 6


def test_a_job_of_another_size_takes_up_the_step_it_was_told_whoever_wrote_it(tmp_path: Path) -> None:
    save(tmp_path, 5, range(4))
    assert checkpoint.to_take_up(tmp_path, 3, 5) == Good(5, 4)
    assert checkpoint.to_take_up(tmp_path, 3, None) == Good(5, 4)
    save(tmp_path, 9, range(4))
    assert checkpoint.to_take_up(tmp_path, 3, 5) == Good(5, 4), "the other ranks may have looked before 9 was there"
    assert checkpoint.to_take_up(tmp_path, 4, 5) == Good(9, 4), "the other ranks are beyond 9"
    assert checkpoint.to_take_up(tmp_path, 3, 7) is None


def test_a_job_that_has_its_size_goes_on_from_its_own_newest_and_grows_back_from_the_small_one_s(
    tmp_path: Path,
) -> None:
    save(tmp_path, 5, range(4))
    save(tmp_path, 8, range(3))
    assert checkpoint.to_take_up(tmp_path, 3, 5) == Good(8, 3)
    assert checkpoint.to_take_up(tmp_path, 4, 8) == Good(8, 3)
    checkpoint.path_of(tmp_path, 8, 2, 3).write_bytes(b"")
    assert checkpoint.to_take_up(tmp_path, 3, 5) == Good(5, 4)
    assert checkpoint.to_take_up(tmp_path, 4, 8) is None


def test_of_two_sizes_at_one_step_the_last_to_write_is_taken_up(tmp_path: Path) -> None:
    save(tmp_path, 5, range(4))
    save(tmp_path, 5, range(3))
    for rank in range(4):
        os.utime(checkpoint.path_of(tmp_path, 5, rank, 4), (100.0, 100.0))
    assert checkpoint.to_take_up(tmp_path, 2, 5) == Good(5, 3)
    checkpoint.path_of(tmp_path, 5, 0, 3).unlink()
    assert checkpoint.to_take_up(tmp_path, 2, 5) == Good(5, 4)


def test_files_of_ranks_that_are_no_more_are_removed_by_those_that_are(tmp_path: Path) -> None:
    save(tmp_path, 2, range(4))
    for step in (4, 6):
        save(tmp_path, step, range(2))
    for rank in range(2):
        checkpoint.remove_older(tmp_path, rank, 2, 6)
    assert checkpoint.steps(tmp_path) == [6, 4]


def test_a_resized_rank_holds_the_same_state_and_draws_samples_of_its_own(tmp_path: Path) -> None:
    save(tmp_path, 5, range(4))
    ranks = [Trainer(seed=7, rank=rank, lineage="world-3") for rank in range(3)]
    for rank, trainer in enumerate(ranks):
        checkpoint.load(checkpoint.path_of(tmp_path, 5, min(rank, 1), 4), trainer)
        trainer.lineage = "world-4"
        trainer.resize(7, rank, 3)
    assert len({trainer.local_gradient()[0] for trainer in ranks}) == 3
    assert len({trainer.lineage for trainer in ranks}) == 1
    assert ranks[0].lineage.startswith("world-3-from-")
    again = Trainer(seed=7, rank=0, lineage="world-2-from-elsewhere")
    again.step = 5
    again.resize(7, 0, 3)
    assert again.lineage != ranks[0].lineage, "what came another way exchanges gradients elsewhere"


def test_the_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = checkpoint.path_of(tmp_path, 1, 0, 1)
    digest = checkpoint.write(path, b"bytes")
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
