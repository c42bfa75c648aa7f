"""Ready and not, the watchdog's patience, what is served, and what a log says."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from infra.agent.cluster_agent import Standing
from infra.logs import complain, message_of, set_up, speaker
from infra.metrics import reference
from infra.metrics.catalogue import BY_NAME, CATALOGUE
from infra.metrics.families import Scrape, exposition
from infra.metrics.health import LOOP_S, Health
from infra.metrics.readers import lacking_of
from infra.metrics.reasons import DEAD_LETTERS, REFUSALS, refusal
from infra.metrics.serving import Page, _Server, served
from infra.metrics.watch import ANSWER_S, LOOK_S, Watch
from infra.metrics.watched_agent import ASK_S, AgentMetrics, BrokerLook
from infra.observer.reader import LogState
from infra.settings import Logs, Metrics
from infra.supervisor import Part
from infra.up.targets import Targets
from streams.batch import Partition
from streams.tally import DELAY_BOUNDS_S, Delays

ROOT = Path(__file__).parents[2]
P0, P1 = Partition("t", 0), Partition("t", 1)
SETTINGS = Metrics(stale_s=10.0, stall_s=20.0)


class Lanes:
    def __init__(self) -> None:
        self.restoring = False
        self.tended_at = self.polled_at = 0.0
        self.taken: dict[Partition, int] = {P0: 5, P1: 5}

    def positions(self) -> Mapping[Partition, int]:
        return self.taken


class World:
    """A worker's lanes and its broker, and a watch that looks at them every two seconds."""

    def __init__(self) -> None:
        self.now, self.away, self.ends = 0.0, False, {P0: 5, P1: 5}
        self.lanes, self.failed = Lanes(), list[str]()
        self.watch = Watch(self.lanes, self.ask, SETTINGS, lambda: self.now, self.failed.append)

    def ask(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        if self.away:
            raise TimeoutError("no answer")
        return {one: self.ends[one] for one in partitions}

    def pass_s(self, seconds: float, *, taking: bool = False) -> None:
        for _ in range(round(seconds / LOOK_S)):
            self.now += LOOK_S
            self.lanes.polled_at = self.now
            if taking:
                self.lanes.taken = {one: offset + 1 for one, offset in self.lanes.taken.items()}
            self.watch.look()


@pytest.fixture
def world() -> World:
    return World()


def test_a_worker_is_ready_once_the_broker_answers_and_its_lanes_work(world: World) -> None:
    assert "broker" in world.watch.lacking()
    world.pass_s(2)
    assert world.watch.lacking() == {}
    world.lanes.restoring = True
    assert world.watch.lacking() == {"state": "is being rebuilt"}
    world.lanes.restoring, world.lanes.taken = False, {}
    assert world.watch.lacking() == {"partitions": "none is assigned"}


def test_a_broker_that_is_away_is_lacking_at_once_and_never_a_reason_to_end(world: World) -> None:
    world.ends = {P0: 900, P1: 900}
    world.pass_s(10)
    world.away = True
    world.pass_s(600)
    assert world.watch.lacking() == {"broker": "has not answered for 600 s"}
    world.away = False
    world.pass_s(10)
    assert world.failed == [], "what was waited before it went away counts no more"
    assert world.watch.lacking() == {}


def test_a_worker_that_takes_nothing_though_records_wait_is_ended_after_its_time(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.pass_s(4)
    world.ends = {P0: 5, P1: 6}
    world.pass_s(2)
    world.pass_s(12)
    assert world.watch.lacking() == {"progress": "none of t/1 although records wait"}
    assert world.failed == []
    world.pass_s(8)
    assert world.failed == ["nothing of t/1 was taken in for 20 s although records wait"]
    assert "thread MainThread:\n" in caplog.text
    assert "in look\n" in caplog.text


def test_one_that_goes_on_has_nothing_to_read_or_restores_is_left_alone(world: World) -> None:
    world.pass_s(100)
    world.ends = {P0: 10_000, P1: 10_000}
    world.pass_s(100, taking=True)
    world.lanes.restoring = True
    world.pass_s(100)
    assert world.failed == []


def test_time_in_which_the_process_did_not_run_is_no_stall(world: World) -> None:
    world.ends = {P0: 900, P1: 900}
    world.pass_s(4)
    world.now += 3600.0  # stopped, as by SIGSTOP
    world.watch.look()
    assert world.failed == []
    assert SETTINGS.stall_s > LOOK_S + ANSWER_S


def test_no_patience_of_0_ever_ends_a_worker() -> None:
    lanes, now = Lanes(), [0.0]
    watch = Watch(lanes, lambda _: {P0: 9, P1: 9}, Metrics(stall_s=0), lambda: now[0], pytest.fail)
    for _ in range(100):
        now[0] += LOOK_S
        watch.look()
    assert "progress" in watch.lacking()


def test_a_poller_that_hangs_is_lacking(world: World) -> None:
    world.pass_s(4)
    world.now += 11
    assert world.watch.lacking().keys() == {"broker", "polling"}


def test_a_loop_that_does_not_turn_is_ill() -> None:
    turned = [0.0]
    health = Health(lambda: turned[0], dict)
    assert health.ill() == {}
    turned[0] = LOOP_S
    assert health.unready() == {"loop": "has not turned for 30 s"}


def standing(**more: Any) -> Standing:
    told: dict[str, Any] = {"outcomes": {"done": 2}, "refused": {("rejected", "clock"): 1}, "unreadable": 0}
    told |= {"not_taken_up": 0, "waiting": 3, "runs": True, "has_room": True, "reads": True}
    return Standing(**{**told, **more})


class Agent:
    turned_at = 0.0

    def __init__(self) -> None:
        self.told = standing()

    def standing(self) -> Standing:
        return self.told


def test_an_agent_is_ready_when_it_hears_commands_and_can_tell_outcomes() -> None:
    now, answers = [0.0], [True]

    def ask() -> None:
        if not answers[0]:
            raise OSError

    agent, broker = Agent(), BrokerLook(ask, lambda: now[0])
    metrics = AgentMetrics(agent, broker, 10.0)
    assert metrics.lacking().keys() == {"broker"}
    broker.look()
    assert metrics.lacking() == {}
    agent.told = standing(reads=False, has_room=False)
    assert metrics.lacking().keys() == {"commands", "outcomes"}
    agent.told, answers[0], now[0] = standing(), False, 10.0 + ASK_S + 1
    broker.look()
    assert metrics.lacking().keys() == {"broker"}
    text = exposition("agent", metrics).decode()
    assert 'forestall_refusals_total{reason="clock",stage="rejected"} 1.0' in text
    assert "forestall_agent_outcomes_waiting 3.0" in text


def test_a_reader_is_ready_when_the_log_is_not_silent() -> None:
    assert lacking_of(LogState(True, 0.1), 15.0) == {"broker": "does not answer"}
    assert lacking_of(LogState(False, None), 15.0).keys() == {"topics"}
    assert lacking_of(LogState(False, 16.0), 15.0) == {"topics": "silent for 16 s"}
    assert lacking_of(LogState(False, 1.0), 15.0) == {}


# -- what is told


def test_only_what_is_in_the_catalogue_can_be_told() -> None:
    with pytest.raises(KeyError):
        Scrape().add("forestall_other", 1.0)
    with pytest.raises(TypeError):
        Scrape().add("forestall_assessment_delay_seconds", 1.0)


@pytest.mark.parametrize("told", CATALOGUE, ids=[one.name for one in CATALOGUE])
def test_names_and_labels_follow_the_rules(told: Any) -> None:
    assert told.name.startswith("forestall_")
    assert told.name.endswith("_total") == (told.kind == "counter")
    assert told.kind != "info" or told.name.endswith("_info")
    assert told.kind != "histogram" or told.name.endswith("_seconds")
    assert not {"id", "incident", "command"} & set(told.labels)
    assert ("node" in told.labels) == (told.name == "forestall_incident_probability_ratio")
    assert told.by


def test_the_catalogue_has_no_name_twice_and_what_the_code_tells() -> None:
    assert len(BY_NAME) == len(CATALOGUE)
    named = set()
    for path in [*(ROOT / "infra").rglob("*.py")]:
        if path.name in {"catalogue.py"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("forestall_"):
                named.add(node.value)
    told = {name for name in named if name in BY_NAME}
    unused = {name for name in BY_NAME if not name.startswith(("forestall_probability", "forestall_recovery"))}
    unused -= {name for name in BY_NAME if name.startswith(("forestall_checkpoint_overhead", "forestall_diagnostic"))}
    by_influx = {name for name, one in BY_NAME.items() if one.by == ("sink influx",)}
    assert unused - told - by_influx == set()


def test_the_reference_is_what_the_code_makes() -> None:
    assert reference.FILE.read_text() == reference.page(), "run python -m infra.reference"


def test_delays_add_up_whichever_way_they_are_sorted() -> None:
    since = [100.0 - bound for bound in (0.0005, 0.003, 0.3, 4.0, 1000.0, -5.0)]
    few, many = Delays(), Delays()
    for _ in range(20):
        few.note(since, 100.0)
    many.note(since * 20, 100.0)
    assert few.counts == many.counts
    assert few.sum_s == pytest.approx(many.sum_s)
    assert (sum(few.counts), few.counts[-1], few.counts[0]) == (120, 20, 40)
    scrape = Scrape()
    scrape.delays("forestall_assessment_delay_seconds", [few, many])
    text = exposition("worker", lambda into: into.delays("forestall_assessment_delay_seconds", [few, many])).decode()
    assert 'forestall_assessment_delay_seconds_bucket{le="+Inf"} 240.0' in text
    assert "forestall_assessment_delay_seconds_count 240.0" in text
    assert len(few.counts) == len(DELAY_BOUNDS_S) + 1


def test_reasons_are_bounded_and_those_of_the_code() -> None:
    assert refusal("it is dated 75.0 s ahead, more than agent.skew_s (60 s): a clock is wrong") == "clock"
    assert refusal("6 were accepted in the last hour; agent.disruptions_per_hour is 6") == "hourly-limit"
    assert set(map(refusal, ("quarantined by MIGRATE c1", "x" * 9999))) == {"quarantined", "other"} <= set(REFUSALS)
    codecs = "".join(path.read_text() for path in (ROOT / "connectors" / "codecs").glob("*.py"))
    slugs = set(re.findall(r'InvalidRecord\(\s*"([a-z-]+)"', codecs))
    slugs |= set(re.findall(r'_check_names\(\w+, "([a-z-]+)"\)', codecs))
    assert slugs | {"other"} == set(DEAD_LETTERS)


@pytest.fixture
def url() -> Iterator[str]:
    def broken(_: Scrape) -> None:
        raise RuntimeError("no numbers")

    def works(scrape: Scrape) -> None:
        scrape.add("forestall_alerts_waiting", 7)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    health = Health(lambda: 0.0, lambda: {"broker": "is away"})
    with served(Metrics(port=port), Page("web", health, [broken, works])):
        for _ in range(400):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                break
            except OSError:
                time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"


def test_a_page_says_what_it_can_and_is_not_ready_with_the_reason(url: str) -> None:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = answer.read().decode()
    assert "forestall_alerts_waiting 7.0" in text
    assert 'forestall_lacking{what="broker"} 1.0' in text
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(f"{url}/readyz", timeout=10)
    with told.value as answer:
        assert (answer.code, json.loads(answer.read())) == (503, {"ready": False, "lacking": {"broker": "is away"}})


def test_nothing_but_asking_is_allowed(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as told:
        urllib.request.urlopen(urllib.request.Request(f"{url}/metrics", b"x", method="POST"), timeout=10)
    with told.value as answer:
        assert answer.code == 501


def test_a_page_that_cannot_be_made_is_said_and_a_client_that_has_gone_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fault() -> Mapping[str, str]:
        raise RuntimeError("changed under an iteration")

    with _Server("127.0.0.1", 0, Page("web", Health(lambda: 0.0, fault), [])) as server:
        for gone in (BrokenPipeError(), TimeoutError()):
            try:
                raise gone
            except OSError:
                server.handle_error(None, ("127.0.0.1", 1))
        assert not caplog.records
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises((OSError, HTTPException)):
            urllib.request.urlopen(f"http://127.0.0.1:{server.server_address[1]}/readyz", timeout=10)
        thread.join()
    assert "changed under an iteration" in caplog.text


def test_a_port_that_is_taken_is_said_and_keeps_nobody_from_working(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with served(Metrics(port=port), Page("web", Health(lambda: 0.0, dict), [])):
            deadline = time.monotonic() + 30
            while not any("cannot be served" in one.getMessage() for one in caplog.records):
                assert time.monotonic() < deadline
                time.sleep(0.01)


def test_each_part_of_a_run_has_a_port_of_its_own_and_prometheus_is_told(tmp_path: Path) -> None:
    targets = Targets(Metrics())
    parts = [
        targets.watched(Part(name, ("forestall", name), again=("forestall", name))) for name in ("worker", "agent-n1")
    ]
    ports = [part.command[-1].partition("=")[2] for part in parts]
    assert len(set(ports)) == 2
    assert all(part.again == part.command for part in parts)
    targets.write(tmp_path / "metrics.json")
    assert json.loads((tmp_path / "metrics.json").read_text()) == [
        {"targets": [f"127.0.0.1:{port}"], "labels": {"part": part.name}}
        for part, port in zip(parts, ports, strict=True)
    ]


# -- logs


@pytest.fixture
def root() -> Iterator[None]:
    logger = logging.getLogger()
    before, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = before
    logger.setLevel(level)
    set_up(Logs(format="text"), "test", io.StringIO())
    logger.handlers[:] = before


@pytest.mark.usefixtures("root")
def test_a_log_that_is_no_terminal_is_lines_of_json_with_what_they_are_about() -> None:
    out = io.StringIO()
    say = speaker(set_up(Logs(), "agent n3", out), node="n3")
    say("CHECKPOINT 96ffe0ce8e12c488 failed: the rank says: „nein“\nzwei")
    logging.getLogger("faust.app").info("one of a hundred services starts")
    try:
        int("broken")
    except ValueError:
        logging.getLogger("streams.app").exception("a batch could not be taken")
    complain("the worker cannot go on: no room")
    first, second, third = map(json.loads, out.getvalue().splitlines())
    assert {key: first[key] for key in ("node", "action", "command", "stage", "level", "process")} == {
        "node": "n3", "action": "CHECKPOINT", "command": "96ffe0ce8e12c488", "stage": "failed", "level": "info",
        "process": "agent n3",
    }  # fmt: skip
    assert first["message"].endswith("„nein“\nzwei")
    assert "ValueError: invalid literal" in second["traceback"]
    assert third["message"] == "forestall: the worker cannot go on: no room"
    assert "„nein“" in out.getvalue(), "what was said can be searched for as it was said"


@pytest.mark.usefixtures("root")
def test_a_person_reads_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    log = set_up(Logs(), "agent n3", out)
    log.info("rank 0 is taken over")
    log.warning("the broker is away")
    logging.getLogger("streams.lane").warning("records are gone")
    complain("no room")
    assert out.getvalue().splitlines() == [
        "agent n3: rank 0 is taken over", "agent n3: the broker is away", "agent n3: streams.lane: records are gone",
    ]  # fmt: skip
    assert capsys.readouterr().err == "forestall: no room\n"


@pytest.mark.usefixtures("root")
def test_a_log_that_cannot_be_written_ends_nothing() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError("no space left on device")

    set_up(Logs(), "agent n3", Full()).info("lost")


@pytest.mark.parametrize("line", ["{not json", "{}", "[1]", '{"message"'])
def test_a_line_that_is_no_json_of_ours_is_told_as_it_is(line: str) -> None:
    assert message_of(line) == line
