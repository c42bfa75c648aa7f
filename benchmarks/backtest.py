"""How many times faster than it happened a fleet's log is tried under another policy, and under another model.

``make backtest`` runs it: a decision log of 1,000 nodes (jobs of 20 ranks, two spares each) and telemetry of as many
are written to an embedded Kafka as they would be in real time, and back-tested as ``forestall backtest`` does, reading
included. The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from confluent_kafka import Producer

from benchmarks.decision_log import RANKS, START, Partition
from connectors.codecs.frames import encode_packed_frame, encode_schema, schema_id
from connectors.codecs.records import encode_command, encode_event, encode_tick
from connectors.kafka import topics
from connectors.kafka.admin import admin_client, apply_topics
from connectors.kafka.partitioning import partition_of
from infra.backtest.run import Asked, Replayed, backtest
from infra.broker.embedded import embedded_broker
from infra.broker.server import choose_port
from infra.cli.topics import specs_of
from infra.run_log import RunLog, run_log
from infra.settings import load
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings
from models.telemetry import Schema

PARTITIONS = 2
OWN = PolicySettings(level="migrate", node_mtbf_days=2.0, warm_up_s=0.0)
SCHEMA = Schema.of_names(tuple(f"gpu{i}.temp_c" for i in range(24)) + tuple(f"gpu{i}.ecc_total" for i in range(8)))


def main() -> int:
    """Write, back-test, and print the figures."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--nodes", type=int, default=1000)
    ask.add_argument("--seconds", type=int, default=600, help="of the decision log")
    ask.add_argument("--assessed", type=int, default=120, help="seconds of telemetry; 0 leaves the model out")
    o = ask.parse_args()
    from infra.backtest.assessing import find_artefact  # the processes that fold begin from this module, and need none

    with _log(o.nodes, o.seconds, o.assessed) as log:
        told = {
            "nodes": o.nodes,
            "cores": os.cpu_count(),
            "own_policy": _tried(log, OWN, None),
            "another_policy": _tried(log, replace(OWN, checkpoint="paper"), None),
            "another_model": _tried(log, OWN, find_artefact(Path("eq1"))) if o.assessed else None,
        }
        if told["another_model"] is not None:
            told["another_model"]["realtime_factor"] = round(o.assessed / told["another_model"]["assessing_s"], 1)
    print(json.dumps(told))
    return 0


def _tried(log: RunLog, candidate: PolicySettings, content: bytes | None) -> dict[str, Any]:
    found: Replayed = backtest(log, Asked(own=OWN, candidate=candidate), content, IncidentSettings())
    told = {
        "events": found.events,
        "commands": sum(found.commands.values()),
        "differences": len(found.differences),
        "wall_s": round(found.wall_s, 2),
        "realtime_factor": round(found.span_s / found.wall_s, 1),
    }
    if found.anew is not None:
        told |= {"frames": found.anew["frames"], "assessing_s": found.anew["wall_s"]}
    print(candidate.checkpoint, "" if content is None else "another model", told, file=sys.stderr)
    return told


@contextmanager
def _log(nodes: int, seconds: int, assessed: int) -> Iterator[RunLog]:
    with tempfile.TemporaryDirectory() as folder:
        own = load(None, [f"broker.directory={folder}", f"broker.port={choose_port(0)}"])
        with embedded_broker(own, run="backtest") as broker:
            settings = load(None, [f"topics.partitions={PARTITIONS}"], broker.bootstrap)
            with admin_client(broker.bootstrap) as client:
                apply_topics(client, specs_of(settings))
            _write_decisions(broker.bootstrap, nodes, seconds)
            _write_telemetry(broker.bootstrap, nodes, assessed)
            with run_log(settings) as log:
                yield log


def _producer(brokers: str) -> Producer:
    return Producer({"bootstrap.servers": brokers, "linger.ms": 20, "queue.buffering.max.messages": 5_000_000})


def _write_decisions(brokers: str, nodes: int, seconds: int) -> None:
    producer = _producer(brokers)
    names = [f"job{number}" for number in range(max(PARTITIONS, nodes // RANKS))]
    for number in range(PARTITIONS):
        partition = Partition(number, names[number::PARTITIONS], OWN)
        partition.live(seconds)
        for event in partition.events:
            producer.produce(topics.EVENT, value=encode_event(event), partition=number)
            producer.poll(0)
        for command in partition.commands:
            producer.produce(topics.COMMAND, value=encode_command(command), partition=number)
        producer.flush(120)


def _write_telemetry(brokers: str, nodes: int, seconds: int) -> None:
    random, producer = np.random.default_rng(1), _producer(brokers)
    producer.produce(topics.SCHEMA, key=schema_id(SCHEMA), value=encode_schema(SCHEMA))
    counts = np.zeros((nodes, 8))
    for step in range(seconds):
        counts += random.poisson(0.1, (nodes, 8))
        rows = np.concatenate([random.normal(70, 2, size=(nodes, 24)), counts], axis=1).astype(np.float32)
        for node in range(nodes):
            key = f"n{node:04}".encode()
            frame = encode_packed_frame(key.decode(), START + step, step, schema_id(SCHEMA), rows[node])
            producer.produce(topics.TELEMETRY, key=key, value=frame, partition=partition_of(key, PARTITIONS))
        for number in range(PARTITIONS):
            tick = encode_tick(START + step, history=False)
            producer.produce(topics.TELEMETRY, key=b"tick", value=tick, partition=number)
        producer.poll(0)
    producer.flush(120)


if __name__ == "__main__":
    sys.exit(main())
