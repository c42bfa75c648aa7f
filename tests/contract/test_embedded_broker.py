"""The embedded Kafka itself: a port that is taken, a run that goes on, a broker found again, and clean ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from connectors.errors import Failed, Unreachable, WrongUse
from connectors.kafka.admin import admin_client, apply_topics, broker_count, check_topics
from connectors.kafka.topics import EVENT
from infra.broker import runs, server
from infra.broker.archive import ensure_archive
from infra.broker.embedded import Broker, embedded_broker
from infra.broker.java import use_archive
from infra.broker.locate import locate_broker
from infra.cli.main import main
from infra.cli.topics import specs_of
from infra.settings import Settings, load

pytestmark = pytest.mark.broker
DEADLINE_S = 30.0


def own(folder: Path, port: int | None = None) -> Settings:
    return load(None, [f"broker.directory={folder}", f"broker.port={port or server.choose_port(0)}"])


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, f"not in time: {what}"
        time.sleep(0.02)


def forestall(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with its data in ``folder``."""
    place = ["--set", f"broker.directory={folder}", "--json"]
    command = [sys.executable, "-m", "infra.cli.main", *words, *place]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_it_listens_on_the_loopback_address_alone(broker: Broker) -> None:
    assert broker.pid is not None
    listening = [c for c in psutil.Process(broker.pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    addresses = {connection.laddr.ip.removeprefix("::ffff:") for connection in listening}
    assert addresses == {"127.0.0.1"}


def test_a_taken_port_is_said_and_another_is_used(tmp_path: Path) -> None:
    said: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with embedded_broker(own(tmp_path, port), say=said.append) as broker:
            assert broker.bootstrap != f"127.0.0.1:{port}"
            assert broker.bootstrap.rpartition(":")[2] in said[-1]
            assert str(port) in said[-1]
            with admin_client(broker.bootstrap) as client:
                assert broker_count(client) == 1


def test_a_run_goes_on_where_it_ended_and_a_new_one_is_empty(tmp_path: Path) -> None:
    settings = own(tmp_path)
    with embedded_broker(settings, run="first") as broker:
        with admin_client(broker.bootstrap) as client:
            apply_topics(client, specs_of(settings))
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
        producer.send(EVENT, value=b"remembered", partition=0).get(timeout=10)
        producer.close()
    with pytest.raises(psutil.NoSuchProcess):
        psutil.Process(broker.pid)
    with locate_broker(settings) as broker:
        assert broker.run == "first"
        consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap, auto_offset_reset="earliest")
        consumer.assign([TopicPartition(EVENT, 0)])
        assert next(consumer).value == b"remembered"
        consumer.close()
    with embedded_broker(settings) as broker, admin_client(broker.bootstrap) as client:
        assert broker.run != "first"
        assert EVENT not in client.list_topics()
    assert not runs.all_serving(runs.runs_directory(settings))


def test_a_run_is_served_once(tmp_path: Path) -> None:
    settings = own(tmp_path)
    with embedded_broker(settings, run="only") as broker:
        with (
            pytest.raises(Failed, match=f"served already, at {broker.bootstrap}"),
            embedded_broker(settings, run="only"),
        ):
            pass
        with locate_broker(settings) as found:
            assert found == broker
        with admin_client(broker.bootstrap) as client:  # the borrower did not end it
            assert broker_count(client) == 1


def test_a_run_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="no run 'nosuch'"), locate_broker(own(tmp_path), run="nosuch"):
        pass


def test_brokers_of_ones_own_are_used_and_never_started(broker: Broker, tmp_path: Path) -> None:
    settings = load(None, [f"broker.directory={tmp_path}"], broker.bootstrap)
    with locate_broker(settings) as found:
        assert (found.bootstrap, found.run) == (broker.bootstrap, None)
    address = f"127.0.0.1:{server.choose_port(0)}"
    with pytest.raises(Unreachable, match=address), locate_broker(load(None, [], address)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_what_listens_but_is_no_kafka_is_named_as_such() -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        with pytest.raises(Unreachable, match=f"{address} accepts connections"), admin_client(address, timeout_s=2.0):
            pass


def test_kafka_that_ends_at_once_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    settings = own(tmp_path)
    with embedded_broker(settings, run="r"):
        pass
    identity = tmp_path / "runs" / "r" / "data" / "meta.properties"
    identity.write_text(identity.read_text().replace("node.id=1", "node.id=2"))
    with pytest.raises(Failed, match=r"broker\.log") as caught, embedded_broker(settings, run="r"):
        pass
    assert "node" in str(caught.value).lower()
    assert not runs.all_serving(tmp_path / "runs")


def test_start_status_and_stop_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = server.choose_port(0)
    started = forestall("broker", "start", "--run", "lab", "--set", f"broker.port={port}", folder=tmp_path)
    assert started.returncode == 0, started.stderr
    told = json.loads(started.stdout)
    try:
        assert (told["run"], told["bootstrap"]) == ("lab", f"127.0.0.1:{port}")
        with admin_client(told["bootstrap"]) as client:
            assert broker_count(client) == 1
        place = ["--set", f"broker.directory={tmp_path}", "--json"]
        assert main(["broker", "start", *place]) == 0
        assert json.loads(capsys.readouterr().out)["pid"] == told["pid"]
        assert main(["broker", "status", *place]) == 0
        assert [run["run"] for run in json.loads(capsys.readouterr().out)["running"]] == ["lab"]
    finally:
        stopped = forestall("broker", "stop", folder=tmp_path)
    assert json.loads(stopped.stdout) == {"stopped": ["lab"]}
    until(lambda: runs.process_created(told["pid"]) is None, "the broker is gone")
    assert json.loads(forestall("broker", "status", folder=tmp_path).stdout)["running"] == []
    assert json.loads(forestall("broker", "stop", folder=tmp_path).stdout) == {"stopped": []}


def test_a_broker_killed_outright_comes_back_at_the_same_address_with_its_data(tmp_path: Path) -> None:
    settings, said = own(tmp_path), list[str]()
    with embedded_broker(settings, run="r", say=said.append) as broker:
        with admin_client(broker.bootstrap) as client:
            apply_topics(client, specs_of(settings))
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        until(lambda: any("answers again" in line for line in said), "the broker is started again")
        assert any("ended (exit 137)" in line for line in said)
        with admin_client(broker.bootstrap) as client:
            assert {state.state for state in check_topics(client, specs_of(settings))} == {"ok"}
        (note,) = runs.all_serving(tmp_path / "runs")
        assert note.pid != broker.pid
        with locate_broker(settings) as found:
            assert (found.pid, found.bootstrap) == (note.pid, broker.bootstrap)
    assert runs.process_created(note.pid) is None


def test_a_detached_broker_killed_outright_is_noticed_and_its_run_goes_on(tmp_path: Path) -> None:
    settings = own(tmp_path)
    told = json.loads(forestall("broker", "start", "--run", "r", folder=tmp_path).stdout)
    os.kill(told["pid"], signal.SIGKILL)
    until(lambda: runs.process_created(told["pid"]) is None, "the broker is gone")
    assert runs.all_serving(tmp_path / "runs") == []
    with embedded_broker(settings, run="r") as again, admin_client(again.bootstrap) as client:
        assert broker_count(client) == 1


def test_the_broker_of_a_running_process_is_not_stopped_by_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with embedded_broker(own(tmp_path), run="mine") as broker:
        assert main(["broker", "stop", "--set", f"broker.directory={tmp_path}"]) == 1
        assert f"belongs to process {os.getpid()}" in capsys.readouterr().err
        assert broker.pid is not None
        assert runs.process_created(broker.pid) is not None


def test_with_brokers_of_ones_own_there_is_none_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broker", "start", "--brokers", "kafka-1:9092"]) == 2
    assert "kafka-1:9092" in capsys.readouterr().err


def test_an_archive_that_cannot_be_made_is_said_once_and_stops_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    made: list[Path] = []

    def refuse(archive: Path, class_path: Sequence[Path]) -> None:
        made.append(archive)
        raise Failed("no room")

    path = tmp_path / "start.aot"
    for _ in range(2):
        ensure_archive(path, [], said.append, refuse)
    assert made == [path]
    assert sum("no room" in line for line in said) == 1
    assert use_archive(path) is None
