"""The cluster agent is killed at random moments of commands: each ends once, with at most one effect."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_cluster import Cluster, wait_for

from infra.broker.embedded import Broker
from models.records import TERMINAL_STAGES, Command

KILLS, SEED = 6, 20261124
pytestmark = pytest.mark.broker


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(broker.bootstrap, tmp_path, job=f"killed-{time.time_ns() % 10**9}", world=1, steps=0, step_s=0.02)
    yield made
    made.close()


def ends(cluster: Cluster, command: Command) -> list[str]:
    return sorted({one.stage for one in cluster.outcomes(command) if one.stage in TERMINAL_STAGES})


def test_an_agent_killed_at_random_moments_ends_every_command_once(cluster: Cluster) -> None:
    script = random.Random(SEED)
    print(f"seed {SEED}")
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    (rank,) = cluster.rank_processes()
    commands = []
    for _ in range(KILLS):
        commands.append(cluster.order("CHECKPOINT"))
        time.sleep(script.uniform(0.0, 0.12))  # the moment of the kill is the matter of this test
        cluster.kill("n0")
        cluster.start("n0", "--rank", "0")
        wait_for("the command's end", lambda: ends(cluster, commands[-1]))
    assert [ends(cluster, one) for one in commands] == [["done"]] * KILLS
    places = [cluster.stage(one, "durable")[0].uri for one in commands]
    assert len(set(places)) == KILLS
    for command in commands:
        steps = {one.step for one in cluster.outcomes(command) if one.step is not None}
        assert len(steps) == 1, "one command, one checkpoint"
    assert [one.pid for one in cluster.rank_processes()] == [rank.pid]


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.03])
def test_an_agent_killed_amid_a_migration_leaves_no_rank_and_says_done(cluster: Cluster, moment: float) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    migrate = cluster.order("MIGRATE", node="n0", ranks=(0,))
    time.sleep(moment)
    cluster.kill("n0")
    cluster.start("n0", "--rank", "0")
    cluster.stage(migrate, "done")
    assert ends(cluster, migrate) == ["done"]
    cluster.node("n0", "vacated")
    assert not cluster.rank_processes()
