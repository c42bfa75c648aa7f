"""Ranks of the torch example find each other, and again after one has died. Threads stand for processes."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "sdk" / "examples"
sys.path.insert(0, str(EXAMPLES))
from torch_gpt.rendezvous import KEEP, Rendezvous, Superseded  # noqa: E402

sys.path.remove(str(EXAMPLES))


def life(folder: Path, rank: int, world: int = 3) -> Rendezvous:
    return Rendezvous(folder, rank, world, time.sleep)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Run calls at once; return what each returned or raised."""
    results: list[Any] = [None] * len(calls)

    def run(place: int) -> None:
        try:
            results[place] = calls[place]()
        except Exception as fault:  # noqa: BLE001 - it is what the test looks at
            results[place] = fault

    threads = [threading.Thread(target=run, args=(place,), daemon=True) for place in range(len(calls))]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
        assert not one.is_alive(), "a rank waits in vain"
    return results


def test_all_ranks_come_to_one_place(tmp_path: Path) -> None:
    ranks = [life(tmp_path, rank) for rank in range(3)]
    stores = together(*(one.join for one in ranks))
    assert len(set(stores)) == 1
    assert {one.epoch for one in ranks} == {1}
    assert not any(one.has_moved_on() for one in ranks)


def test_a_rank_that_began_anew_meets_the_survivors_in_the_next_epoch(tmp_path: Path) -> None:
    ranks = [life(tmp_path, rank) for rank in range(3)]
    first = together(*(one.join for one in ranks))
    again = life(tmp_path, 1)
    second = together(ranks[0].join, again.join, ranks[2].join)
    assert len(set(second)) == 1
    assert second[0] != first[0]
    assert (ranks[0].epoch, again.epoch, ranks[2].epoch) == (2, 2, 2)


def test_survivors_notice_one_that_began_anew_though_their_group_holds(tmp_path: Path) -> None:
    ranks = [life(tmp_path, rank) for rank in range(2)]
    alone = [Rendezvous(tmp_path, rank, 2, time.sleep) for rank in range(2)]
    together(*(one.join for one in alone))
    assert not alone[0].has_moved_on()
    anew = Rendezvous(tmp_path, 1, 2, time.sleep)
    waiting = threading.Thread(target=anew.join, daemon=True)
    waiting.start()
    until = time.monotonic() + 30
    while not alone[0].has_moved_on():
        assert time.monotonic() < until
        time.sleep(0.005)
    alone[0].join()
    waiting.join(30)
    assert anew.epoch == alone[0].epoch == 2
    assert ranks[0].epoch == 0


def test_the_earlier_life_of_a_rank_ends_where_a_later_one_has_begun(tmp_path: Path) -> None:
    ranks = [life(tmp_path, rank) for rank in range(3)]
    together(*(one.join for one in ranks))
    later = life(tmp_path, 2)
    results = together(ranks[0].join, ranks[1].join, ranks[2].join, later.join)
    assert isinstance(results[2], Superseded)
    assert results[0] == results[1] == results[3]


def test_one_that_died_while_it_waited_does_not_hold_the_others(tmp_path: Path) -> None:
    ranks = [life(tmp_path, rank) for rank in range(2)]
    died = life(tmp_path, 2)
    died._enter(1)
    results = together(ranks[0].join, ranks[1].join)
    assert results[0] == results[1]
    again = life(tmp_path, 2)
    results = together(ranks[0].join, ranks[1].join, again.join)
    assert len(set(results)) == 1
    assert again.epoch == 2


@pytest.mark.parametrize("worlds", [(4, 3), (3, 4)])
def test_a_resized_job_never_meets_what_it_was(tmp_path: Path, worlds: tuple[int, int]) -> None:
    before, after = worlds
    together(*(life(tmp_path, rank, before).join for rank in range(before)))
    straggler = life(tmp_path, 0, before)
    threading.Thread(target=straggler.join, daemon=True).start()
    ranks = [life(tmp_path, rank, after) for rank in range(after)]
    stores = together(*(one.join for one in ranks))
    assert len(set(stores)) == 1
    assert f"world-{after}" in str(stores[0])
    assert straggler.epoch == 0


def test_many_deaths_leave_few_files(tmp_path: Path) -> None:
    ranks = [life(tmp_path, rank, 2) for rank in range(2)]
    for _ in range(10):
        ranks[1] = life(tmp_path, 1, 2)
        together(*(one.join for one in ranks))
    assert len({one.epoch for one in ranks}) == 1
    assert len(list((tmp_path / "world-2").glob("epoch-*"))) <= KEEP
