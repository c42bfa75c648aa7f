"""Real cluster agents with real ranks on a real broker, driven by commands written and signed by hand."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psutil
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from signing_keys import keyring_setting, sealed

from connectors.codecs.records import decode_event, decode_inventory
from connectors.kafka.topics import COMMAND, EVENT, INVENTORY
from models.records import Action, Cause, Command, Event, InventoryNode, Outcome, Progress, Reason, command_id

T = TypeVar("T")
FORESTALL = Path(sys.executable).with_name("forestall")
DEADLINE_S = 120.0


def wait_for(what: str, look: Callable[[], T | None], seconds: float = DEADLINE_S) -> T:
    """Return the first true value of ``look``; fails, naming ``what``, when there is none in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


class Log:
    """Everything on a topic from now on, read without a group."""

    def __init__(self, brokers: str, topic: str, decode: Callable[[bytes], Any]) -> None:
        self._brokers, self._topic, self._decode = brokers, topic, decode
        self._at: dict[TopicPartition, int] = {}
        self.records: list[Any] = []
        self.connect()

    def connect(self) -> None:
        """Go on where reading stopped; at first, at the end."""
        self._consumer = KafkaConsumer(
            bootstrap_servers=self._brokers, group_id=None, enable_auto_commit=False, fetch_max_wait_ms=50
        )
        partitions = [TopicPartition(self._topic, n) for n in self._consumer.partitions_for_topic(self._topic) or ()]
        self._consumer.assign(partitions)
        self._at = self._at or self._consumer.end_offsets(partitions)
        for partition, offset in self._at.items():
            self._consumer.seek(partition, offset)

    def read(self) -> list[Any]:
        """Return all records so far."""
        for partition, records in self._consumer.poll(timeout_ms=100).items():
            self.records += [self._decode(record.value) for record in records]
            self._at[partition] = records[-1].offset + 1
        return self.records

    def close(self) -> None:
        self._consumer.close()


class Cluster:
    """Cluster agents of one job in ``directory``; everything that it started it ends in :meth:`close`."""

    def __init__(
        self, brokers: str, directory: Path, *, job: str, world: int, steps: int, step_s: float, more: str = ""
    ) -> None:
        self.brokers, self.directory, self.job, self.world = brokers, directory, job, world
        self.agents: dict[str, subprocess.Popen[bytes]] = {}
        self.spec = directory / "jobs.toml"
        self.training = directory / "training"
        words = [sys.executable, "-m", "experiments.training_job", "--directory", str(self.training)]
        words += ["--steps", str(steps), "--step-s", str(step_s)]
        self.spec.write_text(f"[jobs.{job}]\ncommand = {words!r}\nworld = {world}\n{more}")
        self._producer = KafkaProducer(bootstrap_servers=brokers, acks="all")
        self.events = Log(brokers, EVENT, decode_event)
        self.inventory = Log(brokers, INVENTORY, decode_inventory)
        self._generation = itertools.count(1)

    def start(self, node: str, *role: str, by: Sequence[str] = (str(FORESTALL),)) -> subprocess.Popen[bytes]:
        """Start the cluster agent of ``node``."""
        words = ["agent", "--node", node, "--job-spec", str(self.spec), "--set", keyring_setting()]
        words += ["--directory", str(self.directory / node), "--brokers", self.brokers, *role]
        with (self.directory / f"{node}.log").open("ab") as log:
            self.agents[node] = subprocess.Popen([*by, *words], stdout=log, stderr=log)
        return self.agents[node]

    def kill(self, node: str) -> None:
        """End a cluster agent as a crash would; its rank lives on."""
        self.agents[node].send_signal(signal.SIGKILL)
        self.agents[node].wait()

    def order(self, action: Action, **fields: Any) -> Command:
        """Put a command on the log."""
        command = self.command(action, **fields)
        self.send(command)
        return command

    def command(self, action: Action, *, life_s: float = 60.0, **fields: Any) -> Command:
        """Make a command of the next generation."""
        generation = fields.pop("generation", None) or next(self._generation)
        issued = time.time()
        return Command(
            id=command_id(self.job, fields.get("node"), action, None, generation),
            action=action,
            job=self.job,
            generation=generation,
            issued_at=issued,
            expires_at=issued + life_s,
            reason=Reason(rule="test"),
            cause=Cause(0, 0),
            **fields,
        )

    def send(self, command: Command) -> None:
        """Sign a command that was made and put it on the log, perhaps again."""
        self.put(sealed(command))

    def put(self, *raw: bytes) -> None:
        """Put these bytes on the command topic, a record each."""
        sent = [self._producer.send(COMMAND, key=self.job.encode(), value=one) for one in raw]
        for one in sent:
            one.get(timeout=10)

    def outcomes(self, command: Command) -> list[Outcome]:
        """Return what came of a command so far."""
        return [one for one in self.mine() if isinstance(one, Outcome) and one.command == command.id]

    def mine(self) -> list[Event]:
        """Return the events of this job so far."""
        return [one for one in self.events.read() if getattr(one, "job", None) == self.job]

    def stage(self, command: Command, stage: str, count: int = 1) -> list[Outcome]:
        """Wait until ``count`` outcomes of this stage are on the log, and return them."""

        def look() -> list[Outcome] | None:
            found = [one for one in self.outcomes(command) if one.stage == stage]
            return found if len({one.id for one in found}) >= count else None

        return wait_for(f"{count} × {command.action} {stage}", look)

    def progress(self, rank: int, step: int) -> Progress:
        """Wait until a rank has told of ``step`` or later."""

        def look() -> Progress | None:
            found = [one for one in self.mine() if isinstance(one, Progress) and one.rank == rank and one.step >= step]
            return found[-1] if found else None

        return wait_for(f"step {step} of rank {rank}", look)

    def node(self, node: str, state: str) -> InventoryNode:
        """Wait until a node's last word on the inventory is ``state``."""

        def look() -> InventoryNode | None:
            words = [one for one in self.inventory.read() if one.node == node]
            return words[-1] if words and words[-1].state == state else None

        return wait_for(f"{node} {state}", look)

    def rank_processes(self) -> list[psutil.Process]:
        """Return the processes of this job's ranks that live."""
        return [
            process
            for process in psutil.process_iter(["cmdline", "status"])
            if str(self.training) in (process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
        ]

    def disconnect(self) -> None:
        """Leave the broker, which is about to die: kafka-python leaks a socket at each attempt to find it again."""
        self._producer.close(timeout=5)
        self.events.close()
        self.inventory.close()

    def connect(self) -> None:
        """Come back to the broker and read on where reading stopped."""
        self._producer = KafkaProducer(bootstrap_servers=self.brokers, acks="all")
        self.events.connect()
        self.inventory.connect()

    def close(self) -> None:
        """End everything."""
        for agent in self.agents.values():
            if agent.poll() is None:
                agent.terminate()
        for agent in self.agents.values():
            try:
                agent.wait(20)
            except subprocess.TimeoutExpired:
                agent.kill()
                agent.wait()
        for process in self.rank_processes():
            process.kill()
        self.disconnect()
