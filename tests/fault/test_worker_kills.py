"""Kill -9 of the worker at any moment loses nothing and changes not one byte of what comes out."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from telemetry_log import send
from topics_on import delete_topics, fresh_topics
from worker_process import lively_artefact, values_of, wait_until_written, worker, written

from connectors.kafka import topics
from connectors.kafka.admin import admin_client, apply_topics
from infra.broker.embedded import Broker

KILLS = 10
NODES, STEPS = 60, 1000
PARTITIONS = 2
SEED = 20261124


def without_identical_duplicates(values: list[bytes]) -> list[bytes]:
    """A zombie's late writes repeat what is there; each record names its place, so repeats are told from others."""
    return list(dict.fromkeys(values))


def places(values: list[bytes]) -> list[tuple[int, int]]:
    causes = [json.loads(value)["cause"] for value in values]
    return [(cause["offset"], cause["index"]) for cause in causes]


@pytest.mark.broker
@pytest.mark.timeout(600)
def test_ten_kills_leave_the_bytes_of_a_run_that_was_never_killed(broker: Broker, tmp_path: Path) -> None:
    specs = fresh_topics(broker, PARTITIONS)
    settings = (
        f"predictor.artefact={lively_artefact(tmp_path / 'lively.safetensors')}",
        "worker.ticks=source",
        "worker.snapshot_s=0.5",
        "policy.level=migrate",
        "brakes.warm_up_s=0",
        "brakes.breaker_share=1",
    )
    sent = send(broker.bootstrap, NODES, STEPS, SEED, PARTITIONS)
    assert sent > 60_000
    luck = random.Random(SEED)
    aims = sorted(luck.sample(range(1, 55_000), KILLS))
    for kill, aim in enumerate(aims):
        with worker(broker.bootstrap, tmp_path / "killed.log", *settings) as victim:
            wait_until_written(broker.bootstrap, topics.ASSESSMENT, aim, victim)
            victim.kill()
        assert written(broker.bootstrap, topics.ASSESSMENT) >= aim, f"kill {kill} came before its aim"

    outputs = finish(broker, tmp_path, settings)
    with admin_client(broker.bootstrap) as client:
        delete_topics(client, {topics.ASSESSMENT, topics.COMMAND, topics.SNAPSHOT})
        apply_topics(client, specs)
    reference = finish(broker, tmp_path, settings)

    for killed, fresh in zip(outputs, reference, strict=True):
        assert without_identical_duplicates(killed) == fresh
        assert places(fresh) == sorted(set(places(fresh)))
    assert sum(map(len, reference)) > 58_000


def finish(broker: Broker, tmp_path: Path, settings: tuple[str, ...]) -> list[list[bytes]]:
    """Let one worker read the log to its end; returns the assessments of each partition."""
    ends = last_ticks(broker)
    with worker(broker.bootstrap, tmp_path / "finishing.log", *settings) as last:
        while True:
            count = written(broker.bootstrap, topics.ASSESSMENT)
            values = values_of(broker.bootstrap, topics.ASSESSMENT)
            if all(values) and all(places(v)[-1][0] >= end for v, end in zip(values, ends, strict=True)):
                assert last.stop() == 0, last.log.read_text()[-2000:]
                return values_of(broker.bootstrap, topics.ASSESSMENT)
            wait_until_written(broker.bootstrap, topics.ASSESSMENT, count + 1, last)


def last_ticks(broker: Broker) -> list[int]:
    """The offset of each telemetry partition's last record, which is a tick."""
    return [len(values) - 1 for values in values_of(broker.bootstrap, topics.TELEMETRY)]
