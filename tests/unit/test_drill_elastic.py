"""The sizes that a job took and how its loss went on, from what was told of it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.drill.elastic import WINDOW, loss_report, turns_of, worlds_of
from models.records import Event, Membership, Progress


def runs(at: float, node: str, rank: int, world: int, job: str = "drill") -> Membership:
    return Membership(id=f"{node}-{at}", job=job, node=node, at=at, state="running", rank=rank, world=world)


def steps(at: float, step: int, job: str = "drill") -> Progress:
    return Progress(id=f"p{at}", job=job, node="n00", rank=0, at=at, step=step, loss=1.0, step_s=0.1, load=0.1)


def resized() -> list[Event]:
    before = [runs(rank / 10, f"n{rank:02d}", rank, 4) for rank in range(4)]
    smaller = [runs(50 + rank / 10, f"n{rank:02d}", rank, 3) for rank in range(3)]
    larger = [runs(90 + rank / 10, f"n{rank:02d}", rank, 4) for rank in range(4)]
    words = [steps(at, step) for at, step in ((10.0, 100), (49.0, 400), (55.0, 321), (80.0, 500), (95.0, 471))]
    return [*before, *smaller, *larger, *words]


@given(st.randoms(use_true_random=False))
def test_the_sizes_and_the_steps_at_which_they_changed(shuffled: object) -> None:
    events = resized()
    shuffled.shuffle(events)  # type: ignore[attr-defined]
    assert worlds_of(events, "drill") == [4, 3, 4]
    assert turns_of(events, "drill") == [321, 471]


def test_other_jobs_change_nothing() -> None:
    events = [*resized(), runs(60.0, "n09", 0, 8, job="other"), steps(61.0, 7, job="other")]
    assert worlds_of(events, "drill") == [4, 3, 4]
    assert turns_of(events, "drill") == [321, 471]
    assert worlds_of([], "drill") == turns_of([], "drill") == []


def falling(last: int, wobble: float = 0.05) -> dict[int, float]:
    return {step: 4.0 - 3.0 * step / last + wobble * math.sin(step) for step in range(1, last + 1)}


def test_a_loss_that_falls_through_every_turn_goes_on() -> None:
    found = loss_report(falling(600), [321, 471], falling(600))
    assert found["goes_on"]
    assert found["difference_max"] == 0.0
    assert [turn["step"] for turn in found["turns"]] == [321, 471]


@pytest.mark.parametrize("turn", [321, 471])
def test_a_loss_that_begins_anew_after_a_turn_does_not_go_on(turn: int) -> None:
    lost = {step: 4.0 if turn <= step < turn + WINDOW else loss for step, loss in falling(600).items()}
    found = loss_report(lost, [321, 471], falling(600))
    assert not found["goes_on"]
    assert found["difference_max"] > 1.0


def test_a_loss_that_never_falls_does_not_go_on() -> None:
    flat = dict.fromkeys(range(1, 601), 2.0)
    assert not loss_report(flat, [321], flat)["goes_on"]
