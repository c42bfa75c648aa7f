"""What the owner of a partition puts on it: time, who works for which job, and which model is in use.

A fold sees only its own partition. So whoever holds a partition copies onto it what its fold must know: the tick of
each second while its time is now, each inventory record of a node (as the membership of its telemetry partition and
of its job's partition of the decision log), each of a model (to every telemetry partition), and each of a brake, a
pause, an opt-out, a breaker closed (to every partition of the decision log). Copies carry the inventory's offset, or
the time at which a model was chosen, as identity: a second copy is harmless.
"""

from __future__ import annotations

from confluent_kafka import Consumer, Message, TopicPartition

from connectors.codecs.records import (
    InventoryBrake,
    brake_key,
    decode_inventory,
    encode_member,
    encode_model_choice,
    encode_record,
    encode_tick,
)
from connectors.errors import InvalidRecord
from connectors.kafka import topics
from connectors.kafka.log import bounds, partition_count
from connectors.kafka.partitioning import partition_of
from connectors.kafka.publisher import Outgoing, Publisher
from models.records import (
    Brake,
    BreakerReset,
    InventoryBreaker,
    InventoryModel,
    InventoryNode,
    InventoryOptOut,
    InventoryPause,
    InventorySettings,
    Membership,
    ModelRole,
    OptOut,
    Pause,
    Tick,
)
from streams.batch import Partition
from streams.dead_letter import dead_letter
from streams.lanes import Lanes

TICK_KEY = b"tick"
MODEL_KEY = b"model"
BRAKE_KEY = b"brake"
RECORDS_A_TURN = 500


class Owner:
    """Copies time and inventory onto the partitions that its lanes hold."""

    def __init__(self, lanes: Lanes, inventory: Consumer) -> None:
        self._lanes = lanes
        self._publisher: Publisher = lanes.publisher
        self._inventory = inventory
        self._counts: dict[str, int] = {}
        self._latest: dict[str, tuple[str, InventoryNode]] = {}
        self._models: dict[ModelRole, InventoryModel] = {}
        self._brakes: dict[bytes, Brake] = {}
        self._held: frozenset[Partition] = frozenset()

    def tick(self, now: float) -> None:
        """Put the time on every partition held here whose time is now."""
        for topic, value in (
            (topics.TELEMETRY, encode_tick(now)),
            (topics.EVENT, encode_record(Tick(at=now))),
        ):
            for partition in self._lanes.live(topic):
                self._publisher.publish(Outgoing(topic, TICK_KEY, value, partition))

    def copy_inventory(self) -> None:
        """Copy what is new of the inventory to the partitions held, and all of it to those that have just come."""
        if not self._counts:
            self._start()
        messages = self._inventory.consume(RECORDS_A_TURN, 0)
        held = frozenset(self._lanes.positions())
        gained = held - self._held
        self._held = held
        if gained:
            for identity, node in self._latest.values():
                self._copy(identity, node, gained)
            for model in self._models.values():
                self._copy_model(model, gained)
            for brake in self._brakes.values():
                self._copy_brake(brake, gained)
        for message in messages:
            if message.error() is None and message.value() is not None:
                self._note(message)

    def _start(self) -> None:
        self._counts = {
            topic: partition_count(self._inventory, topic)
            for topic in (topics.TELEMETRY, topics.EVENT, topics.INVENTORY)
        }
        self._inventory.assign(
            [
                TopicPartition(topics.INVENTORY, p, bounds(self._inventory, topics.INVENTORY, p)[0])
                for p in range(self._counts[topics.INVENTORY])
            ]
        )

    def _note(self, message: Message) -> None:
        source, offset = Partition(message.topic(), message.partition()), message.offset()
        key, raw = message.key() or b"", message.value() or b""
        try:
            told = decode_inventory(raw)
        except InvalidRecord as wrong:
            self._publisher.publish(dead_letter(source, offset, key, raw, str(wrong)))
            return
        if isinstance(told, InventoryModel):
            self._models[told.role] = told
            self._copy_model(told, self._held)
            return
        if isinstance(told, InventorySettings):
            return
        identity = f"{source.topic}/{source.number}/{offset}"
        if not isinstance(told, InventoryNode):
            self._brakes[brake_key(told)] = brake = _brake(identity, told)
            self._copy_brake(brake, self._held)
            return
        self._latest[told.node] = identity, told
        self._copy(identity, told, self._held)

    def _copy_model(self, model: InventoryModel, places: frozenset[Partition]) -> None:
        for place in sorted(places):
            if place.topic == topics.TELEMETRY:
                self._publisher.publish(Outgoing(place.topic, MODEL_KEY, encode_model_choice(model), place.number))

    def _copy_brake(self, brake: Brake, places: frozenset[Partition]) -> None:
        for place in sorted(places):
            if place.topic == topics.EVENT:
                self._publisher.publish(Outgoing(place.topic, BRAKE_KEY, encode_record(brake), place.number))

    def _copy(self, identity: str, node: InventoryNode, places: frozenset[Partition]) -> None:
        job = node.job if node.state == "running" else None
        event = Membership(
            id=identity,
            job=node.job,
            node=node.node,
            at=node.at,
            state=node.state,
            rank=node.rank,
            world=node.world,
            min_nodes=node.min_nodes,
            replica_nodes=node.replica_nodes,
        )
        for topic, key, value in (
            (topics.TELEMETRY, node.node.encode(), encode_member(node.node, job, node.at)),
            (topics.EVENT, node.job.encode(), encode_record(event)),
        ):
            place = Partition(topic, partition_of(key, self._counts[topic]))
            if place in places:
                self._publisher.publish(Outgoing(topic, key, value, place.number))


def _brake(identity: str, told: InventoryBrake) -> Brake:
    match told:
        case InventoryPause():
            return Pause(id=identity, at=told.at, job=told.job, paused=told.paused, by=told.by, why=told.why)
        case InventoryOptOut():
            return OptOut(id=identity, at=told.at, node=told.node, out=told.out, by=told.by, why=told.why)
        case InventoryBreaker():
            return BreakerReset(id=identity, at=told.at, by=told.by, why=told.why)
