"""The all-reduce over a directory: equal on every rank, and a restarted rank sees what its first life saw."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from experiments.training_job.exchange import RECORD_BYTES, Exchange
from experiments.training_job.network import SIZE


def gradient(rank: int, step: int) -> np.ndarray:
    return np.random.default_rng([rank, step]).normal(size=SIZE)


def reduce_all(members: list[Exchange], step: int, orders: list[int]) -> list[tuple[int, float, bytes]]:
    found: dict[int, tuple[int, float, bytes]] = {}

    def one(rank: int) -> None:
        order, loss, mean = members[rank].all_reduce(step, orders[rank], float(rank), gradient(rank, step))
        found[rank] = (order, loss, mean.tobytes())

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(len(members))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return [found[rank] for rank in range(len(members))]


def members(folder: Path, start: int = 0) -> list[Exchange]:
    return [Exchange(folder, rank, 3, start, time.sleep) for rank in range(3)]


def test_every_rank_gets_the_same_bits_and_the_newest_order(tmp_path: Path) -> None:
    ranks = members(tmp_path)
    for step in (1, 2, 3):
        told = reduce_all(ranks, step, [0, step, 0])
        assert len(set(told)) == 1
        assert told[0][:2] == (step, 1.0)
    for one in ranks:
        one.close()


@pytest.mark.parametrize("torn", [0, 1, 30, RECORD_BYTES - 1])
def test_a_rank_that_starts_again_reads_what_was_said_and_its_torn_record_is_dropped(tmp_path: Path, torn: int) -> None:
    ranks = members(tmp_path)
    first = [reduce_all(ranks, step, [5, 0, 0])[2] for step in (1, 2)]
    ranks[2].close()
    path = tmp_path / "rank-2-after-0000000000.bin"
    path.write_bytes(path.read_bytes() + b"x" * torn)
    again = Exchange(tmp_path, 2, 3, 0, time.sleep)
    for step in (1, 2):
        assert again.has_sent(step)
        order, loss, mean = again.all_reduce(step, 0, -1.0, gradient(9, 9))
        assert (order, loss, mean.tobytes()) == first[step - 1]
    assert not again.has_sent(3)
    ranks[2] = again
    assert len(set(reduce_all(ranks, 3, [0, 0, 0]))) == 1
    for one in ranks:
        one.close()


def test_segments_begin_at_checkpoints_and_old_ones_go(tmp_path: Path) -> None:
    ranks = members(tmp_path)
    reduce_all(ranks, 1, [0, 0, 0])
    for one in ranks:
        one.begin_segment(1)
    assert len(set(reduce_all(ranks, 2, [0, 0, 0]))) == 1
    ranks[0].remove_older(1)
    assert sorted(path.name for path in tmp_path.glob("rank-0-*")) == ["rank-0-after-0000000001.bin"]
    assert (tmp_path / "rank-1-after-0000000000.bin").exists()
    for one in ranks:
        one.close()


def test_a_second_process_of_the_same_rank_is_kept_out_until_the_first_is_gone(tmp_path: Path) -> None:
    first = Exchange(tmp_path, 0, 1, 0, time.sleep)
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            first.close()

    second = Exchange(tmp_path, 0, 1, 0, sleep)
    assert len(waits) == 3
    second.close()


def test_a_lock_that_is_never_given_back_is_a_fault(tmp_path: Path) -> None:
    first = Exchange(tmp_path, 0, 1, 0, time.sleep)
    with pytest.raises(BlockingIOError):
        Exchange(tmp_path, 0, 1, 0, lambda _: None)
    first.close()
