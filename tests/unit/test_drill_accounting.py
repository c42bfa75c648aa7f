"""What an arm came to is counted from records alone: each planted fault is found, and nothing else is."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.drill.accounting import (
    Durable,
    Start,
    acknowledged,
    double_effects,
    durable_checkpoints,
    starts_of,
    unmet_restores,
)
from models.records import Action, Cause, Command, Outcome, Reason, Stage

WORLD = 4
SPARE = "n04"


def command(number: int, action: Action, **given: Any) -> Command:
    return Command(
        id=f"c{number}",
        action=action,
        job="drill",
        generation=number,
        issued_at=float(number),
        expires_at=number + 60.0,
        reason=Reason(rule="a rule"),
        cause=Cause(0, number),
        **given,
    )


def told(order: Command, stage: Stage, node: str, rank: int | None, **given: Any) -> Outcome:
    return Outcome(
        id=f"{order.id}/{node}/{rank}/{stage}",
        job="drill",
        command=order.id,
        action=order.action,
        node=node,
        stage=stage,
        at=order.issued_at,
        rank=rank,
        **given,
    )


def checkpoint(number: int, step: int) -> tuple[Command, list[Outcome]]:
    order = command(number, "CHECKPOINT", ranks=tuple(range(WORLD)))
    stages: tuple[Stage, ...] = ("received", "accepted", "staged", "durable", "done")
    return order, [
        told(
            order, stage, f"n{rank:02d}", rank, step=step, uri=f"file:///{step}/{rank}" if stage == "durable" else None
        )
        for rank in range(WORLD)
        for stage in stages
    ]


def restore(number: int, rank: int, step: int, node: str = SPARE) -> tuple[Command, list[Outcome]]:
    order = command(number, "RESTORE", node=node, ranks=(rank,), step=step)
    stages: tuple[Stage, ...] = ("received", "accepted", "done")
    return order, [told(order, stage, node, rank, step=step) for stage in stages]


def beginning() -> list[Start]:
    return [Start(f"n{rank:02d}", rank, WORLD, None) for rank in range(WORLD)]


def test_what_the_witness_wrote_is_read() -> None:
    assert starts_of(["n00 0 4 -", "n04 2 3 160"]) == [Start("n00", 0, 4, None), Start("n04", 2, 3, 160)]


@given(st.lists(st.sampled_from(["checkpoint", "restore"]), max_size=12), st.randoms(use_true_random=False))
def test_whatever_order_outcomes_come_in_a_clean_arm_is_clean(kinds: list[str], shuffled: random.Random) -> None:
    made = [
        checkpoint(n, 10 * n) if kind == "checkpoint" else restore(n, n % WORLD, 10 * n) for n, kind in enumerate(kinds)
    ]
    commands = [order for order, _ in made]
    outcomes = [one for _, some in made for one in some]
    shuffled.shuffle(outcomes)
    starts = beginning() + [
        Start(order.node or "", order.ranks[0], WORLD, order.step) for order in commands if order.action == "RESTORE"
    ]
    shuffled.shuffle(starts)
    assert acknowledged(commands, outcomes) == len(commands)
    assert double_effects(commands, outcomes, starts, WORLD) == 0
    assert unmet_restores(outcomes, commands) == 0
    assert [one.command for one in durable_checkpoints(commands, outcomes)] == [
        order.id for order in commands if order.action == "CHECKPOINT"
    ]


@given(st.integers(0, WORLD - 1), st.sampled_from(["done", "failed", "expired", "rejected"]))
def test_a_command_to_all_ranks_is_over_when_each_has_told_its_end(missing: int, end: Stage) -> None:
    order, outcomes = checkpoint(1, 10)
    without = [one for one in outcomes if (one.rank, one.stage) != (missing, "done")]
    assert acknowledged([order], without) == 0
    assert acknowledged([order], [*without, told(order, end, "n00", missing)]) == 1


def test_a_command_that_nobody_answered_is_not_over() -> None:
    assert acknowledged([command(1, "MIGRATE", node="n02", ranks=(2,))], []) == 0


@given(st.integers(1, 3))
def test_a_rank_that_is_started_more_often_than_ordered_is_a_double_effect(more: int) -> None:
    order, outcomes = restore(1, 2, 160)
    starts = [*beginning(), *[Start(SPARE, 2, WORLD, 160)] * (1 + more)]
    assert double_effects([order], outcomes, starts, WORLD) == more


def test_a_start_that_nobody_ordered_is_one_too() -> None:
    assert double_effects([], [], [*beginning(), Start(SPARE, 2, WORLD, 160)], WORLD) == 1
    assert double_effects([], [], [*beginning(), Start(SPARE, 2, WORLD, None)], WORLD) == 1


def test_a_resize_starts_each_of_its_ranks_once() -> None:
    order = command(1, "RESIZE", ranks=(0, 1, 3), world=3, step=160)
    starts = [*beginning(), *(Start(f"n0{old}", new, 3, 160) for new, old in enumerate((0, 1, 3)))]
    assert double_effects([order], [], starts, WORLD) == 0
    assert double_effects([order], [], [*starts, starts[-1]], WORLD) == 1


@pytest.mark.parametrize("stage", ["staged", "durable", "done"])
def test_a_second_answer_to_one_command_is_a_double_effect(stage: Stage) -> None:
    order, outcomes = checkpoint(1, 10)
    first = next(one for one in outcomes if (one.rank, one.stage) == (3, stage))
    again = replace(first, id="again", step=11)
    assert double_effects([order], [*outcomes, again], beginning(), WORLD) == 1
    assert double_effects([order], [*outcomes, first], beginning(), WORLD) == 0


def test_a_checkpoint_counts_as_durable_when_every_rank_told_of_one_step() -> None:
    order, outcomes = checkpoint(1, 10)
    uris = tuple(f"file:///10/{rank}" for rank in range(WORLD))
    assert durable_checkpoints([order], outcomes) == [Durable("c1", 10, uris)]
    assert durable_checkpoints([order], [one for one in outcomes if one.rank != 2]) == []
    other = [replace(one, step=11) if one.rank == 2 else one for one in outcomes]
    assert durable_checkpoints([order], other) == []


def test_a_restore_that_went_on_from_an_older_step_found_its_checkpoint_lost() -> None:
    order, outcomes = restore(1, 2, 160)
    assert unmet_restores([replace(one, step=120) for one in outcomes], [order]) == 1
    assert unmet_restores([replace(one, step=200) for one in outcomes], [order]) == 0
    assert unmet_restores([], [order]) == 0
