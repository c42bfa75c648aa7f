"""A user's own log becomes the next model: frames and fates, training, activation in a running worker, and a kill."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer
from topics_on import fresh_topics
from worker_process import lively_artefact, values_of, wait_until_written, worker, written

from connectors.codecs.frames import encode_packed_frame, encode_schema, schema_id
from connectors.codecs.records import encode_event, encode_tick
from connectors.kafka import topics
from experiments.fleet import NAMES, FleetRecording, FleetSpec
from infra.broker.embedded import Broker
from infra.cli.main import main
from models.records import NodeFate
from models.telemetry import Schema

NODES, STEPS, PARTITIONS = 20, 2_960, 2
START = 1_700_000_000.0
SCHEMA = Schema(NAMES, FleetRecording.counters)


def put_history(brokers: str) -> int:
    """Frames of a fleet that fails often, and what became of its nodes; returns the number of failures."""
    recording = FleetRecording(
        FleetSpec(nodes=NODES, seed=5, fault_rate=1 / 200, repair_median=20.0, sudden_share=0.2, job_nodes=4)
    )
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 20})
    producer.produce(topics.SCHEMA, key=schema_id(SCHEMA), value=encode_schema(SCHEMA))
    assert producer.flush(30) == 0
    silent = np.ones((0, NODES), np.bool_)
    for block in recording.blocks(STEPS):
        for values in block:
            step = len(silent)
            gone = np.isnan(values).all(axis=1)
            silent = np.concatenate([silent, gone[None]])
            for row in np.flatnonzero(~gone):
                name = f"n{row:02d}"
                frame = encode_packed_frame(name, START + step, step, schema_id(SCHEMA), values[row])
                producer.produce(topics.TELEMETRY, key=name, value=frame)
            producer.poll(0)
    failures = recording.failures()
    for row, step in failures:
        name = f"n{row:02d}"
        back = np.flatnonzero(~silent[step:, row])
        for state, at in (("failed", step), *((("recovered", step + int(back[0])),) if len(back) else ())):
            fate: Any = {"id": f"{name}-{state}-{at}", "state": state, "at": START + at - 0.5}
            producer.produce(topics.EVENT, key=name, value=encode_event(NodeFate(job=None, node=name, **fate)))
    assert producer.flush(60) == 0
    return len(failures)


def put_tick(brokers: str, at: float) -> None:
    """Source time on each partition, to which a worker answers with its counts."""
    producer = Producer({"bootstrap.servers": brokers})
    for partition in range(PARTITIONS):
        producer.produce(topics.TELEMETRY, key=b"tick", value=encode_tick(START + STEPS + at), partition=partition)
    assert producer.flush(30) == 0


def newest_model(brokers: str) -> set[str]:
    """The models that the newest counts of the partitions name."""
    return {
        next(told["model"] for value in reversed(values) if (told := json.loads(value))["kind"] == "counts")
        for values in values_of(brokers, topics.ASSESSMENT)
    }


@pytest.mark.broker
@pytest.mark.timeout(300)
def test_the_log_becomes_a_model_that_running_workers_use_and_keep(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    fresh_topics(broker, PARTITIONS)
    failures = put_history(broker.bootstrap)
    common = ["--brokers", broker.bootstrap, "--json"]
    assert main(["train", "--source", "kafka", "--quick", "--out", str(tmp_path / "ours"), *common]) == 0
    card = json.loads(capsys.readouterr().out)
    assert f"{failures} failures" in card["data"]
    assert f"{topics.TELEMETRY}/0 0–" in card["data"]
    assert f"{topics.EVENT}/1 0–" in card["data"]
    assert card["horizon_s"] == pytest.approx(180.0)
    assert card["parts"]["train"]["failures"] >= 5

    artefact = card["artefact"]
    lively = lively_artefact(tmp_path / "lively.safetensors")
    settings = (f"predictor.artefact={lively}", "worker.ticks=source", "worker.snapshot_s=0.5")
    fresh_topics(broker, PARTITIONS)  # the worker has no past to catch up with
    put_tick(broker.bootstrap, 1)
    with worker(broker.bootstrap, tmp_path / "worker.log", *settings) as one:
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, PARTITIONS, one)
        assert main(["model", "activate", artefact, "--wait", "90s", *common]) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["digest"], told["in_use"]) == (card["digest"], [0, 1])
        one.kill()
    with worker(broker.bootstrap, tmp_path / "worker.log", *settings) as two:
        before = written(broker.bootstrap, topics.ASSESSMENT)
        put_tick(broker.bootstrap, 2)
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, before + PARTITIONS, two)
        assert newest_model(broker.bootstrap) == {card["digest"]}
        assert two.stop() == 0, two.log.read_text()[-2000:]


@pytest.mark.broker
def test_a_log_without_failures_teaches_nothing_and_says_so(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    fresh_topics(broker, PARTITIONS)
    code = main(["train", "--source", "kafka", "--out", str(tmp_path / "ours"), "--brokers", broker.bootstrap])
    assert code == 1
    assert "no fate of a node" in capsys.readouterr().err
