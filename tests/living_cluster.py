"""A cluster that lives while workers come and go: frames and source time, ranks that progress, agents that obey."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from telemetry_log import SCHEMA, START, records

from connectors.codecs.frames import encode_schema, schema_id
from connectors.codecs.records import decode_command, encode_event, encode_member
from connectors.kafka import topics
from connectors.kafka.partitioning import partition_of
from models.records import Command, Event, Incident, Membership, Outcome, Progress, Tick

NODES = 40
RANKS = 4
STEP_S = 0.5
STEPS_MAX = 100_000
TURN_S = 0.03
HISTORY_STEPS = 100  # of tests/telemetry_log.py


SUSPICION: dict[int, tuple[Any, float]] = {0: ("opened", 0.6), 3: ("changed", 0.95), 50: ("closed", 0.1)}


def told_incident(name: str, job: str, node: str, at: float, state: Any, probability: float) -> Incident:
    """An incident that the test puts on the decision log; its name begins with ``told-``."""
    return Incident(
        id=f"told-{name}-{state}",
        job=job,
        node=node,
        at=at,
        incident=f"told-{name}",
        state=state,
        probability=probability,
        deviation=6.0,
        horizon_s=600.0,
    )


def job_on(partition: int, partitions: int, prefix: str) -> str:
    """A job whose partition of the decision log is this one."""
    return next(f"{prefix}{i}" for i in count() if partition_of(f"{prefix}{i}".encode(), partitions) == partition)


class Job:
    """Ranks 0 to 3 on four nodes, a fifth node that waits, and what its agents do with a command."""

    def __init__(self, name: str, nodes: list[str]) -> None:
        self.name = name
        self.places = dict(enumerate(nodes[:RANKS]))
        self.spares = nodes[RANKS:]
        self.step = 100
        self._suspect = nodes[0]

    def began(self, at: float) -> list[Event]:
        running = [self._member(node, "running", at, rank) for rank, node in self.places.items()]
        return [*running, *(self._member(node, "spare", at) for node in self.spares)]

    def trained(self, at: float) -> list[Event]:
        """A second has passed: every rank tells where it is."""
        self.step += round(1 / STEP_S)
        facts: dict[str, Any] = {"job": self.name, "at": at, "step": self.step, "loss": 1.0}
        progress = [
            Progress(id=f"p{rank}-{at}", node=node, rank=rank, step_s=STEP_S, load=0.0, **facts)
            for rank, node in self.places.items()
        ]
        return [*progress, *self._suspected(at)]

    def _suspected(self, at: float) -> list[Event]:
        """Each minute the node of another rank is suspected, then all but given up, and then well again."""
        minute, second = divmod(int(at - START), 60)
        if second == 0:
            self._suspect = self.places[minute % RANKS]
        if second not in SUSPICION:
            return []
        state, probability = SUSPICION[second]
        return [told_incident(f"{self.name}-{minute}", self.name, self._suspect, at, state, probability)]

    def obeyed(self, command: Command, at: float) -> list[Event]:
        """What the agents put on the decision log when they carry a command out, or find it too old."""
        if at > command.expires_at:
            nodes = self.places if command.node is None else {None: command.node}
            return [self._outcome(command, "expired", at, node, rank) for rank, node in nodes.items()]
        if command.action == "CHECKPOINT":
            return [
                self._outcome(command, stage, at, self.places[rank], rank)
                for rank in command.ranks
                for stage in ("received", "accepted", "staged", "durable", "done")
            ]
        assert command.node is not None
        ends = [self._outcome(command, stage, at, command.node, None) for stage in ("received", "accepted", "done")]
        return [*ends[:2], *self._moved(command, at), ends[2]]

    def _moved(self, command: Command, at: float) -> list[Event]:
        assert command.node is not None
        if command.action == "MIGRATE":
            return [self._member(command.node, "vacated", at)]
        if command.action != "RESTORE":
            return []
        [rank] = command.ranks
        left, self.places[rank] = self.places[rank], command.node
        return [self._member(command.node, "running", at, rank), self._member(left, "spare", at)]

    def _member(self, node: str, state: Any, at: float, rank: int | None = None) -> Membership:
        world = None if rank is None else RANKS
        name = f"{node}-{state}-{at}"
        return Membership(id=name, job=self.name, node=node, at=at, state=state, rank=rank, world=world)

    def _outcome(self, command: Command, stage: Any, at: float, node: str, rank: int | None) -> Outcome:
        seconds = {"staged": 0.2, "durable": 0.4, "done": 1.0}.get(stage)
        step = None if seconds is None else self.step
        name, action = f"{command.id}-{rank}-{stage}", command.action
        facts: dict[str, Any] = {"rank": rank, "step": step, "seconds": seconds}
        return Outcome(
            id=name, job=self.name, command=command.id, action=action, node=node, stage=stage, at=at, **facts
        )


class LivingCluster:
    """Forty nodes, half of them of a job on the one partition of the decision log and half on the other."""

    def __init__(self, brokers: str, partitions: int, seed: int) -> None:
        self._partitions = partitions
        self._records = records(NODES, STEPS_MAX, seed)
        self._producer = Producer({"bootstrap.servers": brokers, "partitioner": "murmur2_random", "linger.ms": 5})
        self._commands = Consumer({"bootstrap.servers": brokers, "group.id": "agents", "fetch.wait.max.ms": 20})
        self._commands.assign([TopicPartition(topics.COMMAND, p, 0) for p in range(partitions)])
        self._obeyed: set[str] = set()
        self._turns = 0
        names = [[f"n{i}" for i in range(p, NODES, partitions)] for p in range(partitions)]
        self.jobs = {
            job.name: job
            for p, nodes in enumerate(names)
            for job in [Job(job_on(p, partitions, "job"), nodes[: RANKS + 1])]
        }
        self._producer.produce(topics.SCHEMA, key=schema_id(SCHEMA), value=encode_schema(SCHEMA))
        assert self._producer.flush(30) == 0
        for job, nodes in zip(self.jobs.values(), names, strict=True):
            self._tell(job.began(START))
            for node in nodes:
                self._producer.produce(topics.TELEMETRY, key=node, value=encode_member(node, job.name, START))

    @property
    def at(self) -> float:
        """Source time, which is that of the latest tick."""
        return START + self._turns

    def live(self, seconds: int) -> None:
        """Let so many seconds of source time pass: a frame of each node, progress and outcomes, a tick at the end."""
        for _ in range(seconds):
            self._frames()
            for job in self.jobs.values():
                self._tell(job.trained(self.at))
            self._obey()
            tick = encode_event(Tick(at=self.at, history=self._turns < HISTORY_STEPS))
            for partition in range(self._partitions):
                self._producer.produce(topics.EVENT, key=b"tick", value=tick, partition=partition)
            self._producer.poll(0)
            self._turns += 1
        assert self._producer.flush(60) == 0

    @contextmanager
    def living(self) -> Iterator[None]:
        """Let time pass in a thread, some thirty seconds of it in one of ours, as long as the block lasts."""
        ending = threading.Event()
        wrong: list[BaseException] = []

        def go_on() -> None:
            try:
                while not ending.wait(TURN_S):
                    self.live(1)
            except BaseException as error:  # noqa: BLE001 (it is raised where the block ends)
                wrong.append(error)

        thread = threading.Thread(target=go_on, name="living-cluster")
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(60)
        assert not wrong, wrong
        assert not thread.is_alive()

    def last_words(self) -> list[str]:
        """End both partitions of the decision log with a job that is sure to be commanded; returns those jobs."""
        names = [job_on(p, self._partitions, "last") for p in range(self._partitions)]
        for name in names:
            node = f"{name}-node"
            facts: dict[str, Any] = {"job": name, "node": node, "at": self.at}
            member = Membership(id=f"{name}-m", state="running", rank=0, world=1, **facts)
            progress = Progress(id=f"{name}-p", rank=0, step=1, loss=1.0, step_s=STEP_S, load=0.0, **facts)
            self._tell([member, progress, told_incident(name, name, node, self.at, "opened", 0.9)])
        assert self._producer.flush(60) == 0
        self._commands.close()
        return names

    def _frames(self) -> None:
        for what, key, value in self._records:
            if what == "tick":
                for partition in range(self._partitions):
                    self._producer.produce(topics.TELEMETRY, key=key, value=value, partition=partition)
                return
            self._producer.produce(topics.TELEMETRY, key=key, value=value)

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            assert not isinstance(event, Tick)
            assert event.job is not None
            self._producer.produce(topics.EVENT, key=event.job, value=encode_event(event))

    def _obey(self) -> None:
        for message in self._commands.consume(500, 0):
            if message.error() is not None:
                continue
            command = decode_command(message.value())
            if command.id not in self._obeyed and command.job in self.jobs:
                self._obeyed.add(command.id)
                self._tell(self.jobs[command.job].obeyed(command, self.at))
