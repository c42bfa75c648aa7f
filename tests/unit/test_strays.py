"""A rank that its job went on without is ended as soon as its node is heard of, and counts for nothing until then."""

from __future__ import annotations

from typing import Any

import pytest
from decision_log import JOB, DecisionLog

from models.job import Place
from models.records import Command, Progress
from models.strays import LEFT_BEHIND


def left_behind(**set_to: Any) -> tuple[DecisionLog, Command]:
    """A job of four on five nodes: n1 failed, and n3 (rank 3 of 5) was silent while the others were resized, twice."""
    log = DecisionLog(**{"checkpoint_cost_s": 0.2, "migration_s": 1.0, "node_mtbf_days": 1.0, **set_to})
    log.declared = {"min_nodes": 2, "replica_nodes": 1}
    log.start(5, ())
    log.save(*log.incident("n0", probability=0.6), step=100)
    log.incident("n0", "closed", 0.1)
    log.train(12)
    (missed,) = log.fate("n1")
    go_along(log, missed, "n0", "n2", "n4")
    (again,) = log.ticks(62)
    assert (again.action, again.ranks, again.world) == ("RESIZE", (0, 1, 3), 3)
    go_along(log, again, "n0", "n2", "n4")
    assert log.job.whole
    assert log.job.places["n3"].state == "failed"
    return log, missed


def go_along(log: DecisionLog, command: Command, *nodes: str) -> None:
    for new, node in enumerate(nodes):
        rank = log.job.rank_on(node)
        log.outcome(command, "accepted", node, rank)
        log.member(node, "running", rank=new, world=command.world)
        log.outcome(command, "done", node, rank)
        log.at += 0.01
    if log.job.resizing is None:
        log.progress((command.step or 0) + 1)


def refuse(log: DecisionLog, missed: Command, stage: Any = "expired") -> list[Command]:
    """The agent of n3 is there again, and finds the command that it missed."""
    log.outcome(missed, "received", "n3", 3)
    return log.outcome(missed, stage, "n3", 3, reason="it came 9 s after its expiry")


def is_the_end_of_it(answered: list[Command]) -> Command:
    assert [(one.action, one.node, one.ranks, one.spare) for one in answered] == [("MIGRATE", "n3", (3,), None)]
    assert answered[0].reason.rule == LEFT_BEHIND
    return answered[0]


def test_one_that_refuses_the_resize_too_late_is_ended_and_is_at_hand_then() -> None:
    log, missed = left_behind()
    command = is_the_end_of_it(refuse(log, missed))
    assert log.member("n3", "running", rank=3, world=5) == [], "it is on its way"
    log.carry_out(command)
    assert log.job.places["n3"] == Place("vacated", log.at, left="surplus")
    assert not log.job.strays
    log.restart()
    log.member("n3", "vacated")
    answered = [*log.train(30)]
    while not any(one.action == "RESIZE" for one in answered):
        saves = [one for one in answered if one.action == "CHECKPOINT"]
        answered = log.save(saves[0], step=log.job.step or 0) if saves else log.train(30)
    assert [(one.action, one.node) for one in answered] == [("RESIZE", None), ("RESTORE", "n3")]


def test_one_whose_agent_says_that_it_runs_is_ended() -> None:
    log, _ = left_behind()
    log.restart()
    is_the_end_of_it(log.member("n3", "running", rank=3, world=5))


def test_one_that_refuses_at_once_is_ended_once_the_others_have_begun() -> None:
    log, _ = left_behind()
    log.train(12)
    (resize,) = log.fate("n4")
    log.outcome(resize, "rejected", "n2", 1, reason="6 disruptions in an hour")
    answered = log.outcome(resize, "accepted", "n0", 0)
    assert [(one.action, one.node, one.ranks) for one in answered] == [("MIGRATE", "n2", (1,))]


def test_a_silent_one_is_told_nothing_and_one_that_failed_or_waits_is_none() -> None:
    log, _ = left_behind()
    assert log.ticks(900) == []
    log.fate("n3")
    assert not log.job.strays
    log, _ = left_behind()
    log.member("n3", "spare")
    log.tick()
    assert not log.job.strays


def test_its_number_is_not_believed_even_when_the_job_has_its_size_again() -> None:
    log, missed = left_behind()
    log.job.full_world = None
    (command,) = log.member("n3", "running", rank=1, world=3)
    assert (command.action, command.node, command.ranks) == ("MIGRATE", "n3", (1,))
    assert log.job.rank_on("n2") == 1
    assert log.job.rank_on("n3") is None
    assert refuse(log, missed) == []


def test_what_it_says_of_a_checkpoint_and_of_its_progress_counts_for_nothing() -> None:
    log, _ = left_behind()
    answered: list[Command] = []
    while not answered:
        answered = log.train(1)
    (checkpoint,) = answered
    assert checkpoint.action == "CHECKPOINT"
    log.outcome(checkpoint, "durable", "n3", 2, step=7)
    log.put(Progress(id="p", job=JOB, node="n3", rank=2, at=log.at + 1, step=9, loss=1.0, step_s=0.5, load=0.0))
    assert log.job.paces[2].node == "n4"
    step = log.job.step or 0
    log.save(checkpoint, step=step)
    assert log.job.saved is not None
    assert log.job.saved.step == step


def test_one_that_comes_along_after_all_to_a_lost_rank_is_taken_back() -> None:
    log, _ = left_behind(breaker_nodes=9)
    log.train(12)
    (smaller,) = log.fate("n4")
    go_along(log, smaller, "n0", "n2")
    log.train(12)
    assert log.fate("n2") == []
    log.member("n3", "running", rank=1, world=2)
    assert log.job.rank_on("n3") == 1
    assert not log.job.strays


@pytest.mark.parametrize("held", ["paused", "opted out"])
def test_a_pause_and_an_opt_out_hold_it(held: str) -> None:
    log, missed = left_behind()
    if held == "paused":
        log.pause(job=JOB)
        assert refuse(log, missed) == []
        is_the_end_of_it(log.pause(job=JOB, on=False))
    else:
        log.opt_out("n3")
        assert refuse(log, missed) == []
        is_the_end_of_it(log.opt_out("n3", out=False))


@pytest.mark.parametrize("end", ["failed", "rejected", "expired"])
def test_one_that_refuses_that_is_told_again_after_a_cool_down(end: Any) -> None:
    log, missed = left_behind(cool_down_s=200.0)
    log.carry_out(is_the_end_of_it(refuse(log, missed)), end, reason="why")
    assert log.ticks(199) == []
    is_the_end_of_it(log.ticks(2))


def test_one_that_is_silent_then_is_told_again_when_it_is_heard_of() -> None:
    log, missed = left_behind()
    command = is_the_end_of_it(refuse(log, missed))
    assert log.ticks(900) == []
    is_the_end_of_it(log.outcome(command, "expired", "n3", 3, reason="late"))


def test_a_node_that_was_let_go_and_refuses_that_is_told_again() -> None:
    log = DecisionLog(checkpoint_cost_s=0.2, migration_s=1.0, node_mtbf_days=1.0, cool_down_s=60.0)
    log.declared = {"min_nodes": 2, "replica_nodes": 2}
    log.start(4, ())
    log.save(*log.incident("n0", probability=0.6), step=100)
    log.incident("n0", "closed", 0.1)
    log.train(12)
    (resize,) = log.fate("n1")
    go_along(log, resize, "n0", "n2")
    (release,) = [one for one in log.commands if one.action == "MIGRATE"]
    log.carry_out(release, "failed", reason="no disk")
    answered = [one for one in log.ticks(62) if one.action == "MIGRATE"]
    assert [(one.node, one.ranks) for one in answered] == [("n3", (3,))]


def growing(*, spare: str = "s0") -> tuple[DecisionLog, Command]:
    """A job of three on two nodes, which is told to grow back: the spare has begun to join it."""
    log = DecisionLog(checkpoint_cost_s=0.2, migration_s=1.0, node_mtbf_days=1.0, breaker_nodes=9)
    log.declared = {"min_nodes": 1, "replica_nodes": 1}
    log.start(3, ())
    log.save(*log.incident("n0", probability=0.6), step=100)
    log.incident("n0", "closed", 0.1)
    log.train(12)
    (resize,) = log.fate("n1")
    go_along(log, resize, "n0", "n2")
    log.train(12)
    log.member(spare, "spare")
    answered: list[Command] = []
    while not any(one.action == "RESIZE" for one in answered):
        saves = [one for one in answered if one.action == "CHECKPOINT"]
        answered = log.save(saves[0], step=log.job.step or 0) if saves else log.train(30)
    assert [(one.action, one.node) for one in answered] == [("RESIZE", None), ("RESTORE", spare)]
    return log, answered[0]


def test_a_node_that_was_to_join_what_came_to_nothing_is_left_alone_while_it_is_opted_out() -> None:
    log, _ = growing()
    log.opt_out("s0")
    assert log.ticks(70) == [], "nobody came along"
    answered = log.opt_out("s0", out=False)
    assert [(one.action, one.node, one.ranks) for one in answered] == [("MIGRATE", "s0", (2,))]


def test_a_resize_that_follows_one_at_once_and_comes_to_nothing_leaves_the_size_that_there_was() -> None:
    log, resize = growing()
    go_along(log, resize, "n0")
    assert log.ticks(1) == []
    log.outcome(resize, "accepted", "n2", 1)
    answered = log.ticks(200)
    assert log.job.size == 3
    assert all(max(one.ranks) < (one.world or 3) for one in answered if one.action == "RESTORE")
