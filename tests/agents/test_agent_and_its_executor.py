"""Real cluster agents with a dry run and with the owner's own scripts, on a real broker."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_cluster import Cluster, wait_for

from infra.broker.embedded import Broker
from models.records import Outcome

pytestmark = pytest.mark.broker

START = """cd {folder}; echo start $FORESTALL_NODE $FORESTALL_RANK $FORESTALL_RESUME_STEP >> calls
[ -e broken ] && {{ echo no node is free; exit 4; }}
eval "setsid $FORESTALL_COMMAND_LINE </dev/null >>rank.log 2>&1 &"; echo $! > pid-$FORESTALL_NODE"""
KILL = "cd {folder}; echo kill $FORESTALL_NODE >> calls; kill -9 $(cat pid-$FORESTALL_NODE); true"
STATE = "cd {folder}; kill -0 $(cat pid-$FORESTALL_NODE) && echo running || echo died"
QUARANTINE = "cd {folder}; echo quarantine $FORESTALL_NODE $FORESTALL_REASON >> calls"


def scripts(folder: Path) -> str:
    """The executor's section of a job file; every script notes its call in ``folder/calls``."""
    calls = {"start": START, "kill": KILL, "state": STATE, "quarantine": QUARANTINE}
    lines = [f"{name} = ['/bin/sh', '-c', '''{line.format(folder=folder)}''']" for name, line in calls.items()]
    return "\n".join(["[executor]", 'kind = "script"', "state_every_s = 0.1", *lines])


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Cluster]:
    job, more = f"executor-{time.time_ns() % 10**9}", scripts(tmp_path)
    made = Cluster(broker.bootstrap, tmp_path, job=job, world=1, steps=0, step_s=0.03, more=more)
    yield made
    made.close()


def failed(cluster: Cluster, command: object) -> Outcome:
    return cluster.stage(command, "failed")[0]  # type: ignore[arg-type]


def test_a_dry_run_does_nothing_and_says_what_it_would_have_done(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0", "--executor", "dry-run")
    cluster.start("s0", "--spare", "--executor", "dry-run")
    assert cluster.node("n0", "running").rank == 0
    cluster.node("s0", "spare")
    orders = {
        "have asked rank 0": cluster.order("CHECKPOINT"),
        "have ended rank 0": cluster.order("MIGRATE", node="n0", ranks=(0,)),
        "have started rank 0": cluster.order("RESTORE", node="s0", ranks=(0,), step=40),
        "have kept this node from taking a rank": cluster.order("QUARANTINE", node="n0", ranks=(0,)),
    }
    for would, command in orders.items():
        told = failed(cluster, command)
        assert (told.reason or "").startswith(f"dry-run: would {would}")
        assert not [one for one in cluster.outcomes(command) if one.stage in {"staged", "durable", "done"}]
    assert "-m experiments.training_job" in (failed(cluster, orders["have started rank 0"]).reason or "")
    assert not cluster.rank_processes()
    assert not (cluster.directory / "calls").exists()
    assert cluster.agents["n0"].poll() is None


def test_the_owners_scripts_carry_a_rescue_out(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("s0", "--spare")
    cluster.progress(0, 3)
    cluster.node("s0", "spare")
    checkpoint = cluster.order("CHECKPOINT")
    (durable,) = cluster.stage(checkpoint, "durable")
    cluster.stage(cluster.order("QUARANTINE", node="n0", ranks=(0,)), "done")
    migrate = cluster.order("MIGRATE", node="n0", spare="s0", ranks=(0,), step=durable.step)
    cluster.stage(migrate, "done")
    assert not cluster.rank_processes()
    cluster.node("n0", "vacated")
    (cluster.directory / "broken").touch()
    told = failed(cluster, cluster.order("RESTORE", node="s0", ranks=(0,), step=durable.step))
    assert told.reason == "`start` ended with exit code 4; it printed: no node is free"
    (cluster.directory / "broken").unlink()
    restore = cluster.order("RESTORE", node="s0", ranks=(0,), step=durable.step)
    assert cluster.stage(restore, "done")[0].step == durable.step
    assert (cluster.directory / "calls").read_text().splitlines() == [
        "start n0 0",
        "quarantine n0 test",
        "kill n0",
        f"start s0 0 {durable.step}",
        "kill s0",
        f"start s0 0 {durable.step}",
    ]


def test_an_agent_that_is_killed_finds_the_rank_of_its_scripts_again_and_sees_it_die(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    step = cluster.progress(0, 3).step
    (rank,) = cluster.rank_processes()
    cluster.kill("n0")
    cluster.start("n0", "--rank", "0")
    cluster.progress(0, step + 20)
    assert [one.pid for one in cluster.rank_processes()] == [rank.pid]
    assert (cluster.directory / "calls").read_text().splitlines() == ["start n0 0"]
    rank.kill()
    cluster.node("n0", "vacated")
    wait_for("the fate", lambda: [one for one in cluster.mine() if getattr(one, "state", "") == "failed"])
