"""A worker process as Prometheus and a supervisor see it, over the life and death of its broker."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from own_broker import OwnBroker, own_broker_in
from prometheus_client.parser import text_string_to_metric_families
from worker_process import WorkerProcess, worker

from connectors.codecs.records import encode_event
from connectors.kafka.put import put
from connectors.kafka.topics import EVENT, TELEMETRY
from infra.broker.server import choose_port
from infra.metrics.catalogue import BY_NAME
from models.records import Membership

pytestmark = pytest.mark.broker
DEADLINE_S = 90.0


class Asked:
    """A worker, and what it answers."""

    def __init__(self, broker: OwnBroker, process: WorkerProcess, port: int) -> None:
        self.broker, self.process, self.port = broker, process, port

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as told:
            with told:
                return told.code, told.read()
        except OSError:
            return 0, b""

    def lacking(self) -> dict[str, str]:
        status, body = self.get("/readyz")
        told = json.loads(body) if body else {"ready": False, "lacking": {"answer": "none"}}
        assert told["ready"] == (status == 200) == (not told["lacking"])
        return dict(told["lacking"])

    def until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert self.process.alive(), self.process.log.read_text()[-3000:]
            assert time.monotonic() < deadline, f"not in time: {what}; {self.lacking()}"
            time.sleep(0.05)

    def samples(self) -> dict[str, list[Any]]:
        status, body = self.get("/metrics")
        assert status == 200
        return {family.name: family.samples for family in text_string_to_metric_families(body.decode())}

    def value(self, name: str, **labels: str) -> float:
        found = [
            one.value
            for family in self.samples().values()
            for one in family
            if one.name == name and labels.items() <= one.labels.items()
        ]
        return float(sum(found))


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder, port = tmp_path_factory.mktemp("watched"), choose_port(0)
    with own_broker_in(folder) as broker:
        settings = (f"metrics.port={port}", "metrics.stale_s=2", "metrics.stall_s=5", "worker.snapshot_s=0.5")
        with worker(broker.bootstrap, folder / "worker.log", *settings) as process:
            yield Asked(broker, process, port)


def test_it_is_ready_when_it_holds_partitions_and_has_rebuilt_their_state(asked: Asked) -> None:
    asked.until(lambda: not asked.lacking(), "the worker is ready")
    assert asked.get("/healthz") == (200, b'{"alive": true, "lacking": {}}\n')
    assert asked.get("/secrets")[0] == 404


def test_what_it_tells_is_of_the_catalogue_and_counts_what_went_by(asked: Asked) -> None:
    member = Membership(id="m-1", job="demo", node="n1", at=1.0, state="running", rank=0, world=1)
    put(asked.broker.bootstrap, EVENT, b"demo", encode_event(member))
    put(asked.broker.bootstrap, TELEMETRY, b"n1", b"{nonsense")
    asked.until(lambda: asked.value("forestall_dead_letters_total", reason="not-json") == 1, "the dead letter counts")
    asked.until(lambda: asked.value("forestall_snapshot_bytes", topic=EVENT) > 0, "a snapshot is told of")
    told = asked.samples()
    known = {name.removesuffix("_total") for name in BY_NAME} | {name.removesuffix("_info") for name in BY_NAME}
    assert {name.removesuffix("_info") for name in told} <= known
    assert asked.value("forestall_ready") == 1
    assert asked.value("forestall_lane_records_total") >= 2
    assert asked.value("forestall_breaker_tripped") == 0
    states = [one for one in told["forestall_lane_state"] if one.labels["state"] == "live"]
    assert len(states) == 4
    assert all(one.value == 1 for one in states)


def test_promtool_has_nothing_to_say_against_it(asked: Asked) -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    _, body = asked.get("/metrics")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_its_log_is_lines_of_json(asked: Asked) -> None:
    lines = [json.loads(line) for line in asked.process.log.read_text().splitlines()]
    assert all({"at", "level", "process", "message"} <= line.keys() for line in lines)
    [letter] = [line for line in lines if "cannot be read" in line["message"]]
    assert (letter["topic"], letter["level"], letter["process"]) == (TELEMETRY, "warning", "forestall worker")


def test_without_its_broker_it_is_not_ready_and_lives_and_with_it_it_is_ready_again(asked: Asked) -> None:
    before = asked.process.process.pid
    asked.broker.kill()
    asked.until(lambda: "broker" in asked.lacking(), "it says that the broker is away")
    gone = time.monotonic()
    asked.until(lambda: time.monotonic() > gone + 7, "longer than the watchdog's patience")
    assert asked.get("/healthz")[0] == 200
    assert asked.value("forestall_lacking", what="broker") == 1
    asked.broker.start()
    asked.until(lambda: not asked.lacking(), "the worker is ready again")
    assert asked.process.process.pid == before
    assert asked.process.stop() == 0


def test_what_the_kafka_clients_said_meanwhile_is_lines_of_json_too(asked: Asked) -> None:
    lines = [json.loads(line) for line in asked.process.log.read_text().splitlines()]
    assert any(line["logger"] == "rdkafka" for line in lines)
