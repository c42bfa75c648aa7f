"""The observer on a real broker: from where it reads, what it hears, and how it says that nobody answers."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from urllib.request import urlopen

import pytest
from confluent_kafka import Producer

from connectors.errors import Unreachable, WrongUse
from connectors.kafka.topic_specs import TopicSpec
from connectors.kafka.topics import ASSESSMENT, TELEMETRY
from infra.broker.embedded import Broker
from infra.observer import LogRecord, Observer, View
from infra.observer.reader import last_counts, log_ends
from infra.observer.view import Told
from models.records import Command, Counts, Incident
from tests.observed_story import BAD, BEGAN, JOB, rescue

DEADLINE_S = 60.0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


def put(bootstrap: str, records: list[LogRecord]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    for record in records:
        producer.produce(record.topic, value=record.value, key=record.key, partition=record.partition)
    assert producer.flush(DEADLINE_S) == 0


@pytest.fixture
def fresh(broker: Broker, fresh_topics: Callable[..., tuple[TopicSpec, ...]]) -> str:
    fresh_topics(broker, partitions=2)
    return broker.bootstrap


@pytest.fixture
def watching() -> Iterator[Callable[[Observer], Observer]]:
    started: list[Observer] = []

    def watch(observer: Observer) -> Observer:
        observer.start()
        started.append(observer)
        return observer

    yield watch
    for observer in started:
        observer.stop()


@pytest.mark.broker
def test_it_folds_what_is_on_the_log_and_tells_what_is_new(
    fresh: str, watching: Callable[[Observer], Observer]
) -> None:
    heard: list[Told] = []
    observer = watching(Observer(fresh, heard=lambda told, _: heard.append(told)))
    assert observer.state().silent_s is None
    records = list(rescue(50))
    put(fresh, records)
    until(lambda: observer.look(lambda view: view.total("assessed")) == 2 * 8 * 50)
    until(lambda: observer.look(lambda view: view.outcomes.get("done", 0)) == 10)
    until(lambda: observer.look(lambda view: len(view.jobs[JOB].commands)) == 4)
    expected = View()
    for record in records:
        expected.fold(record)
    assert observer.look(lambda view: view.fleet.detail(BAD)) == expected.fleet.detail(BAD)
    assert sum(isinstance(told, Command) for told in heard) == 4
    assert sum(isinstance(told, Incident) for told in heard) == 1
    assert observer.state().silent_s is not None
    assert not observer.state().away


@pytest.mark.broker
def test_it_begins_where_a_run_begins_and_knows_what_was_counted_before(
    fresh: str, watching: Callable[[Observer], Observer]
) -> None:
    records = list(rescue(20))
    put(fresh, records)
    ends = {(ASSESSMENT, partition): end for partition, end in log_ends(fresh, (ASSESSMENT,))[ASSESSMENT].items()}
    assert sum(ends.values()) == sum(record.topic == ASSESSMENT for record in records)
    before = last_counts(fresh, ends)
    assert sum(counts.assessed for counts in before.values()) == 2 * 8 * 20
    heard: list[Told] = []
    observer = watching(Observer(fresh, begin=ends, heard=lambda told, _: heard.append(told)))
    put(fresh, [record for record in rescue(21) if record.topic == ASSESSMENT][-18:])
    until(lambda: observer.look(lambda view: len(view.counts)) == 2)
    counts = [told for told in heard if isinstance(told, Counts)]
    assert [one.assessed for one in counts] == [8 * 21, 8 * 21]
    assert observer.look(lambda view: len(view.fleet.nodes)) == 16


@pytest.mark.broker
def test_a_log_on_which_nothing_was_counted_has_no_counts(fresh: str) -> None:
    assert last_counts(fresh, {(ASSESSMENT, 0): 0, (ASSESSMENT, 1): 0}) == {}


@pytest.mark.broker
def test_the_end_of_the_telemetry_is_known(fresh: str, watching: Callable[[Observer], Observer]) -> None:
    observer = watching(Observer(fresh))
    assert observer.telemetry_ends() == {0: 0, 1: 0}
    put(fresh, [LogRecord(TELEMETRY, 1, 0, b"n01", b"{}", BEGAN)])
    assert observer.telemetry_ends() == {0: 0, 1: 1}


@pytest.mark.broker
def test_topics_that_are_not_there_are_named_with_the_cure(fresh: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.observer.reader.READS", ("no.such.topic",))
    with pytest.raises(WrongUse, match=r"no\.such\.topic.*forestall topics apply"):
        Observer(fresh).start()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_nobody_at_the_address_is_told_with_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.observer.reader.ANSWER_S", 1.0)
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable, match=address):
        Observer(address).start()
    with pytest.raises(Unreachable, match=address):
        log_ends(address, (ASSESSMENT,))


@pytest.mark.broker
def test_forestall_web_serves_the_topics_until_it_is_told_to_stop(fresh: str) -> None:
    put(fresh, list(rescue(3)))
    command = [sys.executable, "-m", "infra.cli.main", "web", "--brokers", fresh, "--json"]
    command += ["--set", f"web.port={free_port()}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as page:
        assert page.stdout is not None
        url = json.loads(page.stdout.readline())["url"]

        def overview() -> dict[str, object]:
            with urlopen(f"{url}/api/overview", timeout=DEADLINE_S) as answer:
                told: dict[str, object] = json.load(answer)
                return told

        until(lambda: len(overview()["nodes"]) == 16)  # type: ignore[arg-type]
        page.send_signal(signal.SIGTERM)
        assert page.wait(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("words", "code", "named"),
    [
        (("--set", "web.host=0.0.0.0"), 2, "ssh -L"),
        (("--brokers", "127.0.0.1:1"), 3, "127.0.0.1:1"),
    ],
)
def test_forestall_web_says_why_it_cannot_begin(words: tuple[str, ...], code: int, named: str) -> None:
    command = [sys.executable, "-m", "infra.cli.main", "web", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert done.returncode == code
    assert named in done.stderr
    assert "Traceback" not in done.stderr
