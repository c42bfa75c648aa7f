"""A real worker asked to end and started again, fed nonsense and giants, and given a snapshot that is not its own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import KafkaException, Message, Producer
from telemetry_log import SCHEMA, START, send
from topics_on import fresh_topics
from worker_process import WorkerProcess, lively_artefact, values_of, wait_until_written, worker, written

from connectors.artefacts import load_artefact
from connectors.codecs.frames import encode_json_frame, encode_packed_frame, schema_id
from connectors.codecs.records import decode_assessment, encode_tick
from connectors.kafka import topics
from connectors.kafka.log import bounds, read_range, reader
from connectors.kafka.snapshots import Snapshot, slices
from infra.broker.embedded import Broker
from infra.wiring import foresight_of
from models.incident import IncidentSettings
from models.records import Assessment, Counts, Frame
from streams.agents.assess import assess_stage
from streams.batch import Batch, Partition
from streams.dead_letter import VALUE_BYTES_MAX
from streams.fold import Ordered

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

PARTITIONS = 2
SETTINGS = ("worker.ticks=source", "worker.snapshot_s=0.3")
RECORD_BYTES_MAX = 8 * 1024 * 1024  # of the embedded broker


@pytest.fixture
def producer(broker: Broker) -> Iterator[Producer]:
    fresh_topics(broker, PARTITIONS)
    made = Producer(
        {
            "bootstrap.servers": broker.bootstrap,
            "partitioner": "murmur2_random",
            "message.max.bytes": 2 * RECORD_BYTES_MAX,
        }
    )
    yield made
    assert made.flush(30) == 0


def messages(broker: Broker, topic: str, partition: int = 0) -> list[Message]:
    with reader(broker.bootstrap) as consumer:
        return read_range(consumer, topic, partition, *bounds(consumer, topic, partition))


def expected(broker: Broker, artefact: Path) -> list[list[bytes]]:
    """The assessments of each partition, folded here from the whole log at one go."""
    schemas = {schema_id(SCHEMA): SCHEMA}
    stage = assess_stage(schemas, foresight_of(load_artefact(artefact)), IncidentSettings())
    found = []
    for number in range(PARTITIONS):
        log = messages(broker, topics.TELEMETRY, number)
        batch = Batch(Partition(topics.TELEMETRY, number), 0, [m.key() or b"" for m in log], [m.value() for m in log])
        outputs = stage.restore(number, None).apply(batch)
        found.append([output.value for output in outputs if isinstance(output, Ordered)])
    return found


def test_a_worker_that_is_stopped_ends_in_time_and_the_next_goes_on(
    broker: Broker, producer: Producer, tmp_path: Path
) -> None:
    artefact = lively_artefact(tmp_path / "lively.safetensors")
    settings = (*SETTINGS, f"predictor.artefact={artefact}")
    for seed in (3, 4):
        send(broker.bootstrap, nodes=20, steps=280, seed=seed, partitions=PARTITIONS)
        more = written(broker.bootstrap, topics.ASSESSMENT) + 200
        with worker(broker.bootstrap, tmp_path / "worker.log", *settings) as stopped:
            wait_until_written(broker.bootstrap, topics.ASSESSMENT, more, stopped)
            assert stopped.stop() == 0, stopped.log.read_text()[-2000:]
    send(broker.bootstrap, nodes=20, steps=100, seed=5, partitions=PARTITIONS)
    whole = expected(broker, artefact)
    with worker(broker.bootstrap, tmp_path / "worker.log", *settings) as last:
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, sum(map(len, whole)), last)
        assert last.stop() == 0
    assert values_of(broker.bootstrap, topics.ASSESSMENT) == whole


NONSENSE = {
    b"\xff\xfe garbage": "not-a-frame",
    b"{garbage": "not-json",
    b'{"v":7,"node":"n0","ts":1700000000,"metrics":{"a":1}}': "unknown-version",
    encode_packed_frame("n0", START, 1, "0123456789abcdef", np.zeros(3, np.float32)): "unknown-schema",
    b'{"v":1,"node":"\\ud800","ts":1700000000,"metrics":{"a":1}}': "not-json",
    b"": "not-a-frame",
}


def test_nonsense_and_giants_go_aside_with_reason_and_origin_and_disturb_nothing(
    broker: Broker, producer: Producer, tmp_path: Path
) -> None:
    giant = b"x" * (RECORD_BYTES_MAX - 1000)
    told: list[bytes] = []
    for at, value in enumerate([*NONSENSE, giant]):
        told += [_frame(2 * at), value, _frame(2 * at + 1)]
    for value in [*told, encode_tick(START + 100, history=False)]:
        producer.produce(topics.TELEMETRY, key=b"n0", value=value, partition=0)
    assert producer.flush(30) == 0
    with worker(broker.bootstrap, tmp_path / "worker.log", *SETTINGS) as running:
        wait_until_written(broker.bootstrap, topics.DEAD_LETTER, len(NONSENSE) + 1, running)
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, 2 * len(NONSENSE) + 3, running)
        _refuse_oversize(producer)
        producer.produce(topics.TELEMETRY, key=b"n0", value=_frame(50), partition=0)
        producer.flush(10)
        wait_until_written(broker.bootstrap, topics.ASSESSMENT, 2 * len(NONSENSE) + 4, running)
        assert running.stop() == 0
    records = [decode_assessment(value) for value in values_of(broker.bootstrap, topics.ASSESSMENT)[0]]
    [counts] = [record for record in records if isinstance(record, Counts)]
    assert counts.dead_letters == len(NONSENSE) + 1
    assert counts.assessed == sum(isinstance(record, Assessment) for record in records) - 2
    _check_letters(messages(broker, topics.DEAD_LETTER), giant)


def _frame(at: int) -> bytes:
    return encode_json_frame(Frame("n0", START + at, at, {"gpu0.temp_c": 60.0 + at % 5}))


def _refuse_oversize(producer: Producer) -> None:
    """What the topic does not take is refused to its producer."""
    refusals: list[str] = []
    try:
        producer.produce(
            topics.TELEMETRY,
            value=b"x" * (RECORD_BYTES_MAX + 1),
            on_delivery=lambda error, _: refusals.append(error.name() if error else "taken"),
        )
        producer.flush(10)
    except KafkaException as refused:
        refusals.append(refused.args[0].name())
    assert refusals == ["MSG_SIZE_TOO_LARGE"]


def _check_letters(letters: list[Message], giant: bytes) -> None:
    for at, (letter, (raw, reason)) in enumerate(
        zip(letters, [*NONSENSE.items(), (giant, "not-a-frame")], strict=True)
    ):
        headers = dict(letter.headers())
        assert headers["reason"].decode().split(":")[0] == reason
        assert (headers["topic"], headers["partition"]) == (topics.TELEMETRY.encode(), b"0")
        assert int(headers["offset"]) == 3 * at + 1
        assert letter.key() == b"n0"
        assert (letter.value() or b"") == raw[:VALUE_BYTES_MAX]
        assert headers.get("bytes") == (str(len(raw)).encode() if len(raw) > VALUE_BYTES_MAX else None)


def wait_until_ended(process: WorkerProcess) -> None:
    deadline = time.monotonic() + 60.0
    while process.alive():
        assert time.monotonic() < deadline, process.log.read_text()[-3000:]
        time.sleep(0.05)


def test_a_snapshot_of_another_build_ends_the_worker_with_what_to_do(
    broker: Broker, producer: Producer, tmp_path: Path
) -> None:
    for key, value in slices(topics.TELEMETRY, 0, Snapshot(5, b"another build's state"), 0):
        producer.produce(topics.SNAPSHOT, key=key, value=value, partition=0)
    assert producer.flush(10) == 0
    assert len(messages(broker, topics.SNAPSHOT)) == 1
    with worker(broker.bootstrap, tmp_path / "worker.log", *SETTINGS) as refused:
        wait_until_ended(refused)
        said = refused.log.read_text()
        assert refused.process.returncode == 1, said
    assert "the snapshot of telemetry.node.v1/0 is not of this build" in said
    assert "delete the topic state.snapshot.v1" in said
