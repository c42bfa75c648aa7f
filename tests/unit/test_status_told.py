"""What forestall status says of a state, in words and for a program: who runs what, what is under way, what waits."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition
from decision_log import BEGAN, JOB, DecisionLog

from connectors.codecs.records import encode_record
from connectors.kafka.topics import EVENT, TELEMETRY
from infra.observer.record import LogRecord
from infra.status.document import document, jobs_of
from infra.status.lines import lines
from infra.status.reading import Position, Reading
from infra.status.refusals import Refusals, kind_of
from models.diagnostics import Diagnosis
from models.records import Action, Outcome, Stage

Told = dict[str, Any]


def reading_of(log: DecisionLog) -> Reading:
    """What is read where a worker has just taken a snapshot of this state."""
    reading = Reading(states={0: log.state}, carried={0: True})
    reading.positions = [Position(EVENT, 0, 50, 40, 45)]
    for number, event in enumerate(log.events):
        reading.refusals.note(reading.view.fold(LogRecord(EVENT, 0, number, b"k", encode_record(event), event.at)))
    return reading


def told_of(log: DecisionLog, *diagnoses: Diagnosis) -> Told:
    return document(reading_of(log), diagnoses, log.at + 2.0)


def words(told: Told) -> str:
    return "\n".join(lines(json.loads(json.dumps(told, allow_nan=False))))


@pytest.fixture
def log() -> DecisionLog:
    log = DecisionLog(node_mtbf_days=0.05, checkpoint_cost_s=0.2).start(spares=("s0", "s1"))
    log.train(3)
    return log


def test_who_runs_what_since_when(log: DecisionLog) -> None:
    told = told_of(log)
    (job,) = told["jobs"]
    assert (job["job"], job["world"], job["whole"]) == (JOB, 4, True)
    assert [(one["rank"], one["node"], one["since"]) for one in job["ranks"]] == [(r, f"n{r}", BEGAN) for r in range(4)]
    assert [one["node"] for one in job["spares"]] == ["s0", "s1"]
    assert job["commands"] == job["incidents"] == job["waiting"] == []
    assert told["as_of"] == log.at
    said = words(told)
    assert "rank 2 on n2 since 3 s ago, step 106 told" in said
    assert "spares: s0 since 3 s ago, s1 since 3 s ago" in said
    assert "nothing saved yet" in said


def test_a_command_in_flight_tells_how_far_each_rank_is(log: DecisionLog) -> None:
    (command,) = log.incident("n2", probability=0.95)
    log.outcome(command, "received", "n0", 0)
    log.outcome(command, "staged", "n1", 1, step=106, seconds=0.1)
    told = told_of(log)
    (flight,) = told["jobs"][0]["commands"]
    assert (flight["action"], flight["id"], flight["late"]) == ("CHECKPOINT", command.id, False)
    assert {one["rank"]: one["stage"] for one in flight["stages"]} == {0: "received", 1: "staged", 2: None, 3: None}
    (incident,) = told["jobs"][0]["incidents"]
    assert (incident["node"], incident["probability"]) == ("n2", 0.95)
    said = words(told)
    assert "rank 0 received, rank 1 staged, rank 2 not heard of" in said
    assert "incident on n2" in said
    assert "rank 2 of n2 (saving): CHECKPOINT 1" in said


def test_a_vacated_node_and_a_reserved_spare_are_told(log: DecisionLog) -> None:
    (checkpoint,) = log.incident("n2", probability=0.95)
    (migrate,) = log.save(checkpoint, 106)
    assert migrate.action == "MIGRATE"
    job = told_of(log)["jobs"][0]
    assert {one["node"]: one["reserved_for"] for one in job["spares"]} == {"s0": "incident-n2", "s1": None}
    assert job["commands"][0]["stages"] == [{"rank": None, "stage": None}]
    log.carry_out(migrate)
    job = told_of(log)["jobs"][0]
    assert [(one["node"], one["why"]) for one in job["vacated"]] == [("n2", "suspected")]
    assert job["whole"] is False
    assert "NOT WHOLE" in words(told_of(log))


def test_prices_say_which_were_measured(log: DecisionLog) -> None:
    assert told_of(log)["jobs"][0]["prices"]["measured"] == []
    assert "C 0.2 s (as set)" in words(told_of(log))
    (checkpoint,) = log.incident("n2", probability=0.95)
    log.save(checkpoint, 106, cost_s=0.7)
    prices = told_of(log)["jobs"][0]["prices"]
    assert (prices["checkpoint_cost_s"], prices["durable_s"]) == (0.7, 1.4)
    assert prices["measured"] == ["checkpoint_cost_s", "durable_s"]
    assert "C 0.7 s, W 1.4 s, M" in words(told_of(log))


def test_brakes_are_told_with_who_and_why(log: DecisionLog) -> None:
    log.pause(why="the storage is being moved")
    log.opt_out("n3")
    told = told_of(log)["brakes"]
    assert told["pauses"]["*"]["by"] == "ann"
    assert set(told["opt_outs"]) == {"n3"}
    said = words(told_of(log))
    assert "paused: everything" in said
    assert "by ann: the storage is being moved" in said
    assert "opted out: n3" in said
    log.pause(on=False)
    log.opt_out("n3", out=False)
    told = told_of(log)["brakes"]
    assert (told["pauses"], told["opt_outs"]) == ({}, {})


def test_an_open_breaker_says_how_many_are_out_and_how_it_is_closed() -> None:
    log = DecisionLog(breaker_share=0.05, breaker_nodes=1, warm_up_s=0.0).start(ranks=4, spares=("s0", "s1", "s2"))
    log.train(2)
    for node in ("n0", "n1"):
        log.fate(node)
    (breaker,) = told_of(log)["brakes"]["breakers"]
    assert breaker["tripped"]["outs"] == 2
    assert breaker["tripped"]["bound"] == 1
    said = words(told_of(log))
    assert "breaker OPEN" in said
    assert "forestall resume --breaker" in said


def test_who_waits_is_told_what_for(log: DecisionLog) -> None:
    (checkpoint,) = log.incident("n2", probability=0.95)
    log.save(checkpoint, 106)
    for spare in ("s0", "s1"):
        log.member(spare, "vacated")
    log.fate("n3")
    log.ticks(2)
    waiting = told_of(log)["jobs"][0]["waiting"]
    assert 3 in {one["rank"] for one in waiting}
    assert all(one["why"] and one["since"] <= log.at for one in waiting)
    assert "waits since" in words(told_of(log))


def refused(reason: str | None, number: int, stage: Stage = "rejected", action: Action = "MIGRATE") -> Outcome:
    told: Told = {"job": JOB, "command": f"refused-{number}", "action": action, "node": f"n{number % 3}"}
    return Outcome(id=f"o{number}", stage=stage, at=BEGAN + number, reason=reason, **told)


def test_refused_commands_are_counted_by_reason(log: DecisionLog) -> None:
    log.put(
        refused("unsigned: not carried out; it claims to be 'abc'", 1),
        refused("unsigned: not carried out; it claims to be 'def'", 2),
        refused("generation 3 is older than 5, already seen", 3),
        refused("generation 7 is older than 12, already seen", 4),
        refused("it came 4.5 s after its expiry", 5, "expired"),
        refused(None, 6, "failed"),
        refused(None, 7, "done"),
    )
    told = told_of(log)["refused"]
    assert [(one["stage"], one["count"]) for one in told] == [
        ("rejected", 2),
        ("rejected", 2),
        ("expired", 1),
        ("failed", 1),
    ]
    assert {one["reason"] for one in told} == {
        "unsigned",
        "generation … is older than …, already seen",
        "it came … s after its expiry",
        "no reason given",
    }
    assert "2 rejected  unsigned" in words(told_of(log))


def test_a_refusal_that_is_read_again_is_counted_once() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.note(refused("unsigned: no", 1))
    assert [one["count"] for one in refusals.to_json()] == [1]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("bad-signature: not carried out; it claims to be 'x'", "bad-signature"),
        ("quarantined by DRAIN 0123456789abcdef", "quarantined by DRAIN …"),
        ("6 were accepted in the last hour; agent.disruptions_per_hour is 6", "… were accepted in the last hour"),
        ("", "no reason given"),
    ],
)
def test_what_differs_from_one_command_to_the_next_is_left_out(reason: str, kind: str) -> None:
    assert kind_of(reason).startswith(kind)


def test_what_is_wrong_comes_with_its_runbook(log: DecisionLog) -> None:
    wrong = Diagnosis(name="recovery-slow", job=JOB, cause="contention", since=log.at - 90, saying="it waited")
    fine = Diagnosis(name="checkpoint-overhead", job=JOB, saying="all is well")
    told = told_of(log, wrong, fine)
    assert [one["holds"] for one in told["diagnostics"]] == [True, False]
    said = words(told)
    assert f"recovery-slow of {JOB}, contention, since 90 s ago: it waited" in said
    assert "docs/runbooks/recovery-slow.md" in said
    assert "all is well" not in said
    assert "nothing is wrong" in words(told_of(log, fine))


def test_where_no_worker_ever_was_that_is_said() -> None:
    told = document(Reading(positions=[Position(EVENT, 0, 0, None, None)]), [], BEGAN)
    assert (told["policy"], told["jobs"], told["as_of"], told["workers"]["seen"]) == (None, [], None, False)
    said = words(told)
    assert "no worker has left a state here yet" in said
    assert "no worker was ever here" in said


@pytest.mark.parametrize(
    ("end", "committed", "snapshot", "lag"),
    [(50, 40, 45, 5), (50, 45, 40, 5), (50, None, 45, 5), (50, 50, None, 0), (50, None, None, None), (40, 45, 45, 0)],
)
def test_lag_is_from_the_furthest_that_is_known(
    end: int, committed: int | None, snapshot: int | None, lag: int | None
) -> None:
    assert Position(EVENT, 0, end, committed, snapshot).lag == lag


def test_a_snapshot_of_another_build_and_dead_letters_are_said(log: DecisionLog) -> None:
    reading = reading_of(log)
    reading.unread[1] = "its snapshot is not of this build: no"
    reading.dead_letters = 1
    said = words(document(reading, [], BEGAN))
    assert "partition 1: its snapshot is not of this build" in said
    assert "dead letters: 1" in said


def test_jobs_are_found_by_name_and_suspicion_of_no_job_is_none(log: DecisionLog) -> None:
    log.state.job("")
    assert set(jobs_of({0: log.state})) == {JOB}


def test_watching_tells_it_again_until_somebody_stops_it(
    log: DecisionLog, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import infra.cli.status as command
    from infra import clock
    from infra.cli.main import main

    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        log.train(1)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(clock, "sleep", sleep)
    monkeypatch.setattr(command, "brokers_of", lambda settings: "here:1")
    monkeypatch.setattr(command, "_read", lambda settings, brokers: told_of(log))
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(["status", "--watch", "2s", "--json"]) == 130
    finally:
        signal.signal(signal.SIGTERM, before)
    assert waits == [2.0, 2.0, 2.0]
    steps = [json.loads(line)["jobs"][0]["step"] for line in capsys.readouterr().out.splitlines()]
    assert steps == [106, 108, 110]


SEVEN = {(EVENT, 0): 7, (TELEMETRY, 0): 7}


class Group:
    """A group whose coordinator answers as it is told to, one answer a question."""

    def __init__(self, *answers: KafkaError | int) -> None:
        self.answers = list(answers)

    def committed(self, asked: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        answer = self.answers.pop(0)
        if isinstance(answer, KafkaError):
            raise KafkaException(answer)
        return [TopicPartition(one.topic, one.partition, answer) for one in asked]

    def close(self) -> None:
        return None


@pytest.mark.parametrize(
    ("answers", "committed", "why"),
    [
        ((7,), SEVEN, None),
        ((-1001,), {}, None),  # nobody has ever committed
        ((KafkaError(KafkaError.NOT_COORDINATOR), KafkaError(KafkaError.COORDINATOR_NOT_AVAILABLE), 7), SEVEN, None),
        ((KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED),), {}, "'forestall' has committed is not told"),
    ],
)
def test_a_coordinator_that_is_being_chosen_is_asked_again_and_one_that_refuses_is_not_needed(
    answers: tuple[Any, ...], committed: Told, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.status import reading as module

    group, waits = Group(*answers), list[float]()
    monkeypatch.setattr(module, "Consumer", lambda _: group)
    monkeypatch.setattr(module, "partition_count", lambda consumer, topic: 1)
    monkeypatch.setattr(module.clock, "sleep", waits.append)
    told = Reading()
    found = module._committed("here:1", "forestall", None, told)
    assert len(waits) == len(answers) - 1
    assert group.answers == []
    assert found == committed
    assert (told.uncommitted is None) is (why is None)
    assert why is None or why in str(told.uncommitted)
