"""A job that may go on smaller does so in place of waiting, has its ranks renumbered, and grows back."""

from __future__ import annotations

from typing import Any

import pytest
from decision_log import JOB, DecisionLog

from models.flights import EFFECT_SECONDS_MAX
from models.records import Command, Progress


def elastic(
    ranks: int = 4, spares: tuple[str, ...] = (), min_nodes: int = 2, replica_nodes: int = 1, **set_to: Any
) -> DecisionLog:
    """A job that declares what it may shrink to, with a durable checkpoint at step 100."""
    log = DecisionLog(**{"checkpoint_cost_s": 0.2, "migration_s": 1.0, "node_mtbf_days": 1.0, **set_to})
    log.declared = {"min_nodes": min_nodes, "replica_nodes": replica_nodes}
    log.start(ranks, spares)
    (checkpoint,) = log.incident("n0", probability=0.6)
    log.save(checkpoint, step=100)
    log.incident("n0", "closed", 0.1)
    return log


def actions(commands: list[Command]) -> list[tuple[str, str | None]]:
    return [(one.action, one.node) for one in commands]


def shrunk(log: DecisionLog, node: str = "n1") -> Command:
    """A node fails, no spare is there, and the RESIZE that follows."""
    log.train(12)
    answered = log.fate(node)
    assert actions(answered) == [("RESIZE", None)]
    return answered[0]


def resized(log: DecisionLog, command: Command, but: str | None = None, stage: Any = "done") -> list[Command]:
    """The agents of a RESIZE carry it out, one after the other; of ``but`` comes ``stage`` alone."""
    answered: list[Command] = []
    nodes = {log.job.rank_on(node): node for node in log.job.places}
    for new, rank in enumerate(command.ranks):
        node = nodes[rank]
        assert node is not None
        answered += log.outcome(command, "received", node, rank)
        if node == but:
            answered += log.outcome(command, stage, node, rank, reason="why")
            continue
        answered += log.outcome(command, "accepted", node, rank)
        answered += log.member(node, "running", rank=new, world=command.world)
        answered += log.outcome(command, "done", node, rank)
        log.at += 0.01
    if log.job.resizing is None:
        answered += log.progress((command.step or 0) + 1)
    return answered


def ranks_of(log: DecisionLog) -> dict[str, tuple[int | None, int | None]]:
    return {n: (place.rank, place.world) for n, place in log.job.places.items() if place.state == "running"}


# -- going on smaller


def test_a_lost_rank_without_a_spare_is_gone_on_without() -> None:
    log = elastic()
    command = shrunk(log)
    assert (command.ranks, command.world, command.step, command.node) == ((0, 2, 3), 3, 100, None)
    assert command.reason.rule.startswith("go on with 3 of 4 ranks: no spare is free for rank 1")
    numbers = command.reason.numbers
    assert (numbers["world"], numbers["full_world"], numbers["min_nodes"], numbers["replica_nodes"]) == (3, 4, 2, 1)
    assert resized(log, command) == []
    assert ranks_of(log) == {"n0": (0, 3), "n2": (1, 3), "n3": (2, 3)}
    assert log.job.whole
    assert not log.job.rescues
    assert (log.job.world, log.job.full_world) == (3, 4)


def test_a_job_that_is_smaller_saves_and_loses_like_any_other() -> None:
    log = elastic()
    resized(log, shrunk(log))
    (checkpoint,) = [one for one in log.train(500) if one.action == "CHECKPOINT"][:1]
    assert checkpoint.ranks == (0, 1, 2)
    log.save(log.commands[-1], step=log.job.step or 0)
    step = log.job.saved
    assert step is not None
    (again,) = log.fate("n3")
    assert (again.action, again.ranks, again.world, again.step) == ("RESIZE", (0, 1), 2, step.step)
    resized(log, again)
    assert log.job.full_world == 4
    log.train(5)
    assert log.fate("n0") == [], "no fewer than it declares"
    assert [one.hold.why for one in log.job.rescues.values() if one.hold] == ["no spare is free"]


def test_the_last_rank_of_a_smaller_job_is_restored_as_all_of_what_is_left() -> None:
    log = elastic(2, min_nodes=1, breaker_nodes=9)
    resized(log, shrunk(log, "n1"))
    assert actions(log.fate("n0")) == []
    log.restart()
    (restore,) = log.member("s9", "spare")
    assert (restore.action, restore.node, restore.ranks, restore.world) == ("RESTORE", "s9", (0,), 1)


def test_a_spare_is_better_than_to_go_on_smaller() -> None:
    log = elastic(spares=("s0",))
    log.train(5)
    (restore,) = log.fate("n1")
    assert (restore.action, restore.node, restore.world) == ("RESTORE", "s0", 4)


@pytest.mark.parametrize("declared", [{}, {"min_nodes": 4, "replica_nodes": 1}, {"min_nodes": 2, "replica_nodes": 4}])
def test_a_job_that_declares_nothing_or_cannot_waits(declared: dict[str, int]) -> None:
    log = DecisionLog()
    log.declared = declared
    log.start(4, ())
    log.save(*log.incident("n0", probability=0.6), step=100)
    assert log.fate("n1") == []
    assert log.ticks(5) == []


def test_it_waits_where_the_operator_wants_it() -> None:
    log = elastic(elastic=False)
    log.train(12)
    assert log.fate("n1") == []


def test_two_ranks_are_lost_and_one_spare_is_there() -> None:
    log = elastic(spares=("s0",))
    log.train(12)
    log.opt_out("s0")
    first = log.fate("n1")
    assert actions(first) == [("RESIZE", None)]
    log = elastic(ranks=5, spares=("s0",))
    log.train(12)
    (restore,) = log.fate("n1")
    log.carry_out(restore, "failed", reason="no disk")
    assert log.commands[-1].action == "RESIZE", "the only spare was tried in vain"
    assert "after RESTORE" in log.commands[-1].reason.rule
    assert "no disk" in log.commands[-1].reason.rule


def test_a_job_goes_on_with_the_spares_that_there_are_and_smaller_for_the_rest() -> None:
    log = elastic(ranks=5, spares=("s0", "s1"))
    log.train(12)
    log.opt_out("s0")
    log.opt_out("s1")
    log.pause()
    assert log.fate("n1") == []
    assert log.fate("n3") == []
    log.opt_out("s1", out=False)
    assert log.commands[-1].action == "CHECKPOINT", "a job goes on together: one spare is not enough for two"
    answered = log.pause(on=False)
    assert actions(answered) == [("RESIZE", None), ("RESTORE", "s1")]
    resize, restore = answered
    assert (resize.ranks, resize.world) == ((0, 2, 4), 4)
    assert (restore.ranks, restore.world, restore.step) == ((3,), 4, 100)
    resized(log, resize)
    log.carry_out(restore)
    assert ranks_of(log) == {"n0": (0, 4), "n2": (1, 4), "n4": (2, 4), "s1": (3, 4)}
    assert not log.job.rescues
    assert log.job.full_world == 5


def test_only_whole_replicas_go_on_and_the_nodes_of_the_rest_are_at_hand() -> None:
    log = elastic(ranks=6, min_nodes=2, replica_nodes=2)
    log.train(12)
    log.incident("n0", probability=0.55)  # the one that is suspected is the one to go
    answered = log.fate("n3")
    assert actions(answered) == [("RESIZE", None)]
    (resize,) = answered
    assert (resize.ranks, resize.world) == ((1, 2, 4, 5), 4)
    (release,) = resized(log, resize)
    assert (release.action, release.node, release.spare) == ("MIGRATE", "n0", None)
    log.carry_out(release)
    log.member("n0", "vacated")
    assert sorted(ranks_of(log)) == ["n1", "n2", "n4", "n5"]
    log.incident("n0", "closed", 0.1)
    log.member("n3", "spare")
    answered = log.train(30)
    assert log.save(answered[0], step=log.job.step or 0), "n0 and n3 fill a replica"
    assert [one.node for one in log.commands[-2:]] == ["n0", "n3"]


# -- what the agents tell meanwhile


def test_words_of_both_numberings_confuse_nothing() -> None:
    log = elastic()
    command = shrunk(log)
    log.member("n3", "running", rank=2, world=3)  # before n2, whose old number that is
    assert ranks_of(log)["n2"] == (2, 4)
    log.member("n2", "running", rank=2, world=4)  # a word of before
    log.member("n2", "running", rank=1, world=3)
    assert sorted(ranks_of(log)) == ["n0", "n2", "n3"]
    assert log.ticks(3) == []
    resized(log, command)
    assert ranks_of(log) == {"n0": (0, 3), "n2": (1, 3), "n3": (2, 3)}


def test_progress_of_another_number_is_not_taken_for_that_rank() -> None:
    log = elastic()
    command = shrunk(log)
    log.at += 1.0
    log.put(Progress(id="p", job=JOB, node="n2", rank=1, at=log.at, step=101, loss=1.0, step_s=0.5, load=0.0))
    assert 1 not in log.job.paces
    resized(log, command)
    log.at += 1.0
    log.put(Progress(id="q", job=JOB, node="n2", rank=1, at=log.at, step=102, loss=1.0, step_s=0.5, load=0.0))
    assert log.job.paces[1].node == "n2"


def test_while_it_is_resized_nothing_else_is_begun() -> None:
    log = elastic()
    command = shrunk(log)
    assert log.incident("n2") == []
    assert log.ticks(10) == []
    log.restart()
    answered = resized(log, command)
    rescue = log.job.rescues["incident-n2"]
    assert rescue.rank == 1, "which is its number now"
    assert [one.action for one in answered + log.train(2)] in ([], ["CHECKPOINT"])


def test_a_rank_of_an_earlier_world_that_comes_to_life_is_none_of_the_jobs() -> None:
    log = elastic()
    resized(log, shrunk(log))
    log.train(2)
    log.member("s9", "running", rank=1, world=4)
    assert sorted(ranks_of(log)) == ["n0", "n2", "n3"]
    assert log.job.whole


# -- what goes wrong


def test_a_rank_that_falls_out_is_lost_under_its_new_number() -> None:
    log = elastic(ranks=5)
    command = shrunk(log)
    assert command.ranks == (0, 2, 3, 4)
    answered = resized(log, command, but="n3", stage="rejected")
    (again,) = answered
    assert (again.action, again.ranks, again.world) == ("RESIZE", (0, 1, 3), 3)
    assert "rank 3 rejected: why" in again.reason.rule
    resized(log, again)
    assert ranks_of(log) == {"n0": (0, 3), "n2": (1, 3), "n4": (2, 3)}


def test_a_node_that_fails_amid_it_is_lost_once_the_others_are_on_their_way() -> None:
    log = elastic(ranks=5, spares=())
    command = shrunk(log)
    for node, rank in (("n0", 0), ("n2", 2)):
        log.outcome(command, "accepted", node, rank)
    assert log.fate("n3") == []
    assert log.job.resizing is not None, "n4 has not begun"
    (again,) = log.outcome(command, "accepted", "n4", 4)
    assert (again.action, again.ranks, again.world) == ("RESIZE", (0, 1, 3), 3)


def test_an_agent_that_is_silent_is_left_behind_at_the_deadline() -> None:
    log = elastic(ranks=5)
    command = shrunk(log)
    for node, rank in (("n0", 0), ("n2", 2), ("n4", 4)):
        log.outcome(command, "accepted", node, rank)
    assert log.ticks(60) == []
    answered = log.ticks(2)
    assert [(one.action, one.ranks) for one in answered] == [("RESIZE", (0, 1, 3))]
    assert log.job.places["n3"].state == "failed"


def test_a_resize_that_nobody_takes_is_tried_once_more_and_then_it_waits() -> None:
    log = elastic()
    shrunk(log)
    answered = log.ticks(70)
    assert [(one.action, one.ranks) for one in answered] == [("RESIZE", (0, 2, 3))]
    assert log.ticks(70) == []
    (rescue,) = log.job.rescues.values()
    assert rescue.hold is not None
    assert rescue.hold.why == "no spare is free"
    (restore,) = log.member("s0", "spare")
    assert (restore.action, restore.ranks, restore.world) == ("RESTORE", (1,), 4)
    assert "RESIZE" in restore.reason.rule


@pytest.mark.parametrize("ticks", [70, 140], ids=["while it is tried again", "when it was given up"])
@pytest.mark.parametrize("heard", [(), ("n2",)], ids=["their words are lost", "one tells its number first"])
def test_a_resize_that_all_carried_out_and_told_late_is_taken_in(ticks: int, heard: tuple[str, ...]) -> None:
    log = elastic()
    command = shrunk(log)
    log.ticks(ticks)
    for node in heard:
        log.member(node, "running", rank=1, world=3)
    for node, rank in (("n0", 0), ("n2", 2), ("n3", 3)):
        log.outcome(command, "accepted", node, rank)
        log.outcome(command, "done", node, rank)
    assert log.job.resizing is None
    assert ranks_of(log) == {"n0": (0, 3), "n2": (1, 3), "n3": (2, 3)}
    assert log.job.whole
    assert not log.job.rescues
    assert not [one for one in log.job.in_flight.values() if one.action == "RESIZE" and not one.late]


def test_a_late_word_of_a_resize_after_which_the_job_changed_again_changes_nothing() -> None:
    log = elastic(ranks=5)
    command = shrunk(log)
    log.ticks(140)
    log.fate("n4")
    before = ranks_of(log)
    for node, rank in (("n0", 0), ("n2", 2), ("n3", 3), ("n4", 4)):
        log.outcome(command, "accepted", node, rank)
        log.outcome(command, "done", node, rank)
    assert ranks_of(log) == before


def test_ranks_that_are_all_on_their_way_and_slow_are_not_taken_for_lost() -> None:
    log = elastic()
    command = shrunk(log)
    for node, rank in (("n0", 0), ("n2", 2), ("n3", 3)):
        log.outcome(command, "accepted", node, rank)
    assert log.ticks(round(EFFECT_SECONDS_MAX) + 65) == []
    assert log.job.resizing is None
    assert ranks_of(log) == {"n0": (0, 3), "n2": (1, 3), "n3": (2, 3)}


def test_a_pause_holds_it_and_says_so() -> None:
    log = elastic()
    log.train(12)
    log.pause()
    assert log.fate("n1") == []
    (rescue,) = log.job.rescues.values()
    assert rescue.hold is not None
    assert rescue.hold.why == "no spare is free, and no smaller job: paused by ann: storage"
    log.ticks(10)
    (resize,) = log.pause(on=False)
    assert resize.action == "RESIZE"
    assert "after held 10 s: no spare is free, and no smaller job: paused by ann: storage" in resize.reason.rule


# -- growing back


def grown(log: DecisionLog) -> list[Command]:
    """A spare comes, a checkpoint is ordered for it and durable; what follows."""
    log.train(12)
    answered = log.member("s0", "spare")
    assert actions(answered) == [("CHECKPOINT", None)]
    assert "grow back" in answered[0].reason.rule
    assert log.job.hold is not None
    return log.save(answered[0], step=log.job.step or 0)


def test_it_grows_back_when_a_spare_is_there() -> None:
    log = elastic()
    resized(log, shrunk(log))
    resize, restore = grown(log)
    saved = log.job.saved
    assert saved is not None
    assert (resize.action, resize.ranks, resize.world, resize.step) == ("RESIZE", (0, 1, 2), 4, saved.step)
    assert (restore.action, restore.node, restore.ranks, restore.world) == ("RESTORE", "s0", (3,), 4)
    assert restore.cause.offset == resize.cause.offset
    log.member("s0", "running", rank=3, world=4)
    resized(log, resize)
    log.carry_out(restore)
    assert ranks_of(log) == {"n0": (0, 4), "n2": (1, 4), "n3": (2, 4), "s0": (3, 4)}
    assert log.job.full_world is None
    assert log.job.whole
    log.train(15)
    log.member("s1", "spare")
    assert log.train(40) == [] or all(one.action == "CHECKPOINT" for one in log.commands[-1:]), "never beyond"
    assert log.job.world == 4


@pytest.mark.parametrize("end", ["failed", "rejected"])
def test_a_spare_that_fails_while_the_job_grows_is_replaced_or_done_without(end: Any) -> None:
    log = elastic()
    resized(log, shrunk(log))
    resize, restore = grown(log)
    assert log.carry_out(restore, end, reason="no disk") == []
    answered = resized(log, resize)
    assert [(one.action, one.ranks, one.world) for one in answered] == [("RESIZE", (0, 1, 2), 3)]
    resized(log, answered[0])
    assert ranks_of(log) == {"n0": (0, 3), "n2": (1, 3), "n3": (2, 3)}
    assert log.job.full_world == 4


def test_another_spare_takes_its_place_at_once() -> None:
    log = elastic()
    resized(log, shrunk(log))
    resize, restore = grown(log)
    log.member("s1", "spare")
    (again,) = log.carry_out(restore, "failed", reason="no disk")
    assert (again.action, again.node, again.ranks, again.world) == ("RESTORE", "s1", (3,), 4)
    resized(log, resize)
    log.carry_out(again)
    assert log.job.whole
    assert log.job.full_world is None


def test_it_does_not_grow_where_that_does_not_pay() -> None:
    log = elastic(migration_s=1e6)
    resized(log, shrunk(log))
    log.train(12)
    log.member("s0", "spare")
    assert all(one.action == "CHECKPOINT" and "grow" not in one.reason.rule for one in log.train(30))


def test_a_growth_checkpoint_that_fails_is_not_tried_again_for_a_while() -> None:
    log = elastic(cool_down_s=100.0)
    resized(log, shrunk(log))
    log.train(12)
    (checkpoint,) = log.member("s0", "spare")
    log.outcome(checkpoint, "failed", "n0", 0, reason="disk full")
    assert [one for one in log.train(90) if "grow" in one.reason.rule] == []
    assert log.job.hold is not None
    assert "cool-down" in log.job.hold.why
    assert [one.action for one in log.train(20) if "grow" in one.reason.rule] == ["CHECKPOINT"]


def test_a_paused_job_does_not_grow() -> None:
    log = elastic()
    resized(log, shrunk(log))
    log.pause()
    log.train(12)
    log.member("s0", "spare")
    assert log.train(20) == []
    assert log.job.hold is not None
    assert log.job.hold.why == "paused by ann: storage"


def test_a_job_that_others_made_smaller_is_not_made_larger() -> None:
    log = elastic()
    for rank in range(3):
        log.at += 0.1
        log.member(f"n{rank}", "running", rank=rank, world=3)
    log.member("n3", "spare")
    log.train(12)
    assert all("grow" not in one.reason.rule for one in log.train(60))
    assert log.job.full_world is None


# -- leaving a suspected node for a smaller job


def test_a_suspected_node_is_left_for_a_smaller_job_when_that_is_worth_it() -> None:
    log = elastic(migration="break-even")
    trust = log.job.trust
    log.job.trust = trust._replace(sparse=trust.sparse._replace(hits=50.0))
    log.train(12)
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=log.job.step or 0)
    assert (migrate.action, migrate.node, migrate.spare) == ("MIGRATE", "n2", None)
    assert "the job goes on smaller" in migrate.reason.rule
    (resize,) = log.carry_out(migrate, step=log.job.step or 0)
    assert (resize.action, resize.ranks, resize.world) == ("RESIZE", (0, 1, 3), 3)
    resized(log, resize)
    assert set(log.state.brakes.outs) == {"n2"}
