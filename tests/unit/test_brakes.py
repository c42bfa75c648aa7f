"""Brakes hold nodes where they are, whatever the policy wants; none holds up the RESTORE of a rank that is down."""

from __future__ import annotations

from typing import Any

import pytest
from decision_log import UNBRAKED, DecisionLog

from models.brakes.breaker import standing
from models.policy_settings import PolicySettings
from models.records import Command

#: The defaults, which a log written by hand else leaves out.
BRAKED = {name: getattr(PolicySettings(), name) for name in UNBRAKED}


def braked(ranks: int = 4, spares: int = 4, **set_to: Any) -> DecisionLog:
    """A job with spares, by Young and the paper's migration, whose brakes are those that are given."""
    return DecisionLog(**{**BRAKED, **set_to}).start(ranks, tuple(f"s{number}" for number in range(spares)))


def saved(log: DecisionLog, node: str, probability: float = 0.9) -> list[Command]:
    """An alarm about a node, and its checkpoint durable; what follows. A checkpoint of an instant before will do."""
    log.train(1)
    answered = log.incident(node, probability=probability)
    for one in answered:
        if one.action == "CHECKPOINT":
            return log.save(one, step=log.job.step or 0)
    return answered


def moved(log: DecisionLog, node: str) -> list[Command]:
    """A whole rescue of the rank on a node; the commands that it took."""
    before = len(log.commands)
    (migrate,) = saved(log, node)
    assert (migrate.action, migrate.node) == ("MIGRATE", node)
    (restore,) = log.carry_out(migrate, step=log.job.step or 0)
    log.carry_out(restore)
    log.train(11)
    return log.commands[before:]


def hold_of(log: DecisionLog) -> str | None:
    (rescue,) = log.job.rescues.values()
    return None if rescue.hold is None else rescue.hold.why


# -- the breaker


def test_the_breaker_lets_its_bound_out_and_not_one_more() -> None:
    log = braked(warm_up_s=0.0)
    moved(log, "n0")
    moved(log, "n1")
    assert saved(log, "n2") == []
    trip = log.state.brakes.tripped
    assert trip is not None
    assert (trip.outs, trip.fleet, trip.bound) == (3, 8, 2)
    assert trip.nodes == ("n0", "n1", "n2")
    assert hold_of(log) == (
        "the breaker is open: 3 of 8 nodes out within 3600 s, 2 may be; forestall resume --breaker closes it"
    )


def test_it_latches_until_somebody_resets_it_and_then_tells_how_long_it_held() -> None:
    log = braked(warm_up_s=0.0, breaker_window_s=100.0)
    moved(log, "n0")
    moved(log, "n1")
    saved(log, "n2")
    before = len(log.commands)
    log.train(200)  # its window is long over
    assert log.state.brakes.tripped is not None
    assert not log.state.brakes.outs
    assert not [one for one in log.commands[before:] if one.action == "MIGRATE"]
    (checkpoint,) = log.incident("n3", probability=0.6)
    assert checkpoint.action == "CHECKPOINT", "which it never holds up"
    log.save(checkpoint, step=log.job.step or 0)
    log.restart()
    answered = log.reset()
    assert log.state.brakes.tripped is None
    assert [(one.action, one.node) for one in answered] == [("MIGRATE", "n2")]
    assert "after held 200 s: the breaker is open: 3 of 8 nodes" in answered[0].reason.rule


def test_failures_that_were_nobodys_order_count_as_out() -> None:
    log = braked(warm_up_s=0.0)
    saved(log, "n0", probability=0.6)  # a checkpoint to go back to
    for node in ("s3", "s2"):
        log.fate(node)
    assert log.state.brakes.tripped is None
    assert standing(log.state) == (2, 8, 2)
    log.fate("n3")
    assert log.state.brakes.tripped is not None


def test_a_tripped_breaker_never_holds_up_the_restore_of_a_rank_that_failed() -> None:
    log = braked(warm_up_s=0.0, breaker_nodes=0, breaker_share=0.0)
    assert saved(log, "n2") == [], "no node may be out at all"
    assert log.state.brakes.tripped is not None
    (restore,) = log.fate("n1")
    assert (restore.action, restore.ranks) == ("RESTORE", (1,))


def test_its_window_survives_a_restart() -> None:
    log = braked(warm_up_s=0.0)
    moved(log, "n0")
    log.restart()
    moved(log, "n1")
    log.restart()
    assert saved(log, "n2") == []
    log.restart()
    assert log.state.brakes.tripped is not None


def test_what_went_out_a_window_ago_counts_no_more() -> None:
    log = braked(warm_up_s=0.0, breaker_window_s=100.0)
    moved(log, "n0")
    moved(log, "n1")
    log.train(100)
    assert moved(log, "n2")[-1].action == "RESTORE"
    assert log.state.brakes.tripped is None


def test_the_bound_is_a_share_of_a_fleet_that_is_large() -> None:
    log = braked(ranks=80, spares=20, warm_up_s=0.0)
    assert standing(log.state) == (0, 100, 5)
    log.opt_out("n7")
    assert standing(log.state) == (0, 99, 4)
    log.member("n8", "vacated")
    assert standing(log.state).fleet == 98, "somebody else's doing: it cannot be acted upon any more"


def test_an_event_with_a_time_of_its_own_opens_no_window() -> None:
    log = braked(warm_up_s=0.0)
    moved(log, "n0")
    moved(log, "n1")
    log.at += 7200.0  # a clock that is ahead, and no tick
    assert saved_without_a_tick(log, "n2") == []
    assert log.state.brakes.tripped is not None


def saved_without_a_tick(log: DecisionLog, node: str) -> list[Command]:
    log.progress((log.job.step or 0) + 10)
    (checkpoint,) = log.incident(node)
    return log.save(checkpoint, step=log.job.step or 0)


# -- storm


def test_in_a_storm_no_node_is_left_and_checkpoints_go_on() -> None:
    log = braked(ranks=8, warm_up_s=0.0, breaker_share=1.0, storm_incidents=3, cool_down_s=60.0)
    log.save(*log.incident("n5", probability=0.2), step=100)
    log.incident("n6", probability=0.2)
    log.train(12)
    assert saved(log, "n2") == []
    assert log.job.storm.since is not None
    rescue = next(one for one in log.job.rescues.values() if one.node == "n2")
    assert rescue.hold is not None
    assert "a storm of incidents: 3 within 300 s" in rescue.hold.why
    log.train(55)
    (checkpoint,) = log.incident("n4", probability=0.2)
    assert checkpoint.action == "CHECKPOINT", "which it never holds up"
    log.save(checkpoint, step=log.job.step or 0)
    assert [one for one in log.train(58) if one.action != "CHECKPOINT"] == [], "one more incident, and it lasts longer"
    (checkpoint,) = log.train(3)
    assert log.job.storm.since is None
    assert "after held 115 s: a storm of incidents: 3 within 300 s" in checkpoint.reason.rule
    (migrate,) = log.save(checkpoint, step=log.job.step or 0)
    assert (migrate.action, migrate.node) == ("MIGRATE", "n2")


def test_incidents_of_a_past_or_of_strangers_are_no_storm() -> None:
    log = braked(warm_up_s=0.0, storm_incidents=2)
    for number in range(4):
        log.incident(f"elsewhere{number}", probability=0.2)
        log.incident(f"n{number}", history=True)
    assert log.job.storm.recent == ()


# -- warm-up


def test_a_node_is_not_left_before_it_was_known_for_a_while() -> None:
    log = braked(breaker_share=1.0)
    assert saved(log, "n2") == []
    assert hold_of(log) == "n2 has been known for less than 60 s"
    answered = [one for one in log.train(70) if one.incident == "incident-n2"]
    assert [one.action for one in answered] == ["CHECKPOINT"], "before it is left its work is saved again"
    (migrate,) = log.save(answered[0], step=log.job.step or 0)
    assert migrate.action == "MIGRATE"


def test_a_node_that_recovered_is_new_again() -> None:
    log = braked(breaker_share=1.0, storm_incidents=1000)
    log.train(70)
    log.fate("s0")
    log.train(5)
    log.fate("s0", "recovered")
    log.member("s0", "spare")
    assert log.job.seen["s0"] == log.state.now
    assert log.job.seen["n0"] != log.state.now


# -- pause


def test_a_pause_commands_nothing_new_and_its_end_says_how_long_it_was() -> None:
    log = braked(**UNBRAKED, node_mtbf_days=0.01, checkpoint_cost_s=0.2)
    log.pause()
    assert log.train(60) == []
    assert log.incident("n2") == []
    assert log.train(10) == []
    assert hold_of(log) == "paused by ann: storage"
    (checkpoint,) = log.pause(on=False)
    assert checkpoint.incident == "incident-n2"
    assert "after held 10 s: paused by ann: storage" in checkpoint.reason.rule


def test_the_next_regular_checkpoint_tells_of_the_pause() -> None:
    log = braked(**UNBRAKED, node_mtbf_days=0.01, checkpoint_cost_s=0.2)
    log.pause(why="benchmark")
    log.train(60)
    log.pause(on=False)
    (checkpoint,) = log.train(1)
    assert "after a pause of 60 s by ann: benchmark" in checkpoint.reason.rule


def test_a_paused_job_finishes_what_is_under_way_and_gets_back_what_it_loses() -> None:
    log = braked(**UNBRAKED)
    (migrate,) = saved(log, "n2")
    log.pause()
    (restore,) = log.carry_out(migrate, step=log.job.step or 0)
    assert restore.action == "RESTORE"
    log.carry_out(restore)
    (again,) = log.fate("n1")
    assert (again.action, again.ranks) == ("RESTORE", (1,))


def test_a_pause_between_checkpoint_and_migration_holds_the_migration() -> None:
    log = braked(**UNBRAKED)
    log.train(1)
    (checkpoint,) = log.incident("n2")
    log.pause()
    assert log.save(checkpoint, step=log.job.step or 0) == []
    assert hold_of(log) == "paused by ann: storage"
    answered = log.pause(on=False)
    assert [one.action for one in answered] == ["MIGRATE"], "nothing was trained meanwhile"
    assert "after held 0 s: paused by ann: storage" in answered[0].reason.rule


@pytest.mark.parametrize(("job", "holds"), [("gpt", True), ("another", False)])
def test_one_job_is_paused_alone(job: str, holds: bool) -> None:
    log = braked(**UNBRAKED)
    log.pause(job=job)
    log.train(1)
    assert bool(log.incident("n2")) != holds


def test_a_pause_of_all_and_one_of_a_job_end_each_for_itself() -> None:
    log = braked(**UNBRAKED)
    log.pause()
    log.pause(job="gpt", why="its owner asks")
    log.train(1)
    assert log.incident("n2") == []
    assert log.pause(on=False) == []
    assert log.state.brakes.pause_of("gpt") is not None
    (checkpoint,) = log.pause(on=False, job="gpt")
    assert checkpoint.action == "CHECKPOINT"


def test_the_last_word_holds_whatever_its_clock_says_and_a_copy_changes_nothing() -> None:
    log = braked(**UNBRAKED)
    log.at += 1000.0
    log.pause()
    paused = log.events[-1]
    log.at -= 2000.0
    log.pause(on=False)
    assert log.state.brakes.pause_of("gpt") is None
    log.put(paused)  # the owner copies it once more
    assert log.state.brakes.pause_of("gpt") is None


def test_a_word_is_heard_however_old_it_is() -> None:
    log = braked(**UNBRAKED)
    log.at -= 10 * log.settings.retention_s
    log.pause()
    assert log.state.brakes.pause_of("gpt") is not None


# -- opt-out


def test_a_node_that_is_opted_out_is_saved_and_not_left() -> None:
    log = braked(**UNBRAKED)
    log.opt_out("n2")
    assert saved(log, "n2") == []
    assert log.commands[-1].action == "CHECKPOINT"
    assert hold_of(log) == "n2 is opted out by bob: mine"
    answered = log.opt_out("n2", out=False)
    assert [one.action for one in answered] == ["MIGRATE"]
    assert "after held 0 s: n2 is opted out by bob: mine" in answered[0].reason.rule


def test_a_node_that_is_opted_out_is_no_spare_and_its_rank_is_restored_elsewhere() -> None:
    log = braked(spares=2, **UNBRAKED)
    log.opt_out("s0")
    log.opt_out("n1")
    (migrate,) = saved(log, "n2")
    assert migrate.spare == "s1"
    (restore,) = log.carry_out(migrate, step=log.job.step or 0)
    log.carry_out(restore)
    assert log.fate("n1") == [], "no spare but one that is opted out"
    assert hold_of(log) == "no spare is free"
    (restore,) = log.opt_out("s0", out=False)
    assert (restore.node, restore.ranks) == ("s0", (1,))


def test_a_spare_that_is_opted_out_while_its_rank_moves_is_not_used() -> None:
    log = braked(spares=2, **UNBRAKED)
    (migrate,) = saved(log, "n2")
    assert migrate.spare == "s0"
    log.opt_out("s0")
    (restore,) = log.carry_out(migrate, step=log.job.step or 0)
    assert restore.node == "s1"


# -- levels, and what others did


def test_quarantine_is_held_like_a_migration() -> None:
    log = braked(level="quarantine", breaker_nodes=0, breaker_share=0.0, warm_up_s=0.0)
    assert saved(log, "n2") == []
    assert "the breaker is open" in (hold_of(log) or "")
    assert log.reset() == [], "it trips again: nothing may be out"


def test_a_quarantine_counts_as_out() -> None:
    log = braked(level="quarantine", warm_up_s=0.0)
    (quarantine,) = saved(log, "n2")
    assert quarantine.action == "QUARANTINE"
    assert set(log.state.brakes.outs) == {"n2"}


def test_nodes_that_others_vacated_are_not_taken_back() -> None:
    log = braked(spares=0, **UNBRAKED, migration="break-even", checkpoint="young")
    saved(log, "n0", probability=0.6)
    log.incident("n0", "closed", 0.1)
    log.member("n3", "vacated")
    log.fate("n1")
    log.ticks(20)
    assert not [one for one in log.commands if one.action == "RESTORE"]
    assert hold_of(log) == "no spare is free"


def test_brakes_are_remembered_while_a_past_is_loaded() -> None:
    log = braked(**UNBRAKED)
    log.tick(history=True)
    log.pause()
    log.opt_out("n2")
    log.tick()
    log.restart()
    assert log.state.brakes.pause_of("gpt") is not None
    assert log.state.brakes.opted_out("n2") is not None
