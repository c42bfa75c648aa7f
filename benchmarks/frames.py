"""What the throughput benchmark reads: packed frames of 32 metrics, ticked once a step, on one partition."""

from __future__ import annotations

import numpy as np
from confluent_kafka import Producer

from connectors.codecs.frames import encode_packed_frame, encode_schema, schema_id
from connectors.codecs.records import encode_tick
from connectors.kafka import topics
from models.telemetry import Schema

START = 1_700_000_000.0
SCHEMA = Schema.of_names(tuple(f"gpu{i}.temp_c" for i in range(24)) + tuple(f"gpu{i}.ecc_total" for i in range(8)))


def fill(brokers: str, nodes: int, steps: int) -> int:
    """Write the schema and ``nodes × steps`` frames; returns the number of frames."""
    random = np.random.default_rng(1)
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000})
    producer.produce(topics.SCHEMA, key=schema_id(SCHEMA), value=encode_schema(SCHEMA))
    producer.flush(30)
    counts = np.zeros((nodes, 8))
    for step in range(steps):
        counts += random.poisson(0.1, (nodes, 8))
        rows = np.concatenate([random.normal(70, 2, size=(nodes, 24)), counts], axis=1).astype(np.float32)
        for node in range(nodes):
            frame = encode_packed_frame(f"n{node:04}", START + step, step, schema_id(SCHEMA), rows[node])
            producer.produce(topics.TELEMETRY, key=f"n{node:04}", value=frame, partition=0)
        producer.produce(topics.TELEMETRY, key=b"tick", value=encode_tick(START + step, history=False), partition=0)
        producer.poll(0)
    producer.flush(60)
    return nodes * steps
