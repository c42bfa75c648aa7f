"""The cluster agent on a real broker: a rescue, redelivery, expiry, fencing, and crashes in the middle of a command."""

from __future__ import annotations

import itertools
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from agent_cluster import Cluster, wait_for

from infra.broker.embedded import Broker
from models.records import NodeFate, Outcome

pytestmark = pytest.mark.broker
_jobs = itertools.count(1)


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Cluster]:
    job = f"job{next(_jobs)}-{time.time_ns() % 10**9}"
    made = Cluster(broker.bootstrap, tmp_path, job=job, world=2, steps=0, step_s=0.03)
    yield made
    made.close()


def losses(cluster: Cluster, rank: int) -> dict[int, str]:
    """Return the loss of each step that a rank told; a step that was done twice must have had the same."""
    seen: dict[int, str] = {}
    for line in (cluster.training / f"losses-rank-{rank}.txt").read_text().splitlines():
        step, loss = line.split()
        assert seen.setdefault(int(step), loss) == loss
    return seen


def test_a_rescue_goes_from_checkpoint_to_the_spare_and_training_goes_on_exactly(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("n1", "--rank", "1")
    cluster.start("s0", "--spare")
    assert cluster.node("n1", "running").rank == 1
    assert cluster.node("s0", "spare").rank is None
    cluster.progress(1, 5)

    checkpoint = cluster.order("CHECKPOINT")
    durable = cluster.stage(checkpoint, "durable", 2)
    done = cluster.stage(checkpoint, "done", 2)
    assert {one.node for one in durable} == {"n0", "n1"}
    assert {one.rank for one in durable} == {0, 1}
    (step,) = {one.step for one in durable}
    assert step is not None
    assert step > 0
    for one in durable:
        assert Path((one.uri or "").removeprefix("file://")).exists()
        assert len(one.digest or "") == 64
    assert all((one.seconds or -1) >= 0 for one in done)
    staged = cluster.stage(checkpoint, "staged", 2)
    assert all((one.bytes or 0) > 1000 and 0 <= (one.seconds or 0) < 5 for one in staged)

    (before,) = [one for one in cluster.rank_processes() if one.environ()["FORESTALL_RANK"] == "1"]
    migrate = cluster.order("MIGRATE", node="n1", spare="s0", ranks=(1,), step=step)
    (gone,) = cluster.stage(migrate, "done")
    assert (gone.step or 0) >= step
    assert not before.is_running()
    cluster.node("n1", "vacated")

    restore = cluster.order("RESTORE", node="s0", ranks=(1,), step=step)
    (back,) = cluster.stage(restore, "done")
    assert back.step == step
    assert (back.seconds or 0) > 0
    assert cluster.node("s0", "running").rank == 1
    told = cluster.progress(1, (gone.step or 0) + 5)
    cluster.progress(0, told.step)
    ours, theirs = losses(cluster, 0), losses(cluster, 1)
    common = ours.keys() & theirs.keys()
    assert set(range(1, told.step)) <= common
    assert all(ours[one] == theirs[one] for one in common)
    assert not [one for one in cluster.mine() if isinstance(one, NodeFate)]


def test_redelivery_expiry_and_an_older_generation_have_no_effect_and_say_so_once(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("n1", "--rank", "1")
    cluster.progress(1, 3)
    late = cluster.order("CHECKPOINT", life_s=-5.0)
    good = cluster.order("CHECKPOINT", generation=7)
    old = cluster.order("CHECKPOINT", generation=6)
    for _ in range(5):
        cluster.send(good)
    elsewhere = cluster.order("MIGRATE", node="n7", ranks=(0,))
    cluster.stage(good, "done", 2)
    last = cluster.order("CHECKPOINT", generation=8)
    cluster.stage(last, "done", 2)
    assert [one.stage for one in cluster.outcomes(late) if one.node == "n0"] == ["received", "expired"]
    assert "expiry" in (cluster.stage(late, "expired", 2)[0].reason or "")
    assert [one.stage for one in cluster.outcomes(old) if one.node == "n1"] == ["received", "rejected"]
    assert "generation 6 is older than 7" in (cluster.stage(old, "rejected", 2)[0].reason or "")
    assert not cluster.outcomes(elsewhere)
    counts = Counter((one.node, one.stage) for one in cluster.outcomes(good))
    assert counts == {(n, s): 1 for n in ("n0", "n1") for s in ("received", "accepted", "staged", "durable", "done")}
    assert len(list((cluster.training / "checkpoints").glob("step-*"))) == 2


def test_an_agent_killed_amid_a_checkpoint_goes_on_with_the_same_rank_and_tells_each_stage(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("n1", "--rank", "1")
    cluster.progress(1, 3)
    processes = {one.pid for one in cluster.rank_processes()}
    stopped = next(one for one in cluster.rank_processes() if one.environ()["FORESTALL_RANK"] == "1")
    stopped.suspend()
    checkpoint = cluster.order("CHECKPOINT")
    cluster.stage(checkpoint, "accepted", 2)
    cluster.kill("n1")
    stopped.resume()
    cluster.stage(checkpoint, "done", 1)
    cluster.start("n1", "--rank", "1")
    done = cluster.stage(checkpoint, "done", 2)
    assert {one.node for one in done} == {"n0", "n1"}
    assert {one.pid for one in cluster.rank_processes()} == processes
    stages = {one.stage for one in cluster.outcomes(checkpoint) if one.node == "n1"}
    assert stages == {"received", "accepted", "staged", "durable", "done"}
    assert len(list((cluster.training / "checkpoints").glob("step-*"))) == 1


def test_a_migration_that_came_while_the_agent_was_down_happens_once_and_the_rank_does_not_come_back(
    cluster: Cluster,
) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("n1", "--rank", "1")
    cluster.progress(1, 3)
    cluster.kill("n1")
    migrate = cluster.order("MIGRATE", node="n1", ranks=(1,))
    cluster.start("n1", "--rank", "1")
    cluster.stage(migrate, "done")
    cluster.kill("n1")
    cluster.start("n1", "--rank", "1")
    cluster.node("n1", "vacated")
    assert [one.environ()["FORESTALL_RANK"] for one in cluster.rank_processes()] == ["0"]
    assert len({one.id for one in cluster.outcomes(migrate)}) == 3
    assert not [one for one in cluster.mine() if isinstance(one, NodeFate)]


def test_an_agent_killed_amid_a_restore_takes_the_rank_over_and_finishes(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("s0", "--spare")
    cluster.node("s0", "spare")
    restore = cluster.order("RESTORE", node="s0", ranks=(1,))
    cluster.stage(restore, "accepted")
    cluster.kill("s0")
    cluster.start("s0", "--spare")
    cluster.stage(restore, "done")
    assert cluster.node("s0", "running").rank == 1
    ranks = sorted(one.environ()["FORESTALL_RANK"] for one in cluster.rank_processes())
    assert ranks == ["0", "1"]


def test_a_rank_that_dies_by_itself_is_a_failure_of_the_node_and_its_checkpoint_fails(cluster: Cluster) -> None:
    cluster.start("n0", "--rank", "0")
    cluster.start("n1", "--rank", "1")
    cluster.progress(1, 3)
    (rank,) = [one for one in cluster.rank_processes() if one.environ()["FORESTALL_RANK"] == "1"]
    rank.suspend()
    checkpoint = cluster.order("CHECKPOINT")
    cluster.stage(checkpoint, "accepted", 2)
    rank.kill()
    (failed,) = cluster.stage(checkpoint, "failed")
    assert failed.node == "n1"
    assert "rank has ended" in (failed.reason or "")
    fate = wait_for("a fate", lambda: [one for one in cluster.mine() if isinstance(one, NodeFate)])
    assert [(one.node, one.state) for one in fate] == [("n1", "failed")]
    cluster.node("n1", "vacated")


def test_a_job_that_comes_to_its_end_is_no_failure(broker: Broker, topics: object, tmp_path: Path) -> None:
    cluster = Cluster(broker.bootstrap, tmp_path, job=f"short-{time.time_ns() % 10**9}", world=1, steps=40, step_s=0.01)
    try:
        cluster.start("n0", "--rank", "0")
        cluster.node("n0", "vacated")
        assert "training is over" in (tmp_path / "n0.log").read_text()
        assert not [one for one in cluster.mine() if isinstance(one, NodeFate)]
    finally:
        cluster.close()


def test_restore_from_a_checkpoint_that_is_not_there_fails_with_the_reason(cluster: Cluster) -> None:
    cluster.start("s0", "--spare")
    cluster.node("s0", "spare")
    restore = cluster.order("RESTORE", node="s0", ranks=(0,), step=500)
    (failed,) = cluster.stage(restore, "failed")
    assert "exit code 1" in (failed.reason or "")
    assert "no good checkpoint of step 500" in (cluster.directory / "s0" / "rank.log").read_text()


def test_a_rank_whose_restore_has_failed_is_ended_and_does_not_come_back_with_its_agent(cluster: Cluster) -> None:
    """It was stopped before its first step: by then the job has been given another rank of this number."""
    cluster.start("s0", "--spare")
    cluster.node("s0", "spare")
    restore = cluster.order("RESTORE", node="s0", ranks=(1,))  # rank 0 never comes, so it makes no step
    cluster.stage(restore, "accepted")
    wait_for("the rank", cluster.rank_processes)
    cluster.agents["s0"].terminate()
    assert cluster.agents["s0"].wait(30) == 0
    cluster.stage(restore, "failed")
    cluster.start("s0", "--spare")
    cluster.node("s0", "vacated")
    assert not cluster.rank_processes()
    assert not [one for one in cluster.mine() if isinstance(one, NodeFate)]


def test_sigterm_ends_the_rank_and_fails_what_is_open(cluster: Cluster) -> None:
    agent = cluster.start("n0", "--rank", "0")
    cluster.node("n0", "running")
    checkpoint = cluster.order("CHECKPOINT")  # it cannot come to an end: rank 1 never comes
    cluster.stage(checkpoint, "accepted")
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(10) == 0
    (failed,) = cluster.stage(checkpoint, "failed")
    assert isinstance(failed, Outcome)
    assert failed.reason == "the cluster agent was stopped"
    assert not cluster.rank_processes()
