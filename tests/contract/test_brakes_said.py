"""``forestall pause``, ``resume`` and ``opt-out`` on the real broker: on the inventory, and on every partition."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from confluent_kafka import Producer
from topics_on import fresh_topics

from connectors.codecs.records import decode_event, decode_inventory
from connectors.kafka import topics
from connectors.kafka.log import bounds, open_reader, partition_count, read_range, reader
from connectors.kafka.publisher import Outgoing
from infra.brakes import speaker
from infra.broker.embedded import Broker
from infra.cli.main import main
from models.records import BreakerReset, InventoryOptOut, InventoryPause, OptOut, Pause
from streams.batch import Partition
from streams.owner import Owner

pytestmark = pytest.mark.broker
PARTITIONS = 2


def told(brokers: str, topic: str) -> list[list[bytes]]:
    with reader(brokers) as consumer:
        return [
            [
                message.value() or b""
                for message in read_range(consumer, topic, number, *bounds(consumer, topic, number))
            ]
            for number in range(partition_count(consumer, topic))
        ]


@contextmanager
def owned(brokers: str, *partitions: int) -> Iterator[None]:
    """The real owner of some partitions of the decision log, as a worker runs it."""
    producer = Producer({"bootstrap.servers": brokers})

    def publish(record: Outgoing) -> None:
        producer.produce(record.topic, key=record.key, value=record.value, partition=record.partition or 0)

    held = {Partition(topics.EVENT, number): 0 for number in partitions}
    lanes = SimpleNamespace(publisher=SimpleNamespace(publish=publish), positions=lambda: held, live=lambda topic: [])
    consumer = open_reader(brokers)
    owner, ended = Owner(lanes, consumer), threading.Event()  # type: ignore[arg-type]

    def work() -> None:
        while not ended.is_set():
            owner.copy_inventory()
            producer.flush(1.0)
            ended.wait(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        consumer.close()


def said(words: list[str], broker: Broker, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    code = main([*words, "--brokers", broker.bootstrap, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_word_is_told_once_every_partition_has_it(broker: Broker, capsys: pytest.CaptureFixture[str]) -> None:
    fresh_topics(broker, PARTITIONS)
    with owned(broker.bootstrap, 0, 1):
        code, result = said(["pause", "--job", "llama", "--why", "storage moves"], broker, capsys)
        assert code == 0
        assert result == {
            "ok": True,
            "paused": True,
            "job": "llama",
            "by": speaker(),
            "why": "storage moves",
            "taken": [0, 1],
            "silent": [],
        }
        assert said(["opt-out", "n17", "--why", "mine"], broker, capsys)[0] == 0
        assert said(["resume", "--job", "llama"], broker, capsys)[0] == 0
        assert said(["resume", "--breaker", "--why", "looked"], broker, capsys)[1]["breaker"] is True
        assert said(["opt-out", "n17", "--back"], broker, capsys)[1]["out"] is False
    for partition in told(broker.bootstrap, topics.EVENT):
        events = [decode_event(raw) for raw in partition]
        paused = [(one.job, one.paused, one.why) for one in events if isinstance(one, Pause)]
        assert paused == [("llama", True, "storage moves"), ("llama", False, "")]
        assert [(one.node, one.out) for one in events if isinstance(one, OptOut)] == [("n17", True), ("n17", False)]
        assert [one.why for one in events if isinstance(one, BreakerReset)] == ["looked"]


def test_without_a_worker_it_stands_on_the_inventory_and_says_so(
    broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    fresh_topics(broker, PARTITIONS)
    with owned(broker.bootstrap, 1):
        code = main(["pause", "--why", "x", "--wait", "2s", "--brokers", broker.bootstrap])
    out = capsys.readouterr().out
    assert code == 1
    assert "every job is paused: taken by 1 of 2 partitions" in out
    assert "partition 0 has not taken it yet: is a worker running?" in out
    (raw,) = [raw for partition in told(broker.bootstrap, topics.INVENTORY) for raw in partition]
    stands = decode_inventory(raw)
    assert isinstance(stands, InventoryPause)
    assert (stands.job, stands.paused) == (None, True)
    with owned(broker.bootstrap, 0, 1):  # a worker comes: it takes what stands there
        assert said(["opt-out", "n1"], broker, capsys)[0] == 0
    events = [decode_event(raw) for raw in told(broker.bootstrap, topics.EVENT)[0]]
    assert {type(one) for one in events} == {Pause, OptOut}
    kinds = [type(decode_inventory(raw)) for part in told(broker.bootstrap, topics.INVENTORY) for raw in part]
    assert sorted(kind.__name__ for kind in kinds) == [InventoryOptOut.__name__, InventoryPause.__name__]


@pytest.mark.parametrize("words", [["pause"], ["opt-out"], ["resume", "--breaker", "--job", "j"]])
def test_what_is_said_wrongly_is_wrong_use(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    assert code == 2
    assert capsys.readouterr().err
