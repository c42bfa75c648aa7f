"""``forestall ledger`` on a log: all jobs and the fleet, one job, a part of the time, and what it does not know."""

from __future__ import annotations

import json
from typing import Any

import pytest
from decision_log import BEGAN, JOB, DecisionLog
from kafka import KafkaProducer
from topics_on import fresh_topics

from connectors.codecs.records import encode_event
from connectors.kafka.topics import EVENT
from infra.broker.embedded import Broker
from infra.cli.main import main
from infra.ledger import fleet, lines
from models.ledger import ledger
from models.records import Event, NodeFate, Progress
from models.spans import PRECEDENCE

pytestmark = pytest.mark.broker


def rescued() -> DecisionLog:
    """A job of four ranks that leaves n2 for s0."""
    log = DecisionLog(node_mtbf_days=1.0, migration_s=10.0, stalled_after_s=1e6).start()
    log.train(30)
    (checkpoint,) = log.incident("n2")
    (migrate,) = log.save(checkpoint, step=log.job.step or 0)
    (restore,) = log.carry_out(migrate)
    log.at += 3.0
    log.carry_out(restore)
    log.train(5)
    return log


def other() -> list[Event]:
    """A second job that runs for 10 s, and the failure of a node that belongs to none."""
    words = [
        Progress(id=f"x{at}", job="bert", node="b0", rank=0, at=BEGAN + at, step=at, loss=1.0, step_s=1.0, load=0.0)
        for at in range(11)
    ]
    return [*words, NodeFate(id="nobody", job=None, node="n1", at=BEGAN + 20, state="failed")]


@pytest.fixture(scope="module")
def brokers(broker: Broker) -> str:
    fresh_topics(broker)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    for partition, events in enumerate((rescued().events, other())):
        for event in events:
            producer.send(EVENT, value=encode_event(event), partition=partition)
    producer.send(EVENT, value=b"no event", partition=0)
    producer.flush(20)
    producer.close()
    return broker.bootstrap


def told(brokers: str, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["ledger", "--brokers", brokers, *words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_all_jobs_and_the_fleet(brokers: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(brokers, capsys)
    assert [job["job"] for job in found["jobs"]] == ["bert", JOB]
    for job in found["jobs"]:
        assert sum(job["buckets"].values()) == job["wall_s"]
        assert job["late"] == 0
        for bucket in PRECEDENCE:
            assert sum(row["seconds"].get(bucket, 0.0) for row in job["nodes"]) == job["buckets"][bucket]
    whole = ledger([*rescued().events, *other()], JOB)
    assert found["jobs"][1]["buckets"] == dict(whole.buckets)
    total = found["fleet"]
    assert total["wall_s"] == sum(job["wall_s"] for job in found["jobs"])
    assert (total["jobs"], total["left"], total["incidents"], total["failures"]) == (2, 1, 1, 1)
    assert total["spare_node_s"] > 30.0
    assert 0.0 < total["ettr"] <= 1.0


def test_one_job_has_no_fleet_and_says_what_it_saved(brokers: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(brokers, capsys, "--job", JOB)
    assert "fleet" not in found
    (job,) = found["jobs"]
    assert job["saved"]["low_s"] <= job["saved"]["likely_s"] <= job["saved"]["high_s"]
    assert len(job["saved"]["assumptions"]) >= 4
    assert job["counterfactual"][0]["node"] == "n2"


def test_two_parts_of_the_time_add_up_to_the_whole(brokers: str, capsys: pytest.CaptureFixture[str]) -> None:
    cut = str(BEGAN + 12.345)
    (before,) = told(brokers, capsys, "--job", JOB, "--to", cut)["jobs"]
    (after,) = told(brokers, capsys, "--job", JOB, "--from", cut)["jobs"]
    (whole,) = told(brokers, capsys, "--job", JOB)["jobs"]
    assert before["wall_s"] + after["wall_s"] == whole["wall_s"]
    for bucket in PRECEDENCE:
        assert before["buckets"][bucket] + after["buckets"][bucket] == whole["buckets"][bucket]


def test_a_person_reads_the_same(brokers: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(brokers, capsys)
    assert main(["ledger", "--brokers", brokers]) == 0
    assert capsys.readouterr().out.splitlines() == list(lines(found))
    text = "\n".join(lines(found))
    assert "against static Young" in text
    assert "fleet: 2 jobs on" in text


def test_what_is_not_there_is_wrong_use(brokers: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "--brokers", brokers, "--job", "llama"]) == 2
    assert f"bert, {JOB}" in capsys.readouterr().err
    assert main(["ledger", "--brokers", brokers, "--from", "2000", "--to", "1000"]) == 2
    assert "--from must be before --to" in capsys.readouterr().err


def test_a_fleet_of_no_jobs_is_empty() -> None:
    found = fleet([])
    assert (found["jobs"], found["wall_s"], found["ettr"]) == (0, 0, None)
    assert list(lines({"run": None, "jobs": [], "fleet": found}))[-1] == "no job has begun here"
