"""Alerts reach a real receiver at least once, whoever is killed and whoever is away meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from alert_receiver import AlertReceiver
from topics_on import fresh_topics

from connectors.codecs.records import encode_event
from connectors.kafka.put import put
from connectors.kafka.topics import EVENT
from infra.broker.embedded import Broker
from models.records import Incident, Outcome

pytestmark = pytest.mark.broker
DEADLINE_S = 120.0
NODES = [f"n{number}" for number in range(12)]


class Sending:
    """``forestall sink webhook`` as a process, and the receiver that it sends to."""

    def __init__(self, brokers: str, folder: Path, receiver: AlertReceiver) -> None:
        self.brokers, self.folder, self.receiver = brokers, folder, receiver
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = [sys.executable, "-m", "infra.cli.main", "sink", "webhook", "--brokers", self.brokers]
        words += ["--set", f"alerts.directory={self.folder}", "--set", "alerts.per_minute=1000"]
        environment = {**os.environ, "FORESTALL_ALERTS__WEBHOOK": self.receiver.url, "OMP_NUM_THREADS": "1"}
        with (self.folder / "alerts.log").open("ab") as log:
            self.process = subprocess.Popen(words, env=environment, stdout=log, stderr=log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def log(self) -> str:
        return (self.folder / "alerts.log").read_text()

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert self.process is not None
            assert self.process.poll() is None, self.log()[-3000:]
            assert time.monotonic() < deadline, f"not in time: {what}; {self.log()[-3000:]}"
            time.sleep(0.02)


@pytest.fixture
def sending(broker: Broker, tmp_path: Path) -> Iterator[Sending]:
    fresh_topics(broker)
    with AlertReceiver().serving() as receiver:
        sender = Sending(broker.bootstrap, tmp_path, receiver)
        yield sender
        if sender.process is not None and sender.process.poll() is None:
            sender.kill()


def incident(node: str, state: str = "opened") -> Incident:
    return Incident(
        id=f"{node}-{state}",
        job="demo",
        node=node,
        at=time.time(),
        incident=f"incident-{node}",
        state=state,  # type: ignore[arg-type]
        probability=0.9,
        deviation=4.0,
        horizon_s=1800.0,
    )


def tell(brokers: str, event: Incident | Outcome) -> None:
    put(brokers, EVENT, b"demo", encode_event(event))


def test_each_alert_arrives_whenever_the_sender_is_killed(sending: Sending) -> None:
    brokers, receiver = sending.brokers, sending.receiver
    tell(brokers, incident("past"))
    tell(brokers, incident("past", "closed"))
    sending.start()
    for turn, node in enumerate(NODES):
        tell(brokers, incident(node))
        if turn % 4 == 3:  # at once: before, while or after it is read, kept, sent or noted
            sending.kill()
            sending.start()
        if turn % 4 == 1:
            asked = receiver.requests
            sending.until(lambda asked=asked: receiver.requests > asked, "the next request")  # type: ignore[misc]
            sending.kill()
            sending.start()
    sending.until(lambda: set(NODES) <= receiver.nodes("firing"), "every incident fires")
    for turn, node in enumerate(NODES):
        tell(brokers, incident(node, "closed"))
        if turn in {3, 7}:
            sending.kill()
            sending.start()
    sending.until(lambda: set(NODES) <= receiver.nodes("resolved"), "every incident is over")
    assert "past" not in receiver.nodes("firing") | receiver.nodes("resolved")
    assert "s3cr3t" not in sending.log()
    prints = {one["labels"]["node"]: one["fingerprint"] for one in receiver.alerts("firing")}
    assert len(set(prints.values())) == len(NODES)


def test_a_receiver_that_refuses_for_a_while_is_told_in_the_end(sending: Sending) -> None:
    brokers, receiver = sending.brokers, sending.receiver
    receiver.status = 503
    sending.start()
    tell(brokers, incident("n1"))
    sending.until(lambda: receiver.requests >= 2, "it tries again")
    refused = Outcome(
        id="o1", job="demo", command="c1", action="MIGRATE", node="n2", stage="rejected", at=time.time(),
        reason="unknown-key (by key 'ab')",
    )  # fmt: skip
    tell(brokers, refused)
    tell(brokers, replace(refused, id="o2", command="c2", reason="revoked-key"))
    receiver.status = 200
    sending.until(lambda: {"n1", "n2"} <= receiver.nodes("firing"), "both are told")
    [one] = [told for told in receiver.taken if told["groupLabels"]["alertname"] == "ForestallCommandNotCarriedOut"]
    assert (one["version"], one["status"], one["receiver"]) == ("4", "firing", "forestall")
    [alert] = one["alerts"]
    assert alert["labels"] == {
        "alertname": "ForestallCommandNotCarriedOut", "severity": "ticket", "job": "demo", "action": "MIGRATE",
        "node": "n2",
    }  # fmt: skip
    assert alert["annotations"]["description"] == "revoked-key"
    assert alert["annotations"]["runbook_url"] == "docs/runbooks/command-refused.md"
    assert sending.process is not None
    sending.process.terminate()
    assert sending.process.wait(30) == 0
