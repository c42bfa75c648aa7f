"""A disordered telemetry stream for tests: gaps, late and double frames, two encodings, nonsense and ticks."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
from confluent_kafka import Producer

from connectors.codecs.frames import encode_json_frame, encode_packed_frame, encode_schema, schema_id
from connectors.codecs.records import encode_member, encode_record, encode_tick
from connectors.kafka import topics
from models.records import Frame, Tick
from models.telemetry import Schema

START = 1_700_000_000.0
SCHEMA = Schema.of_names(tuple(f"gpu{i}.temp_c" for i in range(8)) + tuple(f"ecc{i}_total" for i in range(4)))


def records(nodes: int, steps: int, seed: int) -> Iterator[tuple[str, bytes, bytes]]:
    """(what, key, value); ``what`` is "frame", "tick" or "junk"; a tick goes to every partition."""
    random = np.random.default_rng(seed)
    counts = np.zeros((nodes, 4))
    for step in range(steps):
        values = random.normal(70, 2, size=(nodes, 12))
        counts += random.poisson(0.2, (nodes, 4))
        values[:, 8:] = counts
        values[random.random((nodes, 12)) < 0.003] = np.nan
        for node in random.permutation(nodes):
            yield from _frames_of(f"n{node}", step, values[node], random)
        if random.random() < 0.02:
            yield "junk", b"n0", random.choice([b"\xff\x00", b"{", b'{"v":9,"ts":1,"node":"n0","metrics":{}}'])
        yield "tick", b"tick", encode_tick(START + step, history=step < 100)


def _frames_of(
    name: str, step: int, values: np.ndarray, random: np.random.Generator
) -> Iterator[tuple[str, bytes, bytes]]:
    luck = random.random()
    if luck < 0.01:
        return
    late = 1.0 if luck < 0.02 else 30.0 if luck < 0.025 else 0.0
    ts = START + step - late + (0.25 if late else 0.0)
    frame = (
        encode_json_frame(Frame(name, ts, step, dict(zip(SCHEMA.metrics, values.tolist(), strict=True))))
        if name in ("n0", "n1")
        else encode_packed_frame(name, ts, step, schema_id(SCHEMA), values.astype(np.float32))
    )
    yield "frame", name.encode(), frame
    if luck > 0.99:
        yield "frame", name.encode(), frame


def send(brokers: str, nodes: int, steps: int, seed: int, partitions: int) -> int:
    """Put the schema and the stream on the log, members first; returns the number of telemetry records."""
    producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5})
    producer.produce(topics.SCHEMA, key=schema_id(SCHEMA), value=encode_schema(SCHEMA))
    producer.flush(30)
    sent = 0
    for node in range(0, nodes, 2):
        name = f"n{node}"
        producer.produce(topics.TELEMETRY, key=name, value=encode_member(name, "job", START))
        sent += 1
    for what, key, value in records(nodes, steps, seed):
        targets = range(partitions) if what == "tick" else [-1]
        for partition in targets:
            producer.produce(topics.TELEMETRY, key=key, value=value, partition=partition)
            sent += 1
        if what == "tick":
            event = encode_record(Tick(at=json.loads(value)["ts"], history=json.loads(value)["history"]))
            for partition in range(partitions):
                producer.produce(topics.EVENT, key=key, value=event, partition=partition)
        producer.poll(0)
    assert producer.flush(60) == 0
    return sent
