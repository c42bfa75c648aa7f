"""``forestall produce`` as a person and as ``up`` use it, on the real broker."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from recording import numbered, write_folder
from topic_reader import Read, TopicReader

from connectors.codecs.frames import FrameDecoder, decode_schema, encode_json_frame
from connectors.codecs.records import decode_event
from connectors.kafka.topics import EVENT, SCHEMA, TELEMETRY
from connectors.ports import Outbound
from connectors.spool import Spool
from models.records import Frame, Tick
from models.telemetry import Row, Schema, TelemetryTick

if TYPE_CHECKING:
    from infra.broker.embedded import Broker

pytestmark = pytest.mark.broker
EXTRACT = Path(__file__).parent.parent / "data" / "smd"
ANSWER_S_MAX = 60.0


class Produce:
    """One ``forestall produce`` as a child process."""

    def __init__(self, brokers: str, folder: Path, *words: str) -> None:
        command = [sys.executable, "-m", "infra.cli.main", "produce", *words, "--json", "--brokers", brokers]
        self.process = subprocess.Popen(
            [*command, "--set", f"broker.directory={folder}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> dict[str, Any]:
        """The next line of stdout."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return json.loads(line)  # type: ignore[no-any-return]

    def say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def stop(self) -> dict[str, Any]:
        """SIGTERM; returns the last line."""
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self) -> dict[str, Any]:
        """Wait for the end; returns the last line."""
        out, err = self.process.communicate(timeout=ANSWER_S_MAX)
        assert self.process.returncode == 0, err
        assert "Traceback" not in err
        return json.loads(out.strip().splitlines()[-1])  # type: ignore[no-any-return]


class Log:
    """What a run put on the log."""

    def __init__(self, brokers: str) -> None:
        self.readers = {topic: TopicReader(brokers, topic) for topic in (TELEMETRY, EVENT, SCHEMA)}
        self.schemas: dict[str, Schema] = {}

    def read(self) -> None:
        """Read what is new; schemas stay known."""
        self.telemetry, self.events, schemas = (reader.new() for reader in self.readers.values())
        self.schemas |= {read.key.decode(): decode_schema(read.value) for read in schemas}
        decoder = FrameDecoder(self.schemas)
        self.decoded = [(read, decoder.decode(read.value)) for read in self.telemetry]

    @property
    def rows(self) -> list[Row]:
        return [one for _, one in self.decoded if isinstance(one, Row)]

    def ticks(self, partition: int) -> list[TelemetryTick]:
        return [one for read, one in self.decoded if read.partition == partition and isinstance(one, TelemetryTick)]

    def event_ticks(self, partition: int) -> list[Tick]:
        found = [decode_event(read.value) for read in self.events if read.partition == partition]
        return [one for one in found if isinstance(one, Tick)]

    def history_and_live(self) -> tuple[int, int]:
        """Frames as the worker counts them: by the last tick before them on their partition."""
        history: dict[int, bool] = defaultdict(bool)
        counts = [0, 0]
        for read, one in self.decoded:
            if isinstance(one, TelemetryTick):
                history[read.partition] = one.history
            elif isinstance(one, Row):
                counts[0 if history[read.partition] else 1] += 1
        return counts[0], counts[1]

    def close(self) -> None:
        for reader in self.readers.values():
            reader.close()


@pytest.fixture
def log(broker: Broker, topics: object) -> Iterator[Log]:
    made = Log(broker.bootstrap)
    yield made
    made.close()


@pytest.fixture
def produce(broker: Broker, tmp_path: Path, topics: object) -> Iterator[Any]:
    started: list[Produce] = []

    def start(*words: str) -> Produce:
        started.append(Produce(broker.bootstrap, tmp_path, *words))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.communicate()


def adds_up(tally: dict[str, Any]) -> bool:
    became = tally["sent"] + tally["spooled"] + tally["waiting"] + sum(tally["dropped"].values())
    return bool(tally["produced"] + tally["history"] + tally["restored"] == became)


def in_order(reads: list[tuple[Read, object]]) -> bool:
    """Whether each partition's frames and ticks go up in time, and no frame comes after a tick of its time.

    The first tick stands before its frame: it says that a past begins.
    """
    newest: dict[int, float] = defaultdict(float)
    ticks: dict[int, list[float]] = defaultdict(list)
    for read, one in reads:
        ticked = ticks[read.partition]
        if isinstance(one, Row):
            if one.ts < newest[read.partition] or (len(ticked) > 1 and one.ts <= ticked[-1]):
                return False
            newest[read.partition] = one.ts
        elif isinstance(one, TelemetryTick):
            if ticked and one.ts < ticked[-1]:
                return False
            ticked.append(one.ts)
    return True


def test_a_recording_from_end_to_end(produce: Any, log: Log) -> None:
    tally = produce("replay", str(EXTRACT), "--speed", "100000").end()
    log.read()
    assert (tally["history"], tally["produced"]) == (1188, 1208)
    assert (tally["sent"], tally["sent_history"], tally["dropped"], tally["spooled"]) == (2396, 1188, {}, 0)
    assert adds_up(tally)
    assert len(log.rows) == 2396
    assert {row.node for row in log.rows} == {"machine-1-4", "machine-3-2"}
    assert [len(schema.metrics) for schema in log.schemas.values()] == [38]
    assert in_order(log.decoded)
    for partition in (0, 1):
        ticks = log.ticks(partition)
        assert [tick.history for tick in ticks] == [True] * (1 + 594) + [False] * (1 + 606)
        assert [tick.ts for tick in ticks][:3] == [1_577_836_800.0, 1_577_836_800.0, 1_577_836_860.0]
        assert ticks[595].ts == ticks[594].ts, "the tick that ends the past is of its last instant"
        assert [(t.at, t.history) for t in log.event_ticks(partition)] == [(t.ts, t.history) for t in ticks]
    assert tally["last_ts"] == max(row.ts for row in log.rows)


def test_a_recording_waits_for_the_start(produce: Any, log: Log) -> None:
    run = produce("replay", str(EXTRACT), "--speed", "600", "--events", "--wait-for-start")
    assert run.line() == {"event": "history-sent", "frames": 1188}
    log.read()
    assert len(log.rows) == 1188, "all of the past is on the log when that is said"
    assert all(tick.history for tick in log.ticks(0))
    run.say("start")
    assert run.line() == {"event": "live", "history": 1188}
    tally = run.stop()
    log.read()
    assert tally["produced"] == tally["sent"] - 1188 == len(log.rows)
    assert log.ticks(0)[0].history is False


def test_a_fleet_goes_on_as_history_until_the_start(produce: Any, log: Log) -> None:
    words = ("fleet", "--nodes", "500", "--interval", "100ms", "--events", "--wait-for-start")
    run = produce(*words)
    told = run.line()
    assert told["event"] == "history-sent"
    assert 49_000 < told["frames"] <= 50_000
    deadline = time.monotonic() + ANSWER_S_MAX
    log.read()
    while len(log.rows) < 500:  # of the wait alone
        assert time.monotonic() < deadline
        log.read()
    assert all(tick.history for tick in log.ticks(0))
    run.say("start")
    live = run.line()
    assert live["event"] == "live"
    assert live["history"] > told["frames"]
    tally = run.stop()
    assert tally["history"] == live["history"]
    assert tally["sent"] == tally["history"] + tally["produced"]
    assert adds_up(tally)


def test_the_frames_of_a_fleet_follow_each_other_over_the_start(produce: Any, log: Log) -> None:
    run = produce("fleet", "--nodes", "250", "--interval", "50ms", "--events", "--wait-for-start")
    run.line()
    run.say("start")
    run.line()
    time.sleep(0.3)  # a few live samples; how many does not matter
    tally = run.stop()
    log.read()
    assert in_order(log.decoded)
    times = sorted({row.ts for row in log.rows})
    gaps = {round(after - before, 3) for before, after in itertools.pairwise(times)}
    assert gaps == {0.05}, "no gap and no overlap where the present begins"
    for partition in (0, 1):
        history = [tick.history for tick in log.ticks(partition)]
        assert history == [True] * (len(history) - 1) + [False]
    assert log.history_and_live() == (tally["history"], tally["produced"])
    assert len(log.rows) == tally["sent"]


def test_this_host_until_told_to_stop(produce: Any, log: Log) -> None:
    run = produce("host", "--interval", "50ms", "--events")
    assert run.line() == {"event": "history-sent", "frames": 0}
    assert run.line() == {"event": "live", "history": 0}
    deadline = time.monotonic() + ANSWER_S_MAX
    log.read()
    while not log.rows:
        assert time.monotonic() < deadline
        log.read()
    first = log.rows[0]
    tally = run.stop()
    log.read()
    assert tally["produced"] == tally["sent"] >= 1
    assert abs(first.ts - time.time()) < ANSWER_S_MAX
    assert "node_load1" in first.schema.metrics
    for partition in (0, 1):
        assert [tick.history for tick in log.ticks(partition)] in ([], [False]), (
            "but for the first, they are the worker's"
        )


def test_what_an_earlier_run_left_in_the_spool_is_sent_first(produce: Any, log: Log, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "left", 1 << 20)
    for number in range(3):
        value = encode_json_frame(Frame("left", 1_000.0 + number, number, {"m": 1.0}))
        spool.append(Outbound(TELEMETRY, b"left", value, is_frame=True))
    spool.close()
    tally = produce("host", "--spool", str(tmp_path / "left"), "--interval", "50ms", "--for", "300ms").end()
    log.read()
    assert (tally["restored"], tally["spooled"]) == (3, 0)
    assert tally["sent"] == 3 + tally["produced"]
    assert [row.ts for row in log.rows if row.node == "left"] == [1_000.0, 1_001.0, 1_002.0]


def test_a_spool_in_use_is_wrong_use(produce: Any, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "taken", 1 << 20)
    run = produce("host", "--spool", str(tmp_path / "taken"))
    _, err = run.process.communicate(timeout=ANSWER_S_MAX)
    spool.close()
    assert run.process.returncode == 2
    assert "in use" in err


def test_for_ends_it(produce: Any) -> None:
    tally = produce("host", "--interval", "50ms", "--for", "300ms").end()
    assert 1 <= tally["produced"] <= 7
    assert tally["sent"] == tally["produced"]


def test_the_end_of_standard_input_while_waiting_ends_it(produce: Any) -> None:
    run = produce("host", "--events", "--wait-for-start")
    run.line()
    assert run.end() | {"seconds": 0} == {
        "produced": 0,
        "history": 0,
        "restored": 0,
        "sent": 0,
        "sent_history": 0,
        "spooled": 0,
        "waiting": 0,
        "dropped": {},
        "last_ts": None,
        "seconds": 0,
    }


def test_a_bad_row_in_the_middle_ends_it_with_2_and_names_the_line(produce: Any, tmp_path: Path) -> None:
    rows = numbered(900)
    rows[700] = "1,hot"
    write_folder(tmp_path / "bad", {"a": (rows, numbered(5))})
    run = produce("replay", str(tmp_path / "bad"))
    _, err = run.process.communicate(timeout=ANSWER_S_MAX)
    assert run.process.returncode == 2
    assert "a.train.csv.gz, line 702: could not convert string to float: 'hot'" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay"], "needs a FOLDER"),
        (["replay", "/no/such/folder"], "/no/such/folder"),
        (["host", "folder"], "takes no folder"),
        (["fleet", "--speed", "3"], "--speed is for replay"),
        (["replay", str(EXTRACT), "--nodes", "3"], "--nodes is for fleet"),
        (["fleet", "--spool", "x"], "--spool is for host"),
        (["host", "--disorder"], "--disorder is for fleet"),
        (["fleet", "--nodes", "0"], "'0' is no number of nodes"),
        (["replay", str(EXTRACT), "--speed", "-1"], "no speed"),
        (["moon"], "moon"),
    ],
)
def test_wrong_use_is_2_and_says_what_is_wrong(produce: Any, words: list[str], said: str) -> None:
    run = produce(*words)
    out, err = run.process.communicate(timeout=ANSWER_S_MAX)
    assert run.process.returncode == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_nobody_at_the_address_is_3(tmp_path: Path) -> None:
    run = Produce("127.0.0.1:1", tmp_path, "host", "--for", "1s")
    _, err = run.process.communicate(timeout=ANSWER_S_MAX)
    assert run.process.returncode == 3
    assert "127.0.0.1:1" in err
