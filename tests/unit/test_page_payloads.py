"""What the page is sent is small, changes only with its content, and tells of brakes, alarms and dead letters."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from observed_story import BAD, BEGAN, JOB, Clock, Story, Watched, assessment

from connectors.kafka.topics import ASSESSMENT, DEAD_LETTER
from infra.observer.brakes import BrakesView
from infra.observer.record import LogRecord
from infra.observer.view import REASONS_MAX, View
from infra.web.app import news
from infra.web.decided import decided
from infra.web.feed import INTERVAL_S, Feed
from infra.web.packed import BYTES_A_NODE, D_STEPS, OUT, P_STEPS, VERDICTS, cell, fleet_of
from models.policy_settings import PolicySettings
from models.records import BreakerReset, NodeFate, OptOut, Pause


@pytest.fixture
def told() -> Watched:
    return Watched()


def test_a_cell_says_what_the_assessment_does(told: Watched) -> None:
    fleet = fleet_of(told.view)
    cells = base64.b64decode(fleet.cells)
    for index, name in enumerate(fleet.names):
        first, p, d = cells[BYTES_A_NODE * index :][:BYTES_A_NODE]
        latest = told.view.fleet.nodes[name].latest()
        assert latest is not None
        assert VERDICTS[first & 7] == latest.verdict
        if latest.probability is not None and latest.deviation is not None:
            assert p / P_STEPS == pytest.approx(latest.probability, abs=0.5 / P_STEPS)
            assert (d - 128) / D_STEPS == pytest.approx(min(latest.deviation, 15), abs=0.5 / D_STEPS)
    assert dict(zip(fleet.names, fleet.roles, strict=True))[BAD] == "vacated"
    assert sum(fleet.tally.values()) == len(fleet.names)


@pytest.mark.parametrize("deviation", [-1e9, -15.0, 0.0, 15.0, 1e9])
def test_any_deviation_fits_a_byte(deviation: float) -> None:
    one = replace(assessment(BAD, 2, BEGAN, 50), deviation=deviation)
    assert cell(one, out=True)[0] & OUT
    assert 1 <= cell(one, out=False)[2] <= 255


def test_only_what_changed_is_sent_again(told: Watched) -> None:
    clock = Clock()
    feed = Feed(told, dict, PolicySettings(), lambda: BEGAN, clock)
    first = feed.frame()
    assert news(first, None).count(b"event:") == 3
    clock.now += INTERVAL_S
    second = feed.frame()
    assert news(second, first).startswith(b"event: digest")
    assert news(second, second) == b""
    told.view.fold(
        Story().append(ASSESSMENT, replace(assessment(BAD, 2, BEGAN + 61, 61), node="n09", job=None), BEGAN, "n09")
    )
    clock.now += INTERVAL_S
    assert [line for line in news(feed.frame(), second).split(b"\n") if line.startswith(b"event")] == [
        b"event: cells",
        b"event: digest",
    ]


def test_an_alarm_keeps_the_time_of_its_first_assessment() -> None:
    view, story = View(), Story()
    for second in (50, 51):
        view.fold(story.append(ASSESSMENT, assessment(BAD, 2, BEGAN + second, second), BEGAN + second, BAD))
    assert view.fleet.nodes[BAD].alarmed == pytest.approx(BEGAN + 50.004)
    view.fold(story.append(ASSESSMENT, assessment(BAD, 2, BEGAN + 52, 0), BEGAN + 52, BAD))
    assert view.fleet.nodes[BAD].alarmed is None


def test_a_decision_comes_with_what_shares_its_incident(told: Watched) -> None:
    found = [one.command for one in told.view.jobs[JOB].commands.values() if one.command.action == "MIGRATE"]
    known = decided(told.view, found[0].id)
    assert known is not None
    assert {one["action"] for one in known["related"]} == {"CHECKPOINT", "MIGRATE", "RESTORE"}
    incident = decided(told.view, known["incident"]["id"])
    assert incident is not None
    assert incident["kind"] == "incident"
    assert decided(told.view, "nothing") is None


def test_the_newest_word_on_a_brake_holds_in_whatever_order_it_comes() -> None:
    brakes = BrakesView()
    brakes.note(Pause(id="2", at=2.0, job=None, paused=False, by="ann", why=""))
    brakes.note(Pause(id="1", at=1.0, job=None, paused=True, by="ann", why=""))
    brakes.note(Pause(id="3", at=1.0, job=JOB, paused=True, by="bob", why="a move"))
    brakes.note(OptOut(id="4", at=1.0, node=BAD, out=True, by="bob", why=""))
    brakes.note(BreakerReset(id="5", at=4.0, by="ann", why="power is back"))
    told = brakes.to_json()
    assert told["pauses"] == [{"job": JOB, "at": 1.0, "by": "bob", "why": "a move"}]
    assert brakes.out(BAD)
    assert not brakes.out("n01")
    assert told["reset"]["by"] == "ann"


def test_dead_letters_are_counted_by_a_bounded_number_of_reasons() -> None:
    view = View()
    for number in range(100):
        header = ("reason", f"reason-{number}".encode())
        view.fold(LogRecord(DEAD_LETTER, 0, number, None, b"", BEGAN, (header,)))
    assert sum(view.dead_reasons.values()) == view.dead_letters == 100
    assert len(view.dead_reasons) == REASONS_MAX + 1


def test_a_failure_stands_in_the_job_that_it_concerns(told: Watched) -> None:
    told.view.jobs[JOB].note_fate(NodeFate(id="f", job=None, node="n01", at=BEGAN + 70, state="failed"))
    told.view.jobs[JOB].note_fate(NodeFate(id="g", job=None, node="n14", at=BEGAN + 70, state="failed"))
    feed = Feed(told, dict, PolicySettings(), lambda: BEGAN, Clock())
    assert json.loads(feed.job(JOB) or b"")["fates"] == [{"node": "n01", "at": BEGAN + 70, "state": "failed"}]
