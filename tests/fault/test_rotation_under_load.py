"""Keys are rotated while a worker commands: every command is accepted as it comes, and the chain goes on."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from living_cluster import LivingCluster
from topics_on import fresh_topics
from worker_process import WorkerProcess, lively_artefact, worker, written

from connectors.kafka import topics
from connectors.signing import KeyFolder, Keyring, Refusal, Verified
from connectors.signing.private_key import read_private_key
from infra.broker.embedded import Broker
from infra.cli.main import main
from infra.command_log import audit_log, read_command_log
from infra.settings import load

pytestmark = [pytest.mark.broker, pytest.mark.timeout(300)]

PARTITIONS = 2
COMMANDS = 6
DEADLINE_S = 120.0


class Agent:
    """A reader of all commands that judges each as it comes, by a copy of the keyring."""

    def __init__(self, brokers: str, keyring: Path) -> None:
        self._keyring = Keyring(keyring, print)
        self._consumer = Consumer({"bootstrap.servers": brokers, "group.id": "judge", "fetch.wait.max.ms": 20})
        self._consumer.assign([TopicPartition(topics.COMMAND, p, 0) for p in range(PARTITIONS)])
        self.accepted: Counter[str] = Counter()
        self.refused: list[Refusal] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._read, name="judge")
        self._thread.start()

    def _read(self) -> None:
        while not self._ending.is_set():
            for message in self._consumer.consume(100, 0.05):
                verdict = self._keyring.verify(message.value() or b"")
                if isinstance(verdict, Verified):
                    self.accepted[verdict.key_id] += 1
                else:
                    self.refused.append(verdict)

    def has_accepted(self, key: str, count: int) -> bool:
        return self.accepted[key] >= count

    def has_read(self, count: int) -> bool:
        return self.accepted.total() + len(self.refused) >= count

    def close(self) -> None:
        self._ending.set()
        self._thread.join(30)
        self._consumer.close()


def wait_until(holds: Callable[[], bool], what: str, alive: WorkerProcess) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert alive.alive(), alive.log.read_text()[-3000:]
        assert time.monotonic() < deadline, f"in {DEADLINE_S:.0f} s it has not come to this: {what}"
        time.sleep(0.05)


def copy(keyring: Path, to: Path) -> None:
    """As an operator does: a new file, put in the place of the old."""
    fresh = to.with_suffix(".fresh")
    shutil.copyfile(keyring, fresh)
    fresh.replace(to)


def test_no_command_is_refused_while_keys_are_rotated(broker: Broker, tmp_path: Path) -> None:
    fresh_topics(broker, PARTITIONS)
    files, theirs = KeyFolder.at(tmp_path / "keys"), tmp_path / "agent-keyring.json"
    at = ["--set", f"signing.key={files.key}"]
    assert main(["keys", "new", *at]) == 0
    copy(files.keyring, theirs)
    settings = (
        f"predictor.artefact={lively_artefact(tmp_path / 'lively.safetensors')}",
        "worker.ticks=source",
        "policy.level=migrate",
        "policy.checkpoint=young",
        "policy.node_mtbf_days=0.05",
        "policy.checkpoint_cost_s=0.2",
        f"signing.key={files.key}",
        f"signing.keyring={files.keyring}",
    )
    cluster, agent = LivingCluster(broker.bootstrap, PARTITIONS, seed=20261124), Agent(broker.bootstrap, theirs)
    names: list[str] = []
    try:
        cluster.live(120)
        with worker(broker.bootstrap, tmp_path / "worker.log", *settings) as process, cluster.living():
            for turn in range(3):
                names.append(read_private_key(files.key).id)
                wait_until(partial(agent.has_accepted, names[-1], COMMANDS), f"key {turn} has signed", process)
                if turn == 2:
                    break
                assert main(["keys", "rotate", *at]) == 0
                copy(files.keyring, theirs)
                assert main(["keys", "rotate", "--switch", *at]) == 0
                fresh = read_private_key(files.key).id
                wait_until(partial(agent.has_accepted, fresh, 1), "the next key has signed", process)
                old_ones = written(broker.bootstrap, topics.COMMAND)
                wait_until(partial(agent.has_read, old_ones), "those of the old key are taken in", process)
                assert main(["keys", "revoke", names[-1], *at]) == 0
                copy(files.keyring, theirs)
        assert agent.refused == []
        assert len(set(names)) == 3
        log = read_command_log(load(None, [], broker.bootstrap), None)
        found = audit_log(log, Keyring(files.keyring, print).keys())
        assert [str(fault) for one in found for fault in one.faults] == []
        assert sum(one.commands for one in found) >= 3 * COMMANDS
    finally:
        agent.close()
