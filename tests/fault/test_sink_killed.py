"""kill -9 of InfluxDB and of the sink while the log is written: every record is one point in the end.

``INFLUX_KILLS`` sets how often each is killed, ``INFLUX_AWAY_S`` how long InfluxDB is away: `make influx` says 20 and
600, and prints what came of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from influx_process import Process, influx_server
from sink_process import Log, SinkProcess, outcomes_held, wait_for

from connectors.errors import Unreachable
from connectors.influx.outbox import Outbox
from connectors.kafka.topic_specs import TopicSpec
from infra.broker.embedded import Broker
from infra.influx.server import find_influxd

KILLS = int(os.environ.get("INFLUX_KILLS", "2"))
AWAY_S = float(os.environ.get("INFLUX_AWAY_S", "3"))
pytestmark = pytest.mark.timeout(0 if KILLS > 2 or AWAY_S > 3 else 300)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Process]:
    """A server of the test's own, for it is killed."""
    try:
        find_influxd()
    except Unreachable as fault:
        pytest.skip(str(fault))
    with influx_server(tmp_path / "influx") as started:
        yield started


@pytest.fixture
def log(broker: Broker, fresh_topics: Callable[..., tuple[TopicSpec, ...]]) -> Iterator[Log]:
    fresh_topics(broker)
    with Log(broker.bootstrap) as written:
        yield written


@pytest.fixture
def sink(broker: Broker, log: Log, server: Process, tmp_path: Path) -> SinkProcess:
    one = SinkProcess(broker.bootstrap, server, tmp_path)
    one.start()
    return one


def goes_on(server: Process, log: Log) -> None:
    """Wait until something that is on the log only now is in the database."""
    mark = log.count
    wait_for(lambda: outcomes_held(server) > mark, "points are written on")


def all_is_there(server: Process, log: Log, sink: SinkProcess, folder: Path) -> None:
    log.end()
    wait_for(lambda: outcomes_held(server) >= log.count, f"{log.count} points")
    sink.stop()
    assert outcomes_held(server) == log.count
    outbox = Outbox(folder / "outbox", 1 << 20)
    assert len(outbox) == 0
    outbox.close()


def test_the_sink_is_killed(server: Process, log: Log, sink: SinkProcess, tmp_path: Path) -> None:
    for _ in range(KILLS):
        goes_on(server, log)
        sink.kill()
        sink.start()
    goes_on(server, log)
    all_is_there(server, log, sink, tmp_path)
    print(f"\nsink killed {KILLS} times: {log.count} points expected, {outcomes_held(server)} written")


def test_influxdb_is_killed(server: Process, log: Log, sink: SinkProcess, tmp_path: Path) -> None:
    for _ in range(KILLS):
        goes_on(server, log)
        server.kill()
        server.start()
    all_is_there(server, log, sink, tmp_path)
    print(f"\ninfluxd killed {KILLS} times: {log.count} points expected, {outcomes_held(server)} written")


def test_influxdb_is_away_for_a_while(server: Process, log: Log, sink: SinkProcess, tmp_path: Path) -> None:
    goes_on(server, log)
    server.kill()
    away = time.monotonic() + AWAY_S
    before = log.count
    wait_for_until(away)
    wait_for(lambda: log.count > before, "the log is written on meanwhile")
    server.start()
    all_is_there(server, log, sink, tmp_path)
    print(f"\nInfluxDB away for {AWAY_S:.0f} s: {log.count} points expected, {outcomes_held(server)} written")


def wait_for_until(end: float) -> None:
    """It is the time away that is tested, so it is waited out."""
    time.sleep(max(0.0, end - time.monotonic()))
