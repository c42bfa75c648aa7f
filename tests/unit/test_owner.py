"""The owner of partitions: it copies time and inventory onto what it holds, and onto nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from memory_publisher import MemoryPublisher

from connectors.codecs.records import Inventory, decode_event, encode_inventory
from connectors.kafka import topics
from connectors.kafka.partitioning import partition_of
from models.records import (
    BreakerReset,
    InventoryBreaker,
    InventoryModel,
    InventoryNode,
    InventoryOptOut,
    InventoryPause,
    Membership,
    OptOut,
    Pause,
    Tick,
)
from streams.batch import Partition
from streams.owner import Owner

PARTITIONS = 3
T = 100.0


class MemoryInventory:
    """As much of a consumer as the owner asks of: one partition that grows."""

    def __init__(self) -> None:
        self.waiting: list[tuple[bytes, bytes | None]] = []
        self.offset = 0

    def put(self, *nodes: Inventory | bytes | None) -> None:
        for node in nodes:
            raw = node if isinstance(node, bytes | None) else encode_inventory(node)
            self.waiting.append((b"key", raw))

    def consume(self, count: int, timeout: float) -> list[Any]:
        taken, self.waiting = self.waiting[:count], self.waiting[count:]
        return [self._message(*row) for row in taken]

    def _message(self, key: bytes, value: bytes | None) -> Any:
        offset, self.offset = self.offset, self.offset + 1
        told = {"error": None, "topic": topics.INVENTORY, "partition": 0, "offset": offset, "key": key, "value": value}
        return SimpleNamespace(**{name: (lambda one=one: one) for name, one in told.items()})

    def list_topics(self, topic: str, timeout: float) -> Any:
        count = 1 if topic == topics.INVENTORY else PARTITIONS
        return SimpleNamespace(topics={topic: SimpleNamespace(error=None, partitions=dict.fromkeys(range(count)))})

    def get_watermark_offsets(self, partition: Any, timeout: float) -> tuple[int, int]:
        return 0, len(self.waiting)

    def assign(self, partitions: list[Any]) -> None:
        assert [(p.topic, p.partition, p.offset) for p in partitions] == [(topics.INVENTORY, 0, 0)]


@dataclass
class MemoryLanes:
    """Lanes that are held, and those of them of which a past is being loaded."""

    held: set[Partition] = field(default_factory=set)
    loading: set[Partition] = field(default_factory=set)
    publisher: MemoryPublisher = field(default_factory=MemoryPublisher)

    def positions(self) -> dict[Partition, int]:
        return dict.fromkeys(self.held, 0)

    def live(self, topic: str) -> list[int]:
        return sorted(p.number for p in self.held - self.loading if p.topic == topic)


class Copying:
    """An owner between an inventory and lanes."""

    def __init__(self, held: Iterable[Partition] | None = None) -> None:
        everything = {Partition(t, n) for t in (topics.TELEMETRY, topics.EVENT) for n in range(PARTITIONS)}
        self.lanes = MemoryLanes(everything if held is None else set(held))
        self.inventory = MemoryInventory()
        self.owner = Owner(self.lanes, self.inventory)  # type: ignore[arg-type]

    def turn(self) -> list[tuple[str, int | None, bytes, bytes]]:
        """One turn; returns what it wrote."""
        before = len(self.lanes.publisher.rows)
        self.owner.copy_inventory()
        return self.lanes.publisher.rows[before:]


def running(node: str, at: float = T, job: str = "llama", rank: int = 0) -> InventoryNode:
    return InventoryNode(node=node, at=at, state="running", job=job, rank=rank, world=4)


def test_time_goes_to_every_partition_that_is_held() -> None:
    copying = Copying({Partition(topics.TELEMETRY, 2), Partition(topics.EVENT, 0)})
    copying.owner.tick(5.5)
    [(topic, number, key, value), event] = copying.lanes.publisher.rows
    assert (topic, number, key) == (topics.TELEMETRY, 2, b"tick")
    assert json.loads(value) == {"v": 1, "kind": "tick", "ts": 5.5, "history": None}
    assert event[:3] == (topics.EVENT, 0, b"tick")
    assert decode_event(event[3]) == Tick(at=5.5)


def test_while_a_past_is_loaded_the_owner_tells_no_time() -> None:
    copying = Copying()
    copying.lanes.loading = {Partition(topics.TELEMETRY, 1)}
    copying.owner.tick(5.5)
    told = [(topic, number) for topic, number, _, _ in copying.lanes.publisher.rows]
    assert (topics.TELEMETRY, 1) not in told
    assert len(told) == 2 * PARTITIONS - 1


def test_a_node_that_runs_is_told_to_its_own_partition_and_to_its_jobs() -> None:
    copying = Copying()
    copying.inventory.put(running("n7"))
    [member, event] = copying.turn()
    assert member[:3] == (topics.TELEMETRY, partition_of(b"n7", PARTITIONS), b"n7")
    assert json.loads(member[3]) == {"v": 1, "kind": "member", "node": "n7", "job": "llama", "ts": T}
    assert event[:3] == (topics.EVENT, partition_of(b"llama", PARTITIONS), b"llama")
    identity = f"{topics.INVENTORY}/0/0"
    expected = Membership(id=identity, job="llama", node="n7", at=T, state="running", rank=0, world=4)
    assert decode_event(event[3]) == expected


@pytest.mark.parametrize("state", ["spare", "vacated"])
def test_a_node_that_does_not_run_works_for_no_job(state: Any) -> None:
    copying = Copying()
    copying.inventory.put(InventoryNode(node="n7", at=T, state=state, job="llama"))
    [member, event] = copying.turn()
    assert json.loads(member[3])["job"] is None
    assert decode_event(event[3]).state == state  # type: ignore[union-attr]


def test_only_what_is_held_is_written_to() -> None:
    copying = Copying({Partition(topics.TELEMETRY, partition_of(b"n7", PARTITIONS))})
    copying.inventory.put(running("n7"))
    assert [row[0] for row in copying.turn()] == [topics.TELEMETRY]
    assert Copying(set()).turn() == []


def test_each_record_is_copied_once() -> None:
    copying = Copying()
    copying.inventory.put(running("n7"))
    assert len(copying.turn()) == 2
    assert copying.turn() == []


def test_a_partition_that_comes_later_is_told_what_is_known_and_only_the_newest() -> None:
    copying = Copying(set())
    copying.inventory.put(running("n7", at=1.0), running("n7", at=2.0, job="mistral"))
    assert copying.turn() == []
    copying.lanes.held = {Partition(topics.TELEMETRY, partition_of(b"n7", PARTITIONS))}
    [(_, _, _, member)] = copying.turn()
    assert json.loads(member)["job"] == "mistral"


def test_a_partition_that_comes_back_is_told_again() -> None:
    copying = Copying()
    copying.inventory.put(running("n7"))
    held, first = copying.lanes.held, copying.turn()
    copying.lanes.held = set()
    copying.turn()
    copying.lanes.held = held
    assert copying.turn() == first, "under the same identity, so that it does no harm"


def test_what_cannot_be_read_goes_to_the_dead_letters() -> None:
    copying = Copying()
    copying.inventory.put(b"nonsense", running("n7"))
    rows = copying.turn()
    assert rows[0] == (topics.DEAD_LETTER, None, b"key", b"nonsense")
    assert len(rows) == 3


def choice(digest: str | None, at: float = T, role: Any = "active") -> InventoryModel:
    return InventoryModel(role=role, digest=digest, at=at)


def test_a_model_that_is_chosen_is_told_to_every_telemetry_partition_held_and_to_no_other() -> None:
    held = {Partition(topics.TELEMETRY, 0), Partition(topics.TELEMETRY, 2), Partition(topics.EVENT, 1)}
    copying = Copying(held)
    copying.inventory.put(choice("d" * 64))
    rows = copying.turn()
    assert [row[:3] for row in rows] == [(topics.TELEMETRY, 0, b"model"), (topics.TELEMETRY, 2, b"model")]
    told = {"v": 1, "kind": "model", "role": "active", "digest": "d" * 64, "ts": T}
    assert [json.loads(row[3]) for row in rows] == [told, told]


def test_a_partition_that_comes_later_is_told_the_newest_model_of_each_role() -> None:
    copying = Copying(set())
    copying.inventory.put(choice("a"), choice("s", role="shadow"), choice("b", T + 1), choice(None, T + 2, "shadow"))
    assert copying.turn() == []
    copying.lanes.held = {Partition(topics.TELEMETRY, 1)}
    told = [json.loads(value) for _, _, _, value in copying.turn()]
    assert [(one["role"], one["digest"], one["ts"]) for one in told] == [
        ("active", "b", T + 1),
        ("shadow", None, T + 2),
    ]
    assert copying.turn() == []


def test_what_a_job_declares_goes_along() -> None:
    copying = Copying()
    copying.inventory.put(replace(running("n7"), min_nodes=2, replica_nodes=1))
    told = decode_event(copying.turn()[1][3])
    assert isinstance(told, Membership)
    assert (told.min_nodes, told.replica_nodes) == (2, 1)


def test_a_brake_is_told_to_every_partition_of_the_decision_log_that_is_held_and_to_no_other() -> None:
    held = {Partition(topics.TELEMETRY, 0), Partition(topics.EVENT, 0), Partition(topics.EVENT, 2)}
    copying = Copying(held)
    copying.inventory.put(
        InventoryPause(job="llama", at=T, paused=True, by="ann", why="storage"),
        InventoryOptOut(node="n7", at=T, out=True, by="bob", why="mine"),
        InventoryBreaker(at=T, by="ann", why="looked"),
    )
    rows = copying.turn()
    places = [(topics.EVENT, 0, b"brake"), (topics.EVENT, 2, b"brake")]
    assert [row[:3] for row in rows] == places * 3
    assert [decode_event(row[3]) for row in rows[::2]] == [
        Pause(id=f"{topics.INVENTORY}/0/0", at=T, job="llama", paused=True, by="ann", why="storage"),
        OptOut(id=f"{topics.INVENTORY}/0/1", at=T, node="n7", out=True, by="bob", why="mine"),
        BreakerReset(id=f"{topics.INVENTORY}/0/2", at=T, by="ann", why="looked"),
    ]


def test_a_partition_that_comes_later_is_told_the_newest_word_on_each_brake() -> None:
    copying = Copying(set())
    paused = [InventoryPause(job=job, at=T, paused=True, by="ann", why="x") for job in (None, "llama")]
    copying.inventory.put(*paused, *(replace(one, paused=False) for one in paused))
    assert copying.turn() == []
    copying.lanes.held = {Partition(topics.EVENT, 1)}
    told = [decode_event(value) for _, _, _, value in copying.turn()]
    assert [(one.job, one.paused) for one in told] == [(None, False), ("llama", False)]  # type: ignore[union-attr]


def test_tombstones_are_passed_over() -> None:
    copying = Copying()
    copying.inventory.put(None)
    assert copying.turn() == []
