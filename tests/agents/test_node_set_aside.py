"""QUARANTINE and DRAIN on a real agent: the node takes no rank, over restarts, until its owner gives it back."""

from __future__ import annotations

import json
import resource
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from agent_cluster import FORESTALL, Cluster

from infra.broker.embedded import Broker
from models.records import Command, NodeFate

pytestmark = pytest.mark.broker


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(broker.bootstrap, tmp_path, job=f"aside-{time.time_ns() % 10**9}", world=1, steps=0, step_s=0.03)
    yield made
    made.close()


def give_back(cluster: Cluster, node: str) -> subprocess.CompletedProcess[str]:
    words = [str(FORESTALL), "agent", "--node", node, "--job-spec", str(cluster.spec), "--return", "--json"]
    words += ["--directory", str(cluster.directory / node)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def stopped(cluster: Cluster, node: str) -> None:
    cluster.agents[node].terminate()
    assert cluster.agents[node].wait(30) == 0


def rejected(cluster: Cluster, restore: Command, by: Command) -> None:
    reason = cluster.stage(restore, "rejected")[0].reason or ""
    assert f"quarantined by {by.action} {by.id}" in reason
    assert "--return" in reason


def test_a_quarantined_node_keeps_its_rank_takes_no_other_and_returns_when_its_owner_says_so(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    (rank,) = cluster.rank_processes()
    aside = cluster.order("QUARANTINE", node="n0")
    cluster.stage(aside, "done")
    assert cluster.node("n0", "running").rank == 0
    checkpoint = cluster.order("CHECKPOINT")
    (saved,) = cluster.stage(checkpoint, "durable")
    assert [one.pid for one in cluster.rank_processes()] == [rank.pid]

    refused = give_back(cluster, "n0")
    assert refused.returncode == 2
    assert "another cluster agent of n0" in refused.stderr
    cluster.stage(cluster.order("MIGRATE", node="n0", ranks=(0,)), "done")
    cluster.node("n0", "vacated")
    rejected(cluster, cluster.order("RESTORE", node="n0", ranks=(0,), step=saved.step), aside)
    stopped(cluster, "n0")
    cluster.start("n0", "--rank", "0")
    rejected(cluster, cluster.order("RESTORE", node="n0", ranks=(0,), step=saved.step), aside)
    assert not cluster.rank_processes()

    stopped(cluster, "n0")
    given = give_back(cluster, "n0")
    assert given.returncode == 0, given.stderr
    assert json.loads(given.stdout) == {"node": "n0", "quarantined_by": aside.id, "rank": "returned"}
    cluster.start("n0", "--rank", "0")
    cluster.node("n0", "spare")
    restore = cluster.order("RESTORE", node="n0", ranks=(0,), step=saved.step)
    assert cluster.stage(restore, "done")[0].step == saved.step
    assert not [one for one in cluster.mine() if isinstance(one, NodeFate)]


def test_an_agent_leaves_what_another_job_is_told_of_the_same_node_to_that_job_s_agent(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    theirs = replace(cluster.command("DRAIN", node="n0"), job="another", id="another-drain")
    cluster.send(theirs)
    ours = cluster.order("CHECKPOINT")
    cluster.stage(ours, "done")
    assert len(cluster.rank_processes()) == 1
    assert "another-drain" not in (cluster.directory / "n0" / "commands.jsonl").read_text()


def test_a_drained_node_loses_its_rank_and_a_drained_spare_is_none_any_more(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("s0", "--spare")
    cluster.node("s0", "spare")
    cluster.progress(0, 3)
    drain = cluster.order("DRAIN", node="n0")
    cluster.stage(drain, "done")
    cluster.node("n0", "vacated")
    assert not cluster.rank_processes()
    rejected(cluster, cluster.order("RESTORE", node="n0", ranks=(0,)), drain)
    spare = cluster.order("DRAIN", node="s0")
    cluster.stage(spare, "done")
    cluster.node("s0", "vacated")
    cluster.kill("s0")
    cluster.start("s0", "--spare")
    rejected(cluster, cluster.order("RESTORE", node="s0", ranks=(0,)), spare)
    assert not [one for one in cluster.mine() if isinstance(one, NodeFate)]


def test_a_rank_that_still_runs_cannot_be_given_back(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    cluster.kill("n0")
    refused = give_back(cluster, "n0")
    assert refused.returncode == 2
    assert "rank 0 of" in refused.stderr
    assert "only what is vacated can return" in refused.stderr


def test_a_full_disk_ends_the_agent_with_the_reason_and_leaves_the_rank_to_the_next(cluster: Cluster) -> None:
    agent = cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    (rank,) = cluster.rank_processes()
    seen = cluster.directory / "n0" / "commands.jsonl"
    log = cluster.directory / "n0.log"
    with seen.open("ab") as file:  # longer than the agent's log, which is to stay writable
        file.write(b'{"readmitted": 1.0}\n' * (log.stat().st_size // 10 + 200))
    limit(agent.pid, seen.stat().st_size + 20)
    order = cluster.order("MIGRATE", node="n0", ranks=(0,))
    assert agent.wait(60) == 1
    assert "cannot be written: File too large; no command is carried out" in log.read_text()
    assert [one.pid for one in cluster.rank_processes()] == [rank.pid]
    assert not cluster.outcomes(order)
    cluster.start("n0", "--rank", "0")
    cluster.stage(order, "done")
    assert not cluster.rank_processes()


def limit(pid: int, size: int) -> None:
    """Let a process write no file beyond this size (bytes), as on a disk that is full."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
