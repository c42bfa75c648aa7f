"""Two and three nodes at once, and fewer spares than that: who comes first, who waits, and that each story ends."""

from __future__ import annotations

import pytest
from decision_log import DecisionLog

from models.flights import EFFECT_SECONDS_MAX
from models.records import Command


def started(spares: int = 1, **set_to: object) -> DecisionLog:
    """A job of four ranks with a durable checkpoint at step 100."""
    log = DecisionLog(**{"eta": 0.1, **set_to}).start(4, ())
    for checkpoint in log.incident("n0", probability=0.05):
        log.save(checkpoint, step=100)
    log.incident("n0", "closed", 0.01)
    for number in range(spares):
        log.member(f"s{number}", "spare")
    log.train(12)
    return log


def holds(log: DecisionLog) -> dict[str, str | None]:
    return {one.node: None if one.hold is None else one.hold.why for one in log.job.rescues.values()}


def alarmed(log: DecisionLog, **nodes: float) -> list[Command]:
    """Alarms about several nodes, and the one checkpoint of them all durable; what follows."""
    answered: list[Command] = []
    for node, probability in nodes.items():
        answered += log.incident(node, probability=probability)
    (checkpoint,) = answered
    return log.save(checkpoint, step=log.job.step or 0)


def test_the_node_of_the_largest_expected_loss_gets_the_only_spare() -> None:
    log = started()
    (migrate,) = alarmed(log, n1=0.75, n2=0.99, n3=0.8)
    assert (migrate.node, migrate.spare) == ("n2", "s0")
    losses = migrate.reason.numbers["expected_loss_s"]
    assert losses == pytest.approx(0.99 * (0.4 + 60.0 + 180.0)), "W as measured, D and R; nothing is unsaved"
    assert holds(log) == {"n1": "no spare is free", "n2": None, "n3": "no spare is free"}


def test_who_waited_is_next_and_says_how_long() -> None:
    log = started()
    alarmed(log, n1=0.75, n2=0.99, n3=0.8)
    log.ticks(10)
    answered = log.member("s1", "spare")
    assert [(one.action, one.node, one.spare) for one in answered] == [("MIGRATE", "n3", "s1")]
    assert "after held 10 s: no spare is free" in answered[0].reason.rule
    assert holds(log)["n1"] == "no spare is free"


def test_a_rank_that_is_down_comes_before_one_that_is_suspected() -> None:
    log = started()
    (checkpoint,) = log.incident("n2", probability=0.99)
    (restore,) = log.fate("n1")
    assert (restore.action, restore.node, restore.ranks) == ("RESTORE", "s0", (1,))
    assert log.save(checkpoint, step=log.job.step or 0, ranks=(0, 2, 3)) == []
    log.ticks(31)
    assert holds(log)["n2"] == "no spare is free"


def test_ranks_that_are_down_are_served_in_the_order_in_which_they_went_down_and_start_together() -> None:
    log = started(spares=0)
    log.fate("n3")
    log.at += 1.0
    log.fate("n1")
    assert set(holds(log).values()) == {"no spare is free"}
    assert log.member("s0", "spare") == []
    waits = holds(log)
    assert waits == {"n3": "no spare is free for rank 1, without which none goes on", "n1": "no spare is free"}
    held = {one.node: one.spare for one in log.job.rescues.values()}
    assert held == {"n3": "s0", "n1": None}
    log.ticks(200)
    assert not [one for one in log.commands if one.action == "RESTORE"], "a rank cannot take a step alone"
    answered = log.member("s1", "spare")
    assert sorted((one.node or "", one.ranks) for one in answered) == [("s0", (3,)), ("s1", (1,))]
    assert all("no spare is free" in one.reason.rule for one in answered)


def test_a_checkpoint_serves_all_that_are_suspected_and_no_spare_is_given_twice() -> None:
    log = started(spares=3)
    answered = alarmed(log, n1=0.9, n2=0.95, n3=0.99)
    assert [(one.node, one.spare) for one in answered] == [("n3", "s0"), ("n2", "s1"), ("n1", "s2")]
    assert len([one for one in log.commands if one.action == "CHECKPOINT"]) == 2


def test_two_jobs_of_a_partition_never_get_the_same_node() -> None:
    log = started()
    other = log.state.job("another")
    other.places["s0"] = log.job.places["s0"]
    (migrate,) = alarmed(log, n2=0.9)
    assert migrate.spare == "s0"
    assert "s0" in log.state.reserved()


def test_a_spare_that_dies_while_it_is_moved_to_is_replaced() -> None:
    log = started(spares=2)
    (migrate,) = alarmed(log, n2=0.9)
    log.fate("s0")
    (restore,) = log.carry_out(migrate)
    assert restore.node == "s1"


def test_a_spare_that_dies_while_its_rank_starts_is_replaced_and_told() -> None:
    log = started(spares=2)
    (migrate,) = alarmed(log, n2=0.9)
    (restore,) = log.carry_out(migrate)
    log.outcome(restore, "accepted", "s0")
    (again,) = log.fate("s0")
    assert (again.action, again.node) == ("RESTORE", "s1")
    assert "the spare s0 failed" in again.reason.rule


def test_a_node_that_recovers_while_its_rank_is_moved_is_left_all_the_same() -> None:
    log = started()
    (migrate,) = alarmed(log, n2=0.9)
    log.incident("n2", "closed", 0.1)
    (restore,) = log.carry_out(migrate)
    log.carry_out(restore)
    assert log.job.rank_on("s0") == 2
    assert not log.job.rescues


def test_an_agent_that_accepts_a_restore_and_never_ends_it_gives_way_to_another_spare() -> None:
    log = started(spares=2)
    (migrate,) = alarmed(log, n2=0.9)
    (restore,) = log.carry_out(migrate)
    log.outcome(restore, "accepted", "s0")
    assert log.ticks(round(60 + EFFECT_SECONDS_MAX)) == []
    (again,) = log.ticks(2)
    assert (again.action, again.node) == ("RESTORE", "s1")


def test_a_rank_that_was_lost_before_any_checkpoint_says_that_nothing_can_be_done() -> None:
    log = DecisionLog().start()
    assert log.fate("n1") == []
    (waits,) = holds(log).values()
    assert waits is not None
    assert waits.startswith("no checkpoint is durable at every rank")


# -- waiting, or a node that was only suspected


def test_a_job_that_would_wait_takes_back_a_node_that_it_left_on_a_suspicion() -> None:
    log = started(migration="break-even", migration_s=1.0)
    log.job.trust = log.job.trust._replace(sparse=log.job.trust.sparse._replace(hits=50.0))
    (migrate,) = alarmed(log, n2=0.9)
    (restore,) = log.carry_out(migrate, step=log.job.step or 0)
    log.carry_out(restore)
    log.member("n2", "vacated")
    log.train(2)
    (back,) = log.fate("n1")
    assert (back.action, back.node, back.ranks) == ("RESTORE", "n2", (1,))
    assert "left on a suspicion: better than to wait" in back.reason.rule
    assert log.job.alarms["incident-n2"].left
    log.carry_out(back)
    assert log.job.rank_on("n2") == 1
    assert not log.job.alarms["incident-n2"].left, "its alarm stands again"


@pytest.mark.parametrize("told", ["failed", "vacated"])
def test_not_one_that_has_failed_since_or_that_others_vacated(told: str) -> None:
    log = started(spares=1 if told == "failed" else 0, migration="break-even", migration_s=1.0)
    log.job.trust = log.job.trust._replace(sparse=log.job.trust.sparse._replace(hits=50.0))
    if told == "failed":
        (migrate,) = alarmed(log, n2=0.9)
        (restore,) = log.carry_out(migrate, step=log.job.step or 0)
        log.carry_out(restore)
        log.fate("n2")
    else:
        log.member("n2", "vacated")
    log.train(2)
    assert log.fate("n1") == []
    assert "no spare is free" in (holds(log)["n1"] or "")


def refused(log: DecisionLog, restore: Command) -> list[Command]:
    """The spare's agent does not start the rank."""
    assert restore.node is not None
    return log.outcome(restore, "expired", restore.node)


def test_no_node_is_left_for_a_spare_that_the_lost_rank_tried_in_vain() -> None:
    """Else two ranks would be down, each waiting for the other to have a node."""
    log = started()
    (restore,) = log.fate("n1")
    assert refused(log, restore) == []
    assert [one.phase for one in log.job.rescues.values()] == ["lost"]
    assert [one.action for one in log.incident("n2", probability=0.99)] == []
    assert [one.action for one in log.ticks(60)] == []
    assert log.job.rank_on("n2") == 2


def test_a_spare_that_was_tried_in_vain_is_tried_once_more_after_a_cool_down() -> None:
    log = started(cool_down_s=120.0)
    (restore,) = log.fate("n1")
    assert refused(log, restore) == []
    assert log.ticks(119) == []
    (again,) = log.ticks(3)
    assert (again.action, again.node, again.ranks) == ("RESTORE", "s0", restore.ranks)
    assert "expired" in again.reason.rule
    refused(log, again)
    assert log.ticks(119) == [], "and no oftener"
