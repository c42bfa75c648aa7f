"""A running worker takes another model from the log, keeps it when it is killed, and keeps it when a bad one comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from telemetry_log import SCHEMA, records
from topics_on import delete_topics, fresh_topics
from worker_process import lively_artefact, values_of, wait_until_written, worker, written

from connectors.artefacts import artefact_content, load_artefact, save_artefact, shipped_artefact
from connectors.codecs.frames import encode_schema, schema_id
from connectors.kafka import topics
from connectors.kafka.admin import admin_client, apply_topics
from infra import activation
from infra.broker.embedded import Broker
from infra.cli.main import main

NODES, STEPS, PARTITIONS = 8, 1_000, 2
DEFAULT = load_artefact().digest


class Stream:
    """Telemetry that goes on for as long as it is asked to."""

    def __init__(self, brokers: str) -> None:
        self._records: Iterator[tuple[str, bytes, bytes]] = records(NODES, STEPS, seed=11)
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5})
        self._producer.produce(topics.SCHEMA, key=schema_id(SCHEMA), value=encode_schema(SCHEMA))
        assert self._producer.flush(30) == 0

    def send(self, steps: int) -> None:
        """So many steps of every node, each with its ticks."""
        while steps:
            for what, key, value in islice(self._records, 1):
                for partition in range(PARTITIONS) if what == "tick" else [-1]:
                    self._producer.produce(topics.TELEMETRY, key=key, value=value, partition=partition)
                steps -= what == "tick"
            self._producer.poll(0)
        assert self._producer.flush(30) == 0


def counts(brokers: str) -> list[dict[str, Any]]:
    """The newest counts of each partition."""
    return [
        next(told for value in reversed(values) if (told := json.loads(value))["kind"] == "counts")
        for values in values_of(brokers, topics.ASSESSMENT)
    ]


def activate(broker: Broker, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    capsys.readouterr()
    code = main(["model", "activate", *words, "--wait", "20s", "--brokers", broker.bootstrap, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {"error": said.err}


@pytest.mark.broker
@pytest.mark.timeout(180)
def test_a_model_is_replaced_in_running_workers_and_outlives_them(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    specs = fresh_topics(broker, PARTITIONS)
    lively = lively_artefact(tmp_path / "lively.safetensors")
    first = load_artefact(lively).digest
    settings = (f"predictor.artefact={lively}", "worker.ticks=source", "worker.snapshot_s=0.3")
    stream = Stream(broker.bootstrap)
    stream.send(260)
    with worker(broker.bootstrap, tmp_path / "one.log", *settings) as one:
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, 260 * NODES, one)
        assert {told["model"] for told in counts(broker.bootstrap)} == {first}
        code, told = activate(broker, capsys, "default")
        assert (code, told["in_use"], told["before"]) == (0, [0, 1], None)
        code, told = activate(broker, capsys, str(lively), "--shadow")
        assert (code, told["role"], told["digest"]) == (0, "shadow", first)
        taken = written(broker.bootstrap, topics.SNAPSHOT)
        stream.send(10)
        wait_until_written(broker.bootstrap, topics.SNAPSHOT, taken + 1, one)
        one.kill()

    stream.send(60)
    with worker(broker.bootstrap, tmp_path / "two.log", *settings) as two:
        wait_until_written(
            broker.bootstrap, topics.ASSESSMENT, written(broker.bootstrap, topics.ASSESSMENT) + 60 * 8, two
        )
        newest = counts(broker.bootstrap)
        assert {told["model"] for told in newest} == {DEFAULT}
        assert {told["shadow"]["digest"] for told in newest} == {first}
        assert sum(told["shadow"]["compared"] for told in newest) > 60 * NODES * 0.8
        assert sum(told["shadow"]["difference"] for told in newest) > 0

        bad = "b" * 64
        answers = activation.activate(
            broker.bootstrap, "active", activation.Artefact(bad, artefact_content(shipped_artefact("eq1"))), 20.0
        )
        assert (answers.in_use, set(answers.refused), answers.silent) == ((), {0, 1}, {})
        before = written(broker.bootstrap, topics.ASSESSMENT)
        stream.send(5)
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, before + 5 * NODES, two)
        for told in counts(broker.bootstrap):
            assert told["model"] == DEFAULT
            assert told["refused"].startswith(f"active {bad[:16]}: what stands there has the digest")
        assert two.alive()

        code, told = activate(broker, capsys, "eq1")
        assert (code, told["before"]) == (0, bad)
        assert {told["refused"] for told in counts(broker.bootstrap)} == {None}
        assert two.stop() == 0, two.log.read_text()[-2000:]

    published = values_of(broker.bootstrap, topics.ASSESSMENT)
    with admin_client(broker.bootstrap) as client:
        delete_topics(client, {topics.ASSESSMENT, topics.SNAPSHOT})
        apply_topics(client, specs)
    with worker(broker.bootstrap, tmp_path / "anew.log", *settings) as anew:
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, sum(map(len, published)), anew)
        again = values_of(broker.bootstrap, topics.ASSESSMENT)
    for before_it, after in zip(published, again, strict=True):
        assert after[: len(before_it)] == before_it


@pytest.mark.broker
def test_without_a_worker_the_choice_stands_and_the_command_says_who_is_silent(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh_topics(broker, PARTITIONS)
    code = main(["model", "activate", "eq1", "--wait", "0.5s", "--brokers", broker.bootstrap])
    said = capsys.readouterr().out
    assert code == 1
    assert "in use on 0 of 2" in said
    assert "is a worker running?" in said


@pytest.mark.broker
def test_what_does_not_fit_is_refused_before_it_is_published(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh_topics(broker, PARTITIONS)
    path = tmp_path / "other.safetensors"
    shipped = load_artefact()
    names = ("made.up", *shipped.feature_names[1:])
    save_artefact(replace(shipped, feature_names=names), path)
    code, told = activate(broker, capsys, str(path))
    assert code == 2
    assert "made.up" in told["error"]
    assert written(broker.bootstrap, topics.INVENTORY) == written(broker.bootstrap, topics.SCHEMA) == 0
