"""The view of the topics is a fold: records in, what a person looks at out."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from connectors.codecs.records import encode_record
from connectors.kafka.topics import ASSESSMENT, COMMAND, DEAD_LETTER, EVENT, INFLUX_KEY, INVENTORY
from infra.observer.fleet import POINTS_MAX, natural_key
from infra.observer.job import COMMANDS_MAX, LOSSES_MAX, JobView
from infra.observer.record import LogRecord
from infra.observer.view import View
from models.records import (
    Assessment,
    Cause,
    Counts,
    Incident,
    InventoryModel,
    InventoryNode,
    Membership,
    NodeFate,
    ShadowCounts,
    Tick,
)
from tests.observed_story import (
    ALARM_S,
    BAD,
    BEGAN,
    INCIDENT,
    JOB,
    LATENCY_S,
    NODES,
    SPARE,
    Story,
    assessment,
    command,
    outcome,
    progress,
    rescue,
)


def folded(records: list[LogRecord]) -> View:
    view = View()
    for record in records:
        view.fold(record)
    return view


@pytest.fixture(scope="module")
def story() -> list[LogRecord]:
    return list(rescue())


@pytest.fixture
def view(story: list[LogRecord]) -> View:
    return folded(story)


def test_each_node_stands_with_its_newest_assessment_in_natural_order(view: View) -> None:
    cells = view.overview()["nodes"]
    assert [cell["node"] for cell in cells] == list(NODES)
    by = {cell["node"]: cell for cell in cells}
    assert by[BAD]["verdict"] == "failing"
    assert by[BAD]["incident"] == INCIDENT
    assert by["n16"] | {"ts": 0} == {
        "node": "n16",
        "ts": 0,
        "verdict": "warming",
        "probability": None,
        "deviation": None,
        "job": None,
        "incident": None,
        "history": False,
    }


def test_a_node_has_its_past_and_its_worst_metrics(view: View) -> None:
    detail = view.fleet.detail(BAD)
    assert detail is not None
    assert len(detail["points"]) == 60
    ts, probability, deviation, verdict = detail["points"][-1]
    assert (ts, verdict) == (BEGAN + 59, "failing")
    assert probability == pytest.approx(1.0, abs=1e-3)
    assert deviation == detail["deviation"]
    assert detail["worst"][0]["metric"] == "gpu0.temp_c"
    assert view.fleet.detail("n99") is None


def test_the_past_of_a_node_is_bounded() -> None:
    view, told = View(), Story()
    for second in range(POINTS_MAX + 7):
        view.fold(told.append(ASSESSMENT, assessment("n01", 0, BEGAN + second, second), BEGAN, "n01"))
    points = view.fleet.nodes["n01"].points
    assert len(points) == POINTS_MAX
    assert points[0][0] == BEGAN + 7


def test_history_shows_the_node_but_counts_for_no_latency_and_no_chart() -> None:
    past = replace(assessment("n01", 0, BEGAN, 3), history=True)
    view = folded([Story().append(ASSESSMENT, past, BEGAN, "n01", latency_s=600.0)])
    assert view.fleet.cells()[0]["history"] is True
    assert view.fleet.nodes["n01"].latest() == past
    assert list(view.fleet.nodes["n01"].points) == []
    assert view.latency_ms()["assessment"] == {"p50": None, "p99": None}


def test_history_that_cannot_be_read_leaves_what_was_known() -> None:
    view = View()
    view.fleet.node("n01").note_past(b'{"v":1,"history":true', BEGAN)
    assert view.fleet.cells() == []


def test_counts_are_the_newest_of_each_partition_and_add_up(view: View) -> None:
    assert view.counted()["assessed"] == 2 * 8 * 60
    assert view.counted()["history"] == 48_000
    old = Counts(ts=BEGAN, cause=Cause(0, 0), assessed=1)
    view.fold(LogRecord(ASSESSMENT, 0, 10**6, b"counts", encode_record(old), BEGAN))
    assert view.counted()["assessed"] == 2 * 8 * 60


def test_models_are_told_over_the_partitions() -> None:
    view, told = View(), Story()
    assert view.models() == {"active": [], "refused": [], "shadow": None}
    for partition, (model, refused) in enumerate([("b" * 64, None), ("a" * 64, "why"), ("b" * 64, "why")]):
        shadow = ShadowCounts(
            digest="s" * 64, compared=10 * partition, difference=0.5 * partition, active_only=1, shadow_only=2
        )
        counts = Counts(ts=BEGAN, cause=Cause(partition, 1), model=model, refused=refused, shadow=shadow)
        view.fold(LogRecord(ASSESSMENT, partition, 1, b"counts", encode_record(counts), BEGAN))
    assert view.models() == {
        "active": ["a" * 64, "b" * 64],
        "refused": ["why"],
        "shadow": {
            "digest": "s" * 64,
            "compared": 30,
            "mean_difference": 0.05,
            "active_only": 3,
            "shadow_only": 6,
        },
    }
    choice = InventoryModel(role="shadow", digest=None, at=BEGAN)
    assert view.fold(told.append(INVENTORY, choice, BEGAN, "model/shadow")) == choice
    assert view.jobs == {}
    assert view.overview()["models"] == view.models()


def test_latencies_run_from_the_source_time_to_the_append_time(view: View) -> None:
    latency = view.latency_ms()
    assert latency["assessment"]["p50"] == pytest.approx(LATENCY_S * 1000, abs=1e-3)
    assert latency["command"]["p99"] == pytest.approx(9.0, abs=1e-3)


def test_once_live_what_is_older_was_waited_with_on_purpose(view: View) -> None:
    view.live_from(BEGAN + 100)
    assert view.latency_ms()["assessment"] == {"p50": None, "p99": None}
    told = Story()
    for ts, latency_s in ((BEGAN + 99.9, 30.0), (BEGAN + 100.0, 0.002)):
        view.fold(told.append(ASSESSMENT, assessment("n01", 0, ts, 1), ts, "n01", latency_s=latency_s))
    assert view.latency_ms()["assessment"]["p99"] == pytest.approx(2.0, abs=1e-3)


def test_no_data_is_no_latency() -> None:
    silent = Assessment(node="n01", ts=BEGAN - 3, verdict="unknown", cause=Cause(0, 1))
    view = folded([Story().append(ASSESSMENT, silent, BEGAN, "n01")])
    assert len(view.assessment_latency) == 0


def test_each_outcome_counts_once_however_often_it_is_told(story: list[LogRecord], view: View) -> None:
    assert view.outcomes == {"received": 10, "accepted": 10, "staged": 8, "durable": 8, "done": 10}
    events = [record for record in story if record.topic == EVENT]
    for record in events:
        view.fold(record)
    assert view.outcomes["durable"] == 8


def test_a_command_shows_every_acknowledgement(view: View) -> None:
    commands = view.overview()["jobs"][0]["commands"]
    assert [one["action"] for one in commands] == ["CHECKPOINT", "CHECKPOINT", "MIGRATE", "RESTORE"]
    lanes = commands[1]["acknowledged"]
    assert [(lane["rank"], lane["node"]) for lane in lanes] == [(0, "n01"), (1, "n02"), (2, BAD), (3, "n04")]
    assert [stage["stage"] for stage in lanes[0]["stages"]] == ["received", "accepted", "staged", "durable", "done"]
    assert commands[2]["node"] == BAD
    assert commands[2]["spare"] == SPARE
    assert commands[1]["reason"]["numbers"]["P"] == pytest.approx(0.9313)


def test_the_same_command_again_is_no_news(story: list[LogRecord], view: View) -> None:
    again = next(record for record in story if record.topic == COMMAND)
    assert view.fold(again) is None
    assert len(view.jobs[JOB].commands) == 4


def test_the_job_knows_who_runs_waits_and_was_left(view: View) -> None:
    job = view.overview()["jobs"][0]
    assert {row["rank"]: row["node"] for row in job["ranks"]} == {0: "n01", 1: "n02", 2: SPARE, 3: "n04"}
    assert job["spares"] == ["n06"]
    assert job["vacated"] == [BAD]
    assert job["step"] == 440
    assert [incident["state"] for incident in job["incidents"]] == ["opened"]
    assert job["incidents"][0]["opened_at"] == BEGAN + ALARM_S


def test_the_order_between_topics_does_not_matter(story: list[LogRecord], view: View) -> None:
    """Partitions keep their order; how they are woven into each other is chance."""
    lanes: dict[tuple[str, int], list[LogRecord]] = {}
    for record in story:
        lanes.setdefault((record.topic, record.partition), []).append(record)
    rng = random.Random(5)
    for _ in range(5):
        waiting = {key: list(records) for key, records in lanes.items()}
        woven = []
        while waiting:
            key = rng.choice(sorted(waiting))
            woven.append(waiting[key].pop(0))
            if not waiting[key]:
                del waiting[key]
        assert folded(woven).overview() == view.overview()


def test_an_incident_that_closes_keeps_when_it_opened() -> None:
    view, told = View(), Story()
    opened = Incident(
        id="a", job=JOB, node=BAD, at=BEGAN, incident="i", state="opened", probability=0.9, deviation=8.0, horizon_s=60
    )
    view.fold(told.append(EVENT, opened, BEGAN, JOB))
    view.fold(told.append(EVENT, replace(opened, id="b", at=BEGAN + 9, state="closed"), BEGAN, JOB))
    (incident,) = view.overview()["jobs"][0]["incidents"]
    assert (incident["state"], incident["opened_at"], incident["at"]) == ("closed", BEGAN, BEGAN + 9)


def test_a_node_that_failed_runs_nothing_any_more() -> None:
    job = JobView(JOB)
    job.note_member(InventoryNode(node="n02", at=BEGAN, state="running", job=JOB, rank=1, world=4))
    job.note_fate(NodeFate(id="f", job=JOB, node="n02", at=BEGAN + 5, state="failed"))
    assert job.node_of(1) is None
    assert job.to_json()["vacated"] == ["n02"]


def test_an_older_word_about_a_node_changes_nothing() -> None:
    job = JobView(JOB)
    job.note_member(Membership(id="b", job=JOB, node="n02", at=BEGAN + 5, state="vacated"))
    job.note_member(Membership(id="a", job=JOB, node="n02", at=BEGAN, state="running", rank=1))
    assert job.members["n02"].state == "vacated"


def test_the_fate_of_a_node_of_no_job_reaches_every_job() -> None:
    view, told = View(), Story()
    view.fold(told.append(EVENT, progress(0, "n01", BEGAN, 1), BEGAN, JOB))
    view.fold(told.append(EVENT, NodeFate(id="f", job=None, node="n01", at=BEGAN, state="failed"), BEGAN, "n01"))
    assert [type(event).__name__ for event in view.jobs[JOB].events] == ["Progress", "NodeFate"]


def test_ticks_are_not_kept() -> None:
    view = folded([Story().append(EVENT, Tick(at=BEGAN), BEGAN, "tick")])
    assert view.jobs == {}


def test_what_is_kept_of_a_job_is_bounded() -> None:
    job = JobView(JOB)
    for number in range(COMMANDS_MAX + 5):
        job.note_command(command("CHECKPOINT", BEGAN + number, number, None), None)
    for second in range(LOSSES_MAX + 5):
        job.note_progress(progress(0, "n01", BEGAN + second, second))
    assert len(job.commands) == COMMANDS_MAX
    assert len(job.losses) == LOSSES_MAX


def test_an_outcome_that_is_read_before_its_command_waits_for_it() -> None:
    job, order = JobView(JOB), command("CHECKPOINT", BEGAN, 1, None)
    job.note_outcome(outcome(order, "n01", "received", BEGAN, 0))
    assert job.commands == {}
    job.note_command(order, 3.0)
    assert [one.stage for one in job.commands[order.id].acknowledged["n01", 0]] == ["received"]


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"v":2,"kind":"tick","at":1}', b'{"v":1,"kind":"moon"}', b"\xff\x00"])
def test_what_cannot_be_read_is_counted_and_passed_over(value: bytes) -> None:
    view = View()
    for topic in (ASSESSMENT, COMMAND, EVENT):
        assert view.fold(LogRecord(topic, 0, 0, b"k", value, BEGAN)) is None
    assert view.unreadable == 3


def test_dead_letters_are_counted_and_tombstones_are_no_fault() -> None:
    view = folded([LogRecord(DEAD_LETTER, 0, 0, b"n01", b"garbage", BEGAN), LogRecord(EVENT, 0, 0, b"k", b"", BEGAN)])
    assert (view.dead_letters, view.unreadable) == (1, 0)


def test_points_that_influxdb_refused_are_no_records_that_cannot_be_read() -> None:
    view = folded([LogRecord(DEAD_LETTER, 0, 0, INFLUX_KEY, b"outcome stage=3 1", BEGAN)])
    assert (view.dead_letters, view.points_refused, view.dead_reasons) == (0, 1, {})


def test_names_sort_as_a_person_would() -> None:
    names = ["n10", "n2", "host", "n1", "machine-3-10", "machine-3-9", "7", ""]
    assert sorted(names, key=natural_key) == ["", "7", "host", "machine-3-9", "machine-3-10", "n1", "n2", "n10"]
