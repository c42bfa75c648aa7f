"""Partitions that move between workers, by a join, a kill, a hang or an orderly end, change not one byte."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from living_cluster import LivingCluster
from signing_keys import shared_keys
from topics_on import delete_topics, fresh_topics
from worker_process import WorkerProcess, lively_artefact, values_of, wait_until_written, worker

from connectors.kafka import topics
from connectors.kafka.admin import admin_client, apply_topics
from connectors.kafka.log import bounds, read_tail, reader
from connectors.kafka.topic_specs import TopicSpec
from connectors.signing.keyring import read_keys
from infra.broker.embedded import Broker
from infra.command_log import audit_log, read_command_log
from infra.settings import load

pytestmark = [pytest.mark.broker, pytest.mark.timeout(180)]

PARTITIONS = 2
GROUP = "forestall"
DEADLINE_S = 60.0
STALL_S_MAX = 20.0  # a session is 6 s; a slow machine may take some more for a restart
AWAY_S = 10.0
TAIL = 1000


class Stage:
    """A living cluster on fresh topics, and workers on it."""

    def __init__(self, broker: Broker, folder: Path, seed: int) -> None:
        self.broker = broker
        self.specs: tuple[TopicSpec, ...] = fresh_topics(broker, PARTITIONS)
        self.cluster = LivingCluster(broker.bootstrap, PARTITIONS, seed)
        self._folder = folder
        self._settings = (
            f"predictor.artefact={lively_artefact(folder / 'lively.safetensors')}",
            "worker.ticks=source",
            "worker.snapshot_s=0.5",
            "policy.level=migrate",
            "policy.checkpoint=young",
            "policy.migration=paper",
            "policy.node_mtbf_days=0.05",
            "policy.checkpoint_cost_s=0.2",
            "policy.eta=0.01",  # the nodes never fail, from which the policy would learn to leave them where they are
            "policy.lambda1=0.001",
            "brakes.breaker_nodes=1000",  # a rank is moved each minute, on and on
            "brakes.storm_incidents=1000",
            "brakes.warm_up_s=0",
            "brakes.cool_down_s=60",  # a command that came too late for its spare is soon given again
        )
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def worker(self, name: str) -> WorkerProcess:
        return WorkerProcess(self.broker.bootstrap, self._folder / f"{name}.log", *self._settings)

    @contextmanager
    def fresh_worker(self) -> Iterator[WorkerProcess]:
        with worker(self.broker.bootstrap, self._folder / "fresh.log", *self._settings) as started:
            yield started

    def members(self) -> dict[str, int]:
        """How many partitions each member of the workers' group holds; empty while they are being dealt."""
        group = self._admin.describe_consumer_groups([GROUP], request_timeout=30)[GROUP].result()
        if group.state.name != "STABLE":
            return {}
        return {member.member_id: len(member.assignment.topic_partitions) for member in group.members}

    def shares(self) -> list[int]:
        """The partitions held by each worker, ascending."""
        return sorted(self.members().values())

    def ends(self, topic: str) -> list[int]:
        with reader(self.broker.bootstrap) as consumer:
            return [bounds(consumer, topic, p)[1] for p in range(PARTITIONS)]

    def wait_until_rescued(self, *alive: WorkerProcess) -> None:
        """A rank has been moved to a spare from now on."""
        before = self.ends(topics.COMMAND)
        wait_until(
            lambda: (
                {"CHECKPOINT", "MIGRATE", "RESTORE"}
                <= {
                    json.loads(value)["action"]
                    for start, values in zip(before, values_of(self.broker.bootstrap, topics.COMMAND), strict=True)
                    for value in values[start:]
                }
            ),
            "a rank is brought to safety and moved",
            *alive,
        )

    def wait_until_both_grow(self, records: int, *alive: WorkerProcess, within_s: float = DEADLINE_S) -> None:
        """Each partition of the assessments takes so many records more."""
        before = self.ends(topics.ASSESSMENT)
        wait_until(
            lambda: all(
                end >= start + records for start, end in zip(before, self.ends(topics.ASSESSMENT), strict=True)
            ),
            f"both partitions of the assessments grow by {records}",
            *alive,
            within_s=within_s,
        )


def wait_until(holds: Callable[[], bool], what: str, *alive: WorkerProcess, within_s: float = DEADLINE_S) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        for process in alive:
            assert process.alive(), process.log.read_text()[-3000:]
        assert time.monotonic() < deadline, f"in {within_s:.0f} s it has not come to this: {what}"
        time.sleep(0.05)


@pytest.fixture
def stage(broker: Broker, tmp_path: Path) -> Stage:
    return Stage(broker, tmp_path, seed=20261124)


@pytest.fixture
def started(stage: Stage) -> Iterator[Callable[[str], WorkerProcess]]:
    """Starts workers, which are gone at the end of the test."""
    processes: list[WorkerProcess] = []

    def start(name: str) -> WorkerProcess:
        processes.append(stage.worker(name))
        return processes[-1]

    yield start
    for process in processes:
        if process.alive():
            process.kill()


def place(value: bytes) -> tuple[int, int]:
    cause = json.loads(value)["cause"]
    return cause["offset"], cause["index"]


def reached(broker: Broker, topic: str, offsets: list[int]) -> bool:
    """Whether each partition of an output has what comes of its input up to these offsets."""
    with reader(broker.bootstrap) as consumer:
        tails = [[m.value() for m in read_tail(consumer, topic, p, TAIL)] for p in range(PARTITIONS)]
    return all(
        max((place(value)[0] for value in tail), default=-1) >= offset
        for tail, offset in zip(tails, offsets, strict=True)
    )


def incidents_told(stage: Stage, since: list[int]) -> list[set[bytes]]:
    """What the assess fold has put on each partition of the decision log from an offset on."""
    return [
        {value for value in values[start:] if b'"kind":"incident"' in value and b'"id":"told-' not in value}
        for start, values in zip(since, values_of(stage.broker.bootstrap, topics.EVENT), strict=True)
    ]


def check_against_a_fresh_worker(stage: Stage, *alive: WorkerProcess) -> None:
    """Finish the log, and compare all that was written with what one worker makes of it in one go."""
    last_ticks = [end - 1 for end in stage.ends(topics.TELEMETRY)]
    wait_until(lambda: reached(stage.broker, topics.ASSESSMENT, last_ticks), "all is assessed", *alive)
    stage.cluster.last_words()
    log = values_of(stage.broker.bootstrap, topics.EVENT)
    last_events = [max(i for i, value in enumerate(values) if b'"job":"last' in value) for values in log]
    wait_until(lambda: reached(stage.broker, topics.COMMAND, last_events), "all is decided", *alive)
    for process in alive:
        assert process.stop() == 0, process.log.read_text()[-3000:]
    log_of_commands = read_command_log(load(None, [], stage.broker.bootstrap), None)
    audited = audit_log(log_of_commands, read_keys(shared_keys().keyring))
    assert [str(fault) for one in audited for fault in one.faults] == []
    assessments, commands = outputs(stage, last_events)
    before = stage.ends(topics.EVENT)
    told = incidents_told(stage, [0] * PARTITIONS)
    assert all(told)

    with admin_client(stage.broker.bootstrap) as client:
        delete_topics(client, {topics.ASSESSMENT, topics.COMMAND, topics.SNAPSHOT})
        apply_topics(client, stage.specs)
    with stage.fresh_worker() as fresh:
        wait_until(lambda: reached(stage.broker, topics.ASSESSMENT, last_ticks), "all is assessed again", fresh)
        wait_until(lambda: reached(stage.broker, topics.COMMAND, last_events), "all is decided again", fresh)
        wait_until(lambda: incidents_told(stage, before) == told, "the same incidents are told again", fresh)
        assert fresh.stop() == 0
    fresh_assessments, fresh_commands = outputs(stage, last_events)

    assert [list(dict.fromkeys(values)) for values in assessments] == fresh_assessments
    assert [list(dict.fromkeys(values)) for values in commands] == fresh_commands
    for values in [*fresh_assessments, *fresh_commands]:
        assert [place(value) for value in values] == sorted({place(value) for value in values})


def outputs(stage: Stage, last_events: list[int]) -> tuple[list[list[bytes]], list[list[bytes]]]:
    """Assessments, and the commands that come of the decision log up to its last words, by partition."""
    commands = values_of(stage.broker.bootstrap, topics.COMMAND)
    return values_of(stage.broker.bootstrap, topics.ASSESSMENT), [
        [value for value in values if place(value)[0] <= last]
        for values, last in zip(commands, last_events, strict=True)
    ]


def test_a_worker_joins_in_the_midst_and_the_first_is_killed(
    stage: Stage, started: Callable[[str], WorkerProcess]
) -> None:
    stage.cluster.live(350)
    first = started("first")
    wait_until_written(stage.broker.bootstrap, topics.ASSESSMENT, 8_000, first)
    with stage.cluster.living():
        second = started("second")
        wait_until(lambda: stage.shares() == [2, 2], "both share the partitions", first, second)
        stage.wait_until_both_grow(300, first, second)
        first.kill()
        wait_until(lambda: stage.shares() == [4], "the second has all", second)
        stage.wait_until_rescued(second)
    check_against_a_fresh_worker(stage, second)


def test_a_worker_that_hung_beyond_its_session_wakes_up_as_a_zombie(
    stage: Stage, started: Callable[[str], WorkerProcess]
) -> None:
    stage.cluster.live(300)
    first = started("first")
    wait_until_written(stage.broker.bootstrap, topics.ASSESSMENT, 2_000, first)
    first.process.send_signal(signal.SIGSTOP)
    hung = stage.members().keys()
    assert len(hung) == 1
    with stage.cluster.living():
        second = started("second")
        wait_until(lambda: stage.shares() == [4] and stage.members().keys() != hung, "the second has all", second)
        stage.wait_until_both_grow(300, second)
        first.process.send_signal(signal.SIGCONT)
        wait_until(lambda: not first.alive() or stage.shares() == [2, 2], "the first is back, or ends", second)
        stage.wait_until_rescued(second)
    ending = [process for process in (first, second) if process.alive()]
    if first not in ending:
        assert "forestall: the worker cannot go on: " in first.log.read_text()
    check_against_a_fresh_worker(stage, *ending)


def test_a_worker_that_is_asked_to_end_hands_over_while_frames_flow(
    stage: Stage, started: Callable[[str], WorkerProcess]
) -> None:
    stage.cluster.live(250)
    first, second = started("first"), started("second")
    wait_until(lambda: stage.shares() == [2, 2], "both share the partitions", first, second)
    with stage.cluster.living():
        stage.wait_until_both_grow(300, first, second)
        assert first.stop() == 0, first.log.read_text()[-3000:]
        stage.wait_until_both_grow(100, second, within_s=STALL_S_MAX)
        stage.wait_until_rescued(second)
    check_against_a_fresh_worker(stage, second)


def test_a_broker_that_is_away_for_a_while_costs_nothing(stage: Stage, started: Callable[[str], WorkerProcess]) -> None:
    pid = stage.broker.pid
    assert pid is not None
    stage.cluster.live(250)
    only = started("only")
    wait_until_written(stage.broker.bootstrap, topics.ASSESSMENT, 2_000, only)
    with stage.cluster.living():
        stage.wait_until_both_grow(300, only)
        os.kill(pid, signal.SIGSTOP)
        try:
            threading.Event().wait(AWAY_S)
        finally:
            os.kill(pid, signal.SIGCONT)
        stage.wait_until_both_grow(300, only)
        stage.wait_until_rescued(only)
    check_against_a_fresh_worker(stage, only)
