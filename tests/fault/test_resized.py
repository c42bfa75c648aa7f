"""A job of four ranks loses a node, goes on with three, and grows back to four: its loss continues, step by step."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest
from agent_cluster import Cluster, wait_for

from infra.broker.embedded import Broker
from models.records import Command, NodeFate, Progress

pytestmark = pytest.mark.broker
LIMITS = ("--set", "agent.disruptions_per_hour=20")
_jobs = itertools.count(1)


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    job = f"resized{next(_jobs)}-{time.time_ns() % 10**9}"
    declared = "min_nodes = 2\nreplica_nodes = 1\n"
    world = getattr(request, "param", 4)
    made = Cluster(broker.bootstrap, tmp_path, job=job, world=world, steps=0, step_s=0.04, more=declared)
    for rank in range(world):
        made.start(f"n{rank}", "--rank", str(rank), *LIMITS)
    yield made
    made.close()


def saved(cluster: Cluster, ranks: int) -> int:
    """Have the job write a checkpoint; return its step."""
    checkpoint = cluster.order("CHECKPOINT")
    (step,) = {one.step for one in cluster.stage(checkpoint, "durable", ranks)}
    cluster.stage(checkpoint, "done", ranks)
    assert step is not None
    return step


def told(cluster: Cluster, since: float) -> list[Progress]:
    return [one for one in cluster.mine() if isinstance(one, Progress) and one.at > since]


def numbers(cluster: Cluster) -> list[tuple[str, str]]:
    return sorted(
        (one["FORESTALL_RANK"], one["FORESTALL_WORLD"]) for one in (rank.environ() for rank in cluster.rank_processes())
    )


def loss_at(cluster: Cluster, first: int, last: int) -> float:
    """The mean of what rank 0 told of these steps."""
    found = [
        one.loss
        for one in cluster.mine()
        if isinstance(one, Progress) and one.rank == 0 and first <= one.step <= last and one.loss is not None
    ]
    assert found
    return mean(found)


def resized(cluster: Cluster, command: Command) -> None:
    done = cluster.stage(command, "done", len(command.ranks))
    assert {one.rank for one in done} == set(command.ranks)
    assert {one.step for one in done} == {command.step}


def test_four_ranks_become_three_and_four_again_and_the_loss_continues(cluster: Cluster) -> None:
    cluster.start("s0", "--spare", *LIMITS)
    word = cluster.node("n1", "running")
    assert (word.world, word.min_nodes, word.replica_nodes) == (4, 2, 1)
    cluster.progress(0, 100)
    step = saved(cluster, 4)

    migrate = cluster.order("MIGRATE", node="n1", ranks=(1,), step=step)
    cluster.stage(migrate, "done")
    before = time.time()
    resized(cluster, cluster.order("RESIZE", ranks=(0, 2, 3), world=3, step=step))
    assert numbers(cluster) == [("0", "3"), ("1", "3"), ("2", "3")]
    assert (cluster.node("n3", "running").rank, cluster.node("n3", "running").world) == (2, 3)
    cluster.progress(2, step + 100)
    assert {(one.node, one.rank) for one in told(cluster, before)} >= {("n0", 0), ("n2", 1), ("n3", 2)}
    smaller = saved(cluster, 3)
    assert smaller > step + 50

    grow = cluster.order("RESIZE", ranks=(0, 1, 2), world=4, step=smaller)
    restore = cluster.order("RESTORE", node="s0", ranks=(3,), world=4, step=smaller)
    resized(cluster, grow)
    (back,) = cluster.stage(restore, "done")
    assert back.step == smaller
    assert numbers(cluster) == [(str(rank), "4") for rank in range(4)]
    cluster.progress(3, smaller + 60)
    cluster.progress(0, smaller + 60)

    first, last = loss_at(cluster, 1, 40), loss_at(cluster, step - 30, step)
    small, whole = loss_at(cluster, step + 1, step + 60), loss_at(cluster, smaller + 1, smaller + 60)
    print(f"loss: first {first:.2f}, of four {last:.2f}, of three {small:.2f}, of four again {whole:.2f}")
    assert max(small, whole) < last + 0.2 * (first - last), "no size begins anew"
    assert not [one for one in cluster.mine() if isinstance(one, NodeFate)], "no node has failed"


@pytest.mark.parametrize("cluster", [3], indirect=True)
def test_the_smaller_job_takes_back_a_rank_that_fails_and_one_whose_agent_was_stopped(cluster: Cluster) -> None:
    """In the size that the job has now, from the larger job's checkpoint; the others wait for it."""
    cluster.start("s0", "--spare", *LIMITS)
    cluster.progress(2, 5)
    step = saved(cluster, 3)
    cluster.stage(cluster.order("DRAIN", node="n2"), "done")
    resized(cluster, cluster.order("RESIZE", ranks=(0, 1), world=2, step=step))
    before = cluster.progress(1, step + 20)
    (rank,) = [one for one in cluster.rank_processes() if one.environ()["FORESTALL_RANK"] == "1"]
    rank.kill()
    wait_for("the fate", lambda: [one for one in cluster.mine() if isinstance(one, NodeFate)])
    restore = cluster.order("RESTORE", node="s0", ranks=(1,), world=2, step=step)
    (back,) = cluster.stage(restore, "done")
    assert back.step == step
    reached = cluster.progress(0, before.step + 20).step
    cluster.agents["n0"].terminate()
    assert cluster.agents["n0"].wait(30) == 0
    cluster.start("n0", "--rank", "2", *LIMITS)
    cluster.progress(1, reached + 40)
    assert numbers(cluster) == [("0", "2"), ("1", "2")]


@pytest.mark.parametrize("cluster", [2], indirect=True)
def test_what_cannot_be_is_refused_before_a_rank_is_ended(cluster: Cluster) -> None:
    cluster.progress(1, 5)
    pids = {one.pid for one in cluster.rank_processes()}
    larger = cluster.order("RESIZE", ranks=(0, 1), world=3, step=1)
    crowded = cluster.order("RESIZE", ranks=(0, 1), world=1, step=1)
    for command in (larger, crowded):
        for failed in cluster.stage(command, "failed", 2):
            assert "the job file has the ranks 0 to 1" in (failed.reason or "")
    assert {one.pid for one in cluster.rank_processes()} == pids
