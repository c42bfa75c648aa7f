"""A cluster agent whose broker is away: it does not spin, forgets nothing, ends when told, and goes on afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from agent_cluster import Cluster, wait_for
from signing_keys import keyring_setting

from connectors.kafka.admin import admin_client, apply_topics
from infra.broker.embedded import Broker, embedded_broker
from infra.broker.server import choose_port
from infra.cli.topics import specs_of
from infra.settings import load
from models.records import NodeFate

WATCH_S = float(os.environ.get("AWAY_S", "5"))
SHARE_MAX = 0.20


def share_of_a_core(process: psutil.Process, seconds: float) -> float:
    """Return the CPU that a process takes, over ``seconds``."""

    def used() -> float:
        times = process.cpu_times()
        return times.user + times.system

    before, began = used(), time.monotonic()
    time.sleep(seconds)  # it is the time over which is measured
    share = (used() - before) / (time.monotonic() - began)
    print(f"broker away: {100 * share:.1f} % of a core over {seconds:.0f} s")
    return share


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(broker.bootstrap, tmp_path, job=f"away-{time.time_ns() % 10**9}", world=1, steps=0, step_s=0.05)
    yield made
    made.close()


@pytest.mark.broker
def test_a_broker_that_hangs_costs_little_and_what_happened_meanwhile_is_told(cluster: Cluster, broker: Broker) -> None:
    agent = cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        wait_for("the agent to notice", lambda: "away" in (cluster.directory / "n0.log").read_text())
        assert share_of_a_core(psutil.Process(agent.pid), WATCH_S) < SHARE_MAX
        (rank,) = cluster.rank_processes()
        rank.kill()
        wait_for("the agent to see its rank end", lambda: "has ended" in (cluster.directory / "n0.log").read_text())
        cluster.kill("n0")
        cluster.start("n0", "--rank", "0")
        assert share_of_a_core(psutil.Process(cluster.agents["n0"].pid), WATCH_S) < SHARE_MAX + 1.0 / WATCH_S
        cluster.agents["n0"].terminate()
        assert cluster.agents["n0"].wait(10) == 0, "it ends in 10 s while the broker hangs"
        cluster.start("n0", "--rank", "0")
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    fates = wait_for("the fate", lambda: [one for one in cluster.mine() if isinstance(one, NodeFate)])
    assert {(one.node, one.state) for one in fates} == {("n0", "failed")}
    assert len({one.id for one in fates}) == 1
    cluster.node("n0", "vacated")
    assert not cluster.rank_processes()


@pytest.mark.broker
def test_commands_are_carried_out_after_the_broker_came_back(cluster: Cluster, broker: Broker) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    try:
        wait_for("the agent to notice", lambda: "away" in (cluster.directory / "n0.log").read_text())
    finally:
        os.kill(broker.pid, signal.SIGCONT)
    checkpoint = cluster.order("CHECKPOINT")
    (done,) = cluster.stage(checkpoint, "done")
    assert done.node == "n0"


@pytest.mark.broker
def test_a_broker_killed_outright_and_started_again_is_found(tmp_path: Path) -> None:
    port = choose_port(0)
    own = load(None, [f"broker.directory={tmp_path / 'kafka'}", f"broker.port={port}"])
    with embedded_broker(own, run="one") as first:
        assert first.pid is not None
        with admin_client(first.bootstrap) as client:
            apply_topics(client, specs_of(own))
        cluster = Cluster(first.bootstrap, tmp_path, job="again", world=1, steps=0, step_s=0.05)
        cluster.start("n0", "--rank", "0")
        cluster.progress(0, 3)
        cluster.disconnect()
        os.kill(first.pid, signal.SIGKILL)
        (rank,) = cluster.rank_processes()
        rank.kill()
        wait_for("the agent to see its rank end", lambda: "has ended" in (tmp_path / "n0.log").read_text())
    with embedded_broker(own, run="one") as second:
        assert second.bootstrap == first.bootstrap
        cluster.connect()
        fates = wait_for("the fate", lambda: [one for one in cluster.mine() if isinstance(one, NodeFate)])
        assert [(one.node, one.state) for one in fates] == [("n0", "failed")]
        restore = cluster.order("RESTORE", node="n0", ranks=(0,))
        cluster.stage(restore, "done")
        cluster.close()


def test_with_a_broker_that_was_never_there_the_rank_trains_and_sigterm_ends_both(tmp_path: Path) -> None:
    spec = tmp_path / "jobs.toml"
    words = [sys.executable, "-m", "experiments.training_job", "--directory", str(tmp_path / "training")]
    spec.write_text(f"[jobs.demo]\ncommand = {words!r}\nworld = 1\n")
    forestall = Path(sys.executable).with_name("forestall")
    command = [forestall, "agent", "--node", "n0", "--job-spec", spec, "--rank", "0", "--brokers", "127.0.0.1:1"]
    command += ["--set", keyring_setting()]
    with (tmp_path / "log").open("wb") as log:
        agent = subprocess.Popen([*map(str, command), "--directory", str(tmp_path / "n0")], stderr=log)
    try:
        losses = tmp_path / "training" / "losses-rank-0.txt"
        wait_for("training", lambda: losses.exists() and losses.read_text().count("\n") > 5)
        assert share_of_a_core(psutil.Process(agent.pid), WATCH_S) < SHARE_MAX
        agent.terminate()
        assert agent.wait(10) == 0
    finally:
        agent.kill()
        agent.wait()
    assert "127.0.0.1:1" in (tmp_path / "log").read_text()
    before = losses.read_text()
    time.sleep(0.5)
    assert losses.read_text() == before
