"""The disk of a cluster agent is full or read-only: it says so, nothing is half done, and afterwards it goes on."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from agent_cluster import FORESTALL, Cluster, wait_for

from connectors.errors import Failed
from connectors.executors import Executor, Launch
from connectors.executors.dry_run import DryRunExecutor
from connectors.executors.process import ProcessExecutor
from connectors.executors.script import ScriptExecutor, Scripts
from connectors.seen_set import SeenSet
from infra.agent.node_state import hold
from infra.broker.embedded import Broker
from models.records import NodeFate

SMALL = "size=256k"
#: The log is limited as well, and must have room for the reason.
SHORT = ("--set", "logs.format=text")
#: In 512-byte blocks: the agent's memory of a command is larger, its other files are not.
LIMITED = ("/bin/sh", "-c", 'ulimit -f 1; exec "$@"', "limited", str(FORESTALL))


def _mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB; only root can make one."""
    folder = tmp_path / "n0"
    folder.mkdir()
    if not _mount("-t", "tmpfs", "-o", SMALL, "tmpfs", str(folder)):
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def make_read_only(disk: Path) -> None:
    assert _mount("-o", "remount,ro", str(disk))


def make_writable(disk: Path) -> None:
    assert _mount("-o", "remount,rw", str(disk))


# -- executors and what is remembered


def launch(command: list[str], order: str | None = "c1") -> Launch:
    return Launch(job="job", rank=0, command=command, environment={"PATH": os.environ["PATH"]}, order=order)


def script(disk: Path) -> ScriptExecutor:
    started = ["/bin/sh", "-c", f"touch {disk.parent}/started"]
    scripts = Scripts(start=started, kill=["true"], state=["echo", "running"])
    return ScriptExecutor(disk, "n0", scripts, os.environ, clock=time.time, sleep=time.sleep, say=print)


@pytest.mark.parametrize("spoil", [fill, make_read_only])
@pytest.mark.parametrize(
    "make",
    [lambda disk: ProcessExecutor(disk, time.sleep), script, DryRunExecutor],
    ids=["process", "script", "dry-run"],
)
def test_a_start_that_cannot_be_remembered_starts_nothing(
    disk: Path, make: Callable[[Path], Executor], spoil: Callable[[Path], object]
) -> None:
    executor, before = make(disk), set(psutil.Process().children())
    spoil(disk)
    order = None if isinstance(executor, DryRunExecutor) else "c1"
    with pytest.raises(Failed, match=r"No space left on device|Read-only file system"):
        executor.start(launch(["/bin/sh", "-c", f"touch {disk.parent}/started; sleep 60"], order))
    assert executor.state() == "none"
    assert executor.record is None
    begun = set(psutil.Process().children()) - before
    assert not [one for one in begun if one.status() != psutil.STATUS_ZOMBIE]
    make_writable(disk)
    (disk / "filler").unlink(missing_ok=True)
    again = make(disk)
    assert again.state() == "none"
    assert not (disk.parent / "started").exists()
    again.start(launch(["/bin/sh", "-c", "sleep 60"], order))
    assert again.state() == "running"
    if isinstance(again, ProcessExecutor):
        again.kill()


def test_a_memory_without_room_says_so_and_loses_nothing_of_what_it_held(disk: Path) -> None:
    seen = SeenSet(disk / "commands.jsonl")
    for number in range(50):
        seen.append_fate(fate(f"before-{number}"))
    filler = fill(disk)
    with pytest.raises(Failed, match="No space left on device; no command is carried out"):
        append_many(seen)
    with pytest.raises(Failed, match="No space left on device; no command is carried out"):
        seen.compact([])
    seen.close()
    filler.unlink()
    again = SeenSet(disk / "commands.jsonl")
    assert [one.id for one in again.pending()][:50] == [f"before-{number}" for number in range(50)]
    again.compact([])
    again.close()


def test_a_memory_on_a_read_only_disk_says_so(disk: Path) -> None:
    SeenSet(disk / "commands.jsonl").close()
    make_read_only(disk)
    with pytest.raises(Failed, match="cannot be opened: Read-only file system; no command is carried out"):
        SeenSet(disk / "commands.jsonl")


def append_many(seen: SeenSet) -> None:
    for number in range(100):
        seen.append_fate(fate(f"after-{number}"))


def fate(name: str) -> NodeFate:
    return NodeFate(id=name, job="job", node="n0", at=1.0, state="failed")


def test_a_directory_that_is_read_only_is_refused_with_a_message(disk: Path) -> None:
    make_read_only(disk)
    with pytest.raises(Failed, match=r"n0 cannot be written: Read-only file system; a cluster agent must remember"):
        hold(disk, "n0")


# -- real agents


@pytest.fixture
def cluster(broker: Broker, topics: object, tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(broker.bootstrap, tmp_path, job=f"full-{time.time_ns() % 10**9}", world=1, steps=0, step_s=0.03)
    yield made
    made.close()


def ended(agent: subprocess.Popen[bytes]) -> int:
    wait_for("the agent to end", lambda: agent.poll() is not None)
    return agent.returncode


@pytest.mark.broker
def test_an_agent_whose_disk_fills_up_stops_before_the_effect_and_the_next_one_carries_it_out(
    cluster: Cluster, disk: Path
) -> None:
    agent = cluster.start("n0", "--rank", "0")
    cluster.progress(0, 3)
    (rank,) = cluster.rank_processes()
    filler = fill(disk)
    checkpoint = cluster.order("CHECKPOINT")
    assert ended(agent) == 1
    said = (cluster.directory / "n0.log").read_text()
    assert "forestall: " in said
    assert "commands.jsonl cannot be written: No space left on device; no command is carried out" in said
    assert "Traceback" not in said
    assert not [one for one in cluster.outcomes(checkpoint) if one.stage in {"staged", "durable"}]
    assert [one.pid for one in cluster.rank_processes()] == [rank.pid], "the rank lives on"
    again = cluster.start("n0", "--rank", "0")
    assert ended(again) == 1, "there is still no room"
    assert "Traceback" not in (cluster.directory / "n0.log").read_text()

    filler.unlink()
    cluster.start("n0", "--rank", "0")
    cluster.stage(checkpoint, "done")
    assert len({one.step for one in cluster.outcomes(checkpoint) if one.step is not None}) == 1
    assert [one.pid for one in cluster.rank_processes()] == [rank.pid]


@pytest.mark.broker
def test_an_agent_that_may_write_no_more_leaves_its_rank_alone(cluster: Cluster) -> None:
    """Where nobody may mount: the size of the agent's files is limited instead."""
    cluster.start("n0", "--rank", "0", *SHORT)
    cluster.progress(0, 3)
    (rank,) = cluster.rank_processes()
    cluster.kill("n0")
    limited = cluster.start("n0", "--rank", "0", *SHORT, by=LIMITED)
    migrate = cluster.order("MIGRATE", node="n0", ranks=(0,))
    assert ended(limited) == 1
    assert "cannot be written: File too large" in (cluster.directory / "n0.log").read_text()
    assert cluster.outcomes(migrate) == []
    assert [one.pid for one in cluster.rank_processes()] == [rank.pid]
    cluster.start("n0", "--rank", "0")
    cluster.stage(migrate, "done")
    assert cluster.rank_processes() == []
