"""The fold itself: what is ignored, what history does, and that its state is exactly encodable."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from decision_log import BEGAN, JOB, DecisionLog

from models.decisions import PolicySettings, from_bytes, to_bytes
from models.records import Incident, Progress, Tick


def rescued() -> DecisionLog:
    """A log in the midst of everything: one rank restored, an incident, a checkpoint in flight, a measured price."""
    log = DecisionLog().start(spares=("s0", "s1"))
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=101)
    (restore,) = log.carry_out(migrate)
    log.carry_out(restore)
    log.train(20)
    log.incident("n1")
    return log


def test_an_event_told_twice_counts_once() -> None:
    log = DecisionLog().start()
    log.incident("n2")
    before = to_bytes(log.state)
    for event in list(log.events):
        assert log.put(event) == []
    assert to_bytes(log.state) == before


def test_an_incident_that_closed_is_not_opened_again_by_a_repeated_word() -> None:
    log = DecisionLog().start()
    log.incident("n2")
    opened = log.events[-1]
    log.at += 1.0
    log.incident("n2", "closed")
    assert log.put(opened) == []
    assert log.job.incidents == {}


def test_a_tick_that_is_out_of_date_is_ignored() -> None:
    log = DecisionLog().start()
    log.train(5)
    before = to_bytes(log.state)
    assert log.put(Tick(at=log.at), Tick(at=log.at - 3.0)) == []
    assert to_bytes(log.state) == before


def test_a_past_that_is_loaded_brings_its_own_time_and_nobody_elses_is_heard_until_it_ends() -> None:
    log = DecisionLog().start()
    log.train(5)
    log.put(Tick(at=BEGAN - 1000.0, history=True))
    assert (log.state.now, log.state.loading) == (BEGAN - 1000.0, True)
    log.put(Tick(at=BEGAN + 500.0))
    assert (log.state.now, log.state.loading) == (BEGAN - 1000.0, True)
    log.put(Tick(at=BEGAN - 990.0, history=False))
    assert (log.state.now, log.state.loading) == (BEGAN - 990.0, False)
    log.put(Tick(at=BEGAN + 501.0))
    assert log.state.now == BEGAN + 501.0


def test_older_progress_of_a_rank_is_ignored() -> None:
    log = DecisionLog().start()
    log.train(5)
    step = log.job.step
    log.put(Progress(id="late", job=JOB, node="n0", rank=0, at=BEGAN + 0.2, step=9999, loss=1.0, step_s=9.0, load=1.0))
    assert log.job.step == step


def test_progress_from_where_a_rank_ran_before_is_ignored() -> None:
    log = rescued()
    left_at = log.job.places["n2"].at
    log.put(Progress(id="old", job=JOB, node="n2", rank=2, at=left_at, step=9999, loss=1.0, step_s=9.0, load=1.0))
    assert log.job.step != 9999


def test_an_older_word_about_a_node_is_ignored() -> None:
    log = DecisionLog().start()
    old = next(event for event in log.events if getattr(event, "node", "") == "n2")
    log.at += 1.0
    log.member("n2", "vacated")
    log.put(replace(old, id="again"))
    assert log.job.rank_on("n2") is None


def test_ids_are_forgotten_only_when_their_events_are_too_old_to_enter() -> None:
    log = DecisionLog(retention_s=100.0).start()
    log.at += 1.0
    log.incident("n2")
    opened = log.events[-1]
    for _ in range(30):
        log.tick(10.0)
        before = len(log.commands), to_bytes(log.state)
        assert log.put(opened) == []
        assert (len(log.commands), to_bytes(log.state)) == before
    assert opened.id not in log.state.seen  # type: ignore[union-attr]
    assert log.state.seen == {}


def test_history_incidents_cause_no_command() -> None:
    log = DecisionLog().start()
    assert log.incident("n2", history=True) == []
    assert log.train(100) == []
    assert log.job.rescues == {}


def test_while_history_is_loaded_nothing_is_ordered() -> None:
    log = DecisionLog(node_mtbf_days=0.01).start()
    log.tick(history=True)
    log.incident("n2")
    for _ in range(200):
        log.at += 0.5
        log.progress((log.job.step or 0) + 1)
        log.tick(0.5, history=True)
    log.fate("n3")
    assert log.commands == []


def test_after_history_a_live_word_on_an_old_incident_is_acted_upon() -> None:
    log = DecisionLog().start()
    log.tick(history=True)
    log.incident("n2", history=True)
    assert log.put(Tick(at=log.at, history=False)) == [], "the final tick may bear the time of the last one of history"
    assert not log.state.loading
    log.at += 1.0
    (checkpoint,) = log.incident("n2", "changed")
    assert checkpoint.action == "CHECKPOINT"


def test_history_teaches_the_chain_nothing() -> None:
    log = DecisionLog().start()
    log.incident("n2", history=True)
    log.at += 1.0
    log.incident("n2", "closed", history=True)
    assert log.state.chain.counts == {}


def test_the_state_is_encoded_exactly() -> None:
    log = rescued()
    data = to_bytes(log.state)
    again = from_bytes(data, log.settings)
    assert again == log.state
    assert to_bytes(again) == data


def test_the_encoding_keeps_the_order_of_what_was_seen() -> None:
    log = rescued()
    log.restart()
    assert list(log.state.seen) == list(from_bytes(to_bytes(log.state), log.settings).seen)


def test_a_state_goes_on_under_the_settings_of_today_and_names_those_it_was_made_with() -> None:
    log = rescued()
    data = to_bytes(log.state)
    assert json.loads(data)["settings"]["level"] == "migrate"
    assert from_bytes(data, PolicySettings(level="observe")).settings.level == "observe"


@pytest.mark.parametrize("data", [b'{"v":1}', b"[]", b"garbage", b"{}"])
def test_what_is_no_state_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"decision state|Expecting"):
        from_bytes(data, PolicySettings())


def test_an_incident_keeps_its_job_when_later_words_name_none() -> None:
    log = DecisionLog().start()
    log.incident("n2")
    opened = log.events[-1]
    assert isinstance(opened, Incident)
    log.at += 1.0
    log.put(replace(opened, id="closing", job=None, state="closed", at=log.at))
    assert log.job.incidents == {}


def test_an_incident_of_no_job_orders_nothing() -> None:
    log = DecisionLog().start()
    opened = Incident(
        id="i",
        job=None,
        node="n99",
        at=log.at,
        incident="i",
        state="opened",
        probability=0.9,
        deviation=1.0,
        horizon_s=60.0,
    )
    assert log.put(opened) == []


def test_a_failure_that_names_no_job_finds_the_job_that_ran_there() -> None:
    log = rescued()
    log.fate("n3")
    assert log.job.places["n3"].state == "failed"
    log.at += 1.0
    log.fate("n3", "recovered")
    assert "n3" not in log.job.places
