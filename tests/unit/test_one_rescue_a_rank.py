"""A rank that is down has one rescue, whatever befalls the nodes that it is brought to: it is restored on one of them.

A node that failed comes back as a spare, and is given the rank of another: what is under way for the rank that it ran
first must not be taken for the loss, or the new number, of the one that it runs now.
"""

from __future__ import annotations

from decision_log import DecisionLog

from models.records import Command


def saved_job() -> DecisionLog:
    """A job of three ranks that may go on smaller, saved at step 100."""
    log = DecisionLog(checkpoint_cost_s=0.2, migration_s=1.0, node_mtbf_days=1.0)
    log.declared = {"min_nodes": 1, "replica_nodes": 1}
    log.start(3, ())
    log.save(*log.incident("n0", probability=0.6), step=100)
    log.incident("n0", "closed", 0.1)
    log.train(12)
    return log


def restores(commands: list[Command]) -> list[tuple[str | None, tuple[int, ...]]]:
    return [(one.node, one.ranks) for one in commands if one.action == "RESTORE"]


def begun_and_died() -> tuple[DecisionLog, list[Command]]:
    """Rank 1 begins on s0, which says that it runs and fails before the RESTORE is done; two more spares are there."""
    log = saved_job()
    log.member("s0", "spare")
    log.at += 1.0
    (restore,) = log.fate("n1")
    assert restore.node == "s0"
    log.member("s1", "spare")
    log.member("s2", "spare")
    log.at += 1.0
    log.outcome(restore, "accepted", "s0", 1)
    log.member("s0", "running", rank=1, world=3)
    log.at += 1.0
    return log, log.fate("s0")


def test_a_node_that_fails_while_the_rank_begins_on_it_begins_no_second_rescue() -> None:
    log, answered = begun_and_died()
    assert restores(answered) == [("s1", (1,))]
    assert "the spare s0 failed" in answered[0].reason.rule
    log.restart()
    answered += log.carry_out(answered[0], step=100) + log.ticks(200)
    assert restores(answered) == [("s1", (1,))], "no second machine for the rank"
    assert log.job.whole
    assert not log.job.rescues


def test_one_whose_outcome_comes_before_the_word_that_it_failed_is_restored_once_too() -> None:
    log = saved_job()
    for spare in ("s0", "s1", "s2"):
        log.member(spare, "spare")
    log.at += 1.0
    (restore,) = log.fate("n1")
    log.member("s0", "running", rank=1, world=3)
    log.at += 1.0
    answered = log.outcome(restore, "failed", "s0", 1, reason="the rank has ended") + log.fate("s0") + log.ticks(2)
    assert restores(answered) == [("s1", (1,))]


def crossed() -> tuple[DecisionLog, Command]:
    """n2 and n1 failed while the job was paused; n1 is back and runs rank 2, rank 1 is being restored on s0."""
    log = saved_job()
    log.pause()
    for node in ("n2", "n1"):
        log.fate(node)
        log.at += 1.0
    log.fate("n1", "recovered")
    log.member("n1", "spare")
    answered = log.member("s0", "spare")
    assert restores(answered) == [("n1", (2,)), ("s0", (1,))]
    log.carry_out(answered[0], step=100)
    log.at += 1.0
    return log, answered[1]


def test_a_node_that_failed_before_fails_with_another_rank_and_both_are_restored() -> None:
    log, first = crossed()
    log.fate("n1")
    log.carry_out(first, step=100)
    answered = log.member("s1", "spare") + log.ticks(2)
    assert restores(answered) == [("s1", (2,))]
    log.carry_out(answered[0], step=100)
    assert log.job.whole


def test_what_was_lost_on_a_node_that_runs_another_rank_by_now_is_no_rank_of_the_smaller_job() -> None:
    log, _ = crossed()
    log.fate("s0")
    assert log.ticks(80) == []
    (resize,) = log.pause(on=False)
    assert (resize.action, resize.ranks, resize.world) == ("RESIZE", (0, 2), 2)
    answered = log.outcome(resize, "done", "n0", 0) + log.outcome(resize, "done", "n1", 2)
    answered += log.member("s1", "spare") + log.ticks(2)
    assert answered == [], "rank 1 runs, on n1"
    assert log.job.whole
    assert not log.job.rescues


def test_a_rank_that_was_lost_on_a_node_is_not_forgotten_when_that_node_is_let_go_again() -> None:
    log = saved_job()
    log.pause()
    for node in ("n1", "n2"):
        log.fate(node)
        log.at += 1.0
    log.fate("n1", "recovered")
    log.member("n1", "spare")
    answered = log.pause(on=False)
    assert [(one.action, one.node, one.ranks) for one in answered] == [
        ("RESIZE", None, (0,)),
        ("RESTORE", "n1", (1,)),
    ]
    log.ticks(80)
    assert sorted(one.rank for one in log.job.rescues.values() if not one.joins) == [1, 2], "nobody came along"
