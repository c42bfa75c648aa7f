"""One rank's loop without a cluster agent: it trains, checkpoints, goes on exactly, and knows what is lost."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from forestall_client import Client

from experiments.training_job import __main__ as command
from experiments.training_job import checkpoint
from experiments.training_job.job import LostCheckpoint, Plan, Rank


class Clock:
    """Time passes in sleep alone, and by ``work_s`` at each look."""

    def __init__(self, work_s: float = 0.0) -> None:
        self.at, self.work_s = 100.0, work_s
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += seconds

    def __call__(self) -> float:
        self.at += self.work_s
        return self.at


class Told(Client):
    """A client that nobody listens to, and what the job said to it."""

    def __init__(self, orders: dict[int, int] | None = None) -> None:
        super().__init__(None, 0)
        self.orders = orders or {}
        self.said: list[tuple[str, tuple[Any, ...]]] = []

    def due(self, step: int) -> int:
        return self.orders.get(step, 0)

    def ack_staged(self, step: int, seconds: float, bytes: int, order: int | None = None) -> None:
        self.said.append(("staged", (step, order)))
        assert bytes > 1000
        assert seconds >= 0

    def ack_durable(self, step: int, uri: str, digest: str) -> None:
        self.said.append(("durable", (step, uri, digest)))

    def resumed(self, step: int) -> None:
        self.said.append(("resumed", (step,)))

    def finished(self, step: int) -> None:
        self.said.append(("finished", (step,)))

    def of(self, what: str) -> list[tuple[Any, ...]]:
        return [words for name, words in self.said if name == what]


def plan(folder: Path, **changes: Any) -> Plan:
    wanted = {"rank": 0, "world": 1, "steps": 12, "step_s": 0.0, "seed": 7, "own_every": 1000, "resume": None}
    return Plan(directory=folder, **(wanted | changes))


def train(folder: Path, client: Told | None = None, clock: Clock | None = None, **changes: Any) -> Told:
    client, clock = client or Told(), clock or Clock()
    folder.mkdir(exist_ok=True)
    Rank(plan(folder, **changes), client, clock.sleep, clock).run()
    return client


def losses(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "losses-rank-0.txt").read_text().splitlines()
    return [(int(line.split()[0]), float.fromhex(line.split()[1])) for line in lines]


def test_it_trains_to_the_end_of_the_plan_and_leaves_a_good_checkpoint_of_it(tmp_path: Path) -> None:
    told = train(tmp_path)
    assert [step for step, _ in losses(tmp_path)] == list(range(1, 13))
    assert told.of("finished") == [(12,)]
    assert told.of("resumed") == []
    assert checkpoint.latest_good(tmp_path / "checkpoints", 1) == 12
    assert told.of("staged") == [(12, 0)]
    [(step, uri, digest)] = told.of("durable")
    path = Path(uri.removeprefix("file://"))
    assert (step, path) == (12, checkpoint.path_of(tmp_path / "checkpoints", 12, 0, 1))
    assert len(digest) == 64


def test_a_rank_that_goes_on_gets_the_same_losses_bit_for_bit(tmp_path: Path) -> None:
    train(tmp_path / "whole", steps=30)
    train(tmp_path / "halves", steps=18)
    told = train(tmp_path / "halves", steps=30)
    assert told.of("resumed") == [(18,)]
    assert losses(tmp_path / "halves") == losses(tmp_path / "whole")


def test_a_rank_whose_plan_is_done_does_no_step_more(tmp_path: Path) -> None:
    train(tmp_path)
    before = losses(tmp_path)
    told = train(tmp_path)
    assert losses(tmp_path) == before
    assert told.of("finished") == [(12,)]


def test_an_order_is_fulfilled_at_the_step_at_which_it_is_due(tmp_path: Path) -> None:
    told = train(tmp_path, Told({5: 3}))
    assert told.of("staged") == [(5, 3), (12, 0)]
    assert [step for step, _, _ in told.of("durable")] == [5, 12]


def test_it_checkpoints_unasked_at_its_own_interval(tmp_path: Path) -> None:
    told = train(tmp_path, own_every=4)
    assert told.of("staged") == [(4, 0), (8, 0), (12, 0)]


def test_a_step_takes_its_time_and_what_it_worked_is_taken_off(tmp_path: Path) -> None:
    clock = Clock(work_s=0.01)
    train(tmp_path, clock=clock, step_s=0.5, steps=8)
    assert len(clock.slept) == 8
    assert all(0.3 < seconds < 0.5 for seconds in clock.slept)


def test_a_step_that_took_longer_than_it_should_is_not_made_up_for_by_haste(tmp_path: Path) -> None:
    clock = Clock(work_s=2.0)
    train(tmp_path, clock=clock, step_s=0.5, steps=4)
    assert clock.slept == [0.0] * 4


def test_a_rank_told_to_take_up_a_step_that_is_not_there_says_which_is(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(LostCheckpoint, match=r"no good checkpoint of step 13 .*; the newest is 12"):
        train(tmp_path, steps=20, resume=13)
    assert len(losses(tmp_path)) == 12


def test_a_newer_checkpoint_than_asked_for_is_taken_up(tmp_path: Path) -> None:
    train(tmp_path)
    assert train(tmp_path, steps=14, resume=6).of("resumed") == [(12,)]


def test_told_to_begin_anew_it_says_that_it_resumed_from_nought(tmp_path: Path) -> None:
    """A restored rank's first word tells its cluster agent from which step: of a job without checkpoints, from 0."""
    assert train(tmp_path, resume=0).of("resumed") == [(0,)]


def test_on_a_full_disk_training_goes_on_and_the_last_good_checkpoint_is_still_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path)
    full = OSError(28, "No space left on device")

    def fsync(_: int) -> None:
        raise full

    monkeypatch.setattr(checkpoint.os, "fsync", fsync)
    told = train(tmp_path, steps=24, own_every=4)
    assert told.of("finished") == [(24,)]
    assert told.of("durable") == []
    assert "no checkpoint of step 24" in capsys.readouterr().err
    assert not list((tmp_path / "checkpoints").rglob("*.tmp"))
    monkeypatch.undo()
    assert checkpoint.latest_good(tmp_path / "checkpoints", 1) == 12
    assert train(tmp_path, steps=25).of("resumed") == [(12,)]


def test_a_rank_of_a_job_that_shrank_goes_on_from_the_larger_one_s_checkpoint(tmp_path: Path) -> None:
    larger = [
        threading.Thread(target=train, args=(tmp_path,), kwargs={"rank": rank, "world": 2, "steps": 300})
        for rank in range(2)
    ]
    for one in larger:
        one.start()
    for one in larger:
        one.join(60)
    before = losses(tmp_path)
    told = train(tmp_path, steps=340, resume=300)
    assert told.of("resumed") == [(300,)]
    after = losses(tmp_path)[len(before) :]
    assert [step for step, _ in after] == list(range(301, 341))
    first, last, now = (mean(loss for _, loss in part) for part in (before[:40], before[-40:], after))
    assert now < 1.3 * last < 0.7 * first, "the loss goes on where it was"
    assert train(tmp_path, steps=341, resume=340).of("resumed") == [(340,)]


def test_a_damaged_checkpoint_is_passed_over_for_an_older_good_one(tmp_path: Path) -> None:
    train(tmp_path, own_every=6)
    newest = checkpoint.path_of(tmp_path / "checkpoints", 12, 0, 1)
    newest.write_bytes(newest.read_bytes()[:-1])
    before = losses(tmp_path)
    told = train(tmp_path)
    assert told.of("resumed") == [(6,)]
    assert losses(tmp_path) == [*before, *before[6:]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command as a cluster agent starts it, without one."""

    def call(folder: Path, *words: str, **told: str) -> int:
        for name in ("SOCKET", "RANK", "WORLD", "RESUME_STEP"):
            monkeypatch.delenv(f"FORESTALL_{name}", raising=False)
        for name, value in told.items():
            monkeypatch.setenv(f"FORESTALL_{name}", value)
        monkeypatch.setattr(sys, "argv", ["training_job", "--directory", str(folder), "--step-s", "0", *words])
        return command.main()

    return call


def test_the_command_makes_its_folder_trains_and_ends_with_0(run: Callable[..., int], tmp_path: Path) -> None:
    assert run(tmp_path / "new" / "job", "--steps", "3") == 0
    assert len(losses(tmp_path / "new" / "job")) == 3


def test_the_command_takes_its_rank_and_step_from_the_environment(run: Callable[..., int], tmp_path: Path) -> None:
    assert run(tmp_path, "--steps", "3") == 0
    assert run(tmp_path, "--steps", "5", RESUME_STEP="3", WORLD="1", RANK="0") == 0
    assert [step for step, _ in losses(tmp_path)] == [1, 2, 3, 4, 5]


def test_the_command_ends_with_1_and_the_reason_where_its_checkpoint_is_lost(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--steps", "5", RESUME_STEP="500") == 1
    assert "training job: no good checkpoint of step 500" in capsys.readouterr().err
