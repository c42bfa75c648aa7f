"""What every executor promises: one rank at most, one start an order, a rank that outlives its cluster agent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from memory_executor import MemoryExecutor

from connectors.errors import Failed
from connectors.executors import Executor, Launch, RankRecord
from connectors.executors.process import ProcessExecutor
from models.records import Cause, Command, Reason


class World:
    """One kind of executor: made anew as after a restart, and what happens to its rank from outside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def executor(self) -> Executor:
        raise NotImplementedError

    def crash(self, executor: Executor) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """End what is left."""


class ProcessWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.made: list[ProcessExecutor] = []

    def executor(self) -> Executor:
        self.made.append(ProcessExecutor(self.folder, time.sleep))
        return self.made[-1]

    def crash(self, executor: Executor) -> None:
        assert executor.record is not None
        assert executor.record.pid is not None
        os.killpg(executor.record.pid, 9)

    def close(self) -> None:
        self.executor().kill()
        for one in self.made:
            until(lambda one=one: one._child is None or one._child.poll() is not None)


class MemoryWorld(World):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.memory: dict[str, RankRecord] = {}
        self.world: dict[int, int | None] = {}

    def executor(self) -> Executor:
        return MemoryExecutor(self.memory, self.world)

    def crash(self, executor: Executor) -> None:
        self.world[len(self.world)] = -9


@pytest.fixture(params=[ProcessWorld, MemoryWorld])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = request.param(tmp_path)
    yield made
    made.close()


def launch(*, rank: int = 2, order: str | None = "c1") -> Launch:
    command = ["/bin/sh", "-c", "sleep 60"]
    return Launch(job="job", rank=rank, command=command, environment={"PATH": os.environ["PATH"]}, order=order)


def until(look: Callable[[], bool]) -> None:
    for _ in range(2000):
        if look():
            return
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def test_there_is_none_at_first_and_ending_none_is_no_fault(world: World) -> None:
    executor = world.executor()
    assert executor.state() == "none"
    assert executor.record is None
    executor.kill()
    executor.stop(0.1)
    executor.vacate()
    assert executor.state() == "none"


def test_a_started_rank_runs_and_is_remembered(world: World) -> None:
    executor = world.executor()
    executor.start(launch())
    assert executor.state() == "running"
    assert executor.record is not None
    assert (executor.record.job, executor.record.rank, executor.record.order) == ("job", 2, "c1")


def test_the_same_order_starts_nothing_twice_and_another_is_refused(world: World) -> None:
    executor = world.executor()
    executor.start(launch())
    first = executor.record
    executor.start(launch())
    assert executor.record == first
    with pytest.raises(Failed, match="rank 2 of job runs here already"):
        executor.start(launch(order="c2"))
    with pytest.raises(Failed, match="already"):
        executor.start(launch(order=None))
    assert executor.record == first


def test_a_restarted_agent_takes_the_running_rank_over(world: World) -> None:
    world.executor().start(launch())
    again = world.executor()
    assert again.state() == "running"
    first = again.record
    again.start(launch())
    assert again.record == first
    again.kill()
    assert again.state() == "vacated"


def test_a_rank_that_died_while_nobody_looked_is_seen(world: World) -> None:
    first = world.executor()
    first.start(launch())
    world.crash(first)
    again = world.executor()
    until(lambda: again.state() == "died")
    again.vacate()
    assert world.executor().state() == "vacated"


def test_a_killed_rank_is_gone_when_the_call_returns_and_a_new_one_may_start(world: World) -> None:
    executor = world.executor()
    executor.start(launch())
    executor.kill()
    assert executor.state() == "vacated"
    executor.start(launch(rank=1, order="c2"))
    assert executor.state() == "running"
    assert executor.record is not None
    assert executor.record.rank == 1


def test_a_stopped_rank_is_remembered_as_such(world: World) -> None:
    executor = world.executor()
    executor.start(launch())
    executor.stop(5.0)
    again = world.executor()
    assert again.state() == "stopped"
    assert again.record is not None
    assert again.record.rank == 2


def test_world_step_and_the_command_that_ended_it_are_remembered(world: World) -> None:
    executor = world.executor()
    executor.start(replace(launch(), world=3, step=40))
    executor.kill("c9")
    record = world.executor().record
    assert record is not None
    assert (record.state, record.world, record.step, record.ended_by) == ("vacated", 3, 40, "c9")
    executor.start(launch(order="c10"))
    assert executor.record is not None
    assert executor.record.ended_by is None


def test_a_quarantine_leaves_the_rank_alone_and_a_node_given_back_is_a_returned_one(world: World) -> None:
    executor = world.executor()
    executor.start(launch())
    quarantine = Command(
        id="c2",
        action="QUARANTINE",
        job="job",
        node="n1",
        generation=2,
        issued_at=1.0,
        expires_at=61.0,
        reason=Reason(rule="test"),
        cause=Cause(0, 0),
    )
    for _ in range(2):
        executor.set_aside(quarantine)
    assert executor.state() == "running"
    executor.kill("c3")
    executor.readmit()
    assert world.executor().state() == "returned"
    executor.readmit()
    assert world.executor().state() == "returned"


# -- of real processes only


def running(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or ()
        if str(folder) in " ".join(words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[ProcessExecutor]:
    made = ProcessExecutor(tmp_path, time.sleep)
    yield made
    made.kill()


def python(code: str, **more: str) -> Launch:
    return Launch(job="job", rank=0, command=[sys.executable, "-c", code], environment={**os.environ, **more})


@pytest.mark.parametrize(("code", "state"), [(0, "ended"), (3, "died")])
def test_how_a_rank_ended_is_told(executor: ProcessExecutor, code: int, state: str) -> None:
    executor.start(python(f"raise SystemExit({code})"))
    until(lambda: executor.state() != "running")
    assert executor.state() == state
    assert executor.exit_code() == code


def test_the_rank_gets_its_environment_its_log_and_an_empty_input(executor: ProcessExecutor) -> None:
    code = "import os, sys; print(os.environ['FORESTALL_RANK'], repr(sys.stdin.read()), os.getsid(0) == os.getpid())"
    executor.start(python(code, FORESTALL_RANK="5"))
    until(lambda: executor.state() == "ended")
    assert executor.log.read_text() == "5 '' True\n"


def test_a_program_that_is_not_there_is_a_rank_that_died(executor: ProcessExecutor, tmp_path: Path) -> None:
    executor.start(Launch(job="job", rank=0, command=["/no/such/program"], environment={}))
    until(lambda: executor.state() == "died")
    assert executor.exit_code() == 127
    assert "/no/such/program" in executor.log.read_text()


def test_a_rank_deaf_to_sigterm_is_killed_with_its_children(executor: ProcessExecutor, tmp_path: Path) -> None:
    marker = f"import signal, time; signal.signal(15, signal.SIG_IGN); p = {str(tmp_path)!r}; "
    child = marker + "time.sleep(60)"
    parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {child!r}]); " + child
    executor.start(python(parent))
    until(lambda: len(running(tmp_path)) == 2)
    until(lambda: all("SIG_IGN" in " ".join(p.cmdline()) for p in running(tmp_path)))
    executor.stop(0.3)
    until(lambda: not running(tmp_path))


def test_an_agent_that_dies_before_the_rank_was_written_down_leaves_no_process(tmp_path: Path) -> None:
    executor = ProcessExecutor(tmp_path, time.sleep)
    child = executor._spawn(python(f"import time; p = {str(tmp_path)!r}; time.sleep(60)"))
    assert child.poll() is None
    assert child.stdin is not None
    child.stdin.close()  # what the kernel does when the cluster agent dies
    assert child.wait(10) != 0
    assert not running(tmp_path)
    assert ProcessExecutor(tmp_path, time.sleep).state() == "none"


def test_another_process_with_the_same_number_is_not_taken_for_the_rank(tmp_path: Path) -> None:
    executor = ProcessExecutor(tmp_path, time.sleep)
    executor._file.remember(RankRecord(state="running", job="job", rank=0, pid=os.getpid(), born=12345.0))
    again = ProcessExecutor(tmp_path, time.sleep)
    assert again.state() == "died"
    again.kill()  # must not hit the process that runs this test
    assert again.state() == "vacated"


def test_a_record_that_nobody_can_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "rank.json").write_text("{")
    with pytest.raises(Failed, match=r"rank\.json cannot be read"):
        ProcessExecutor(tmp_path, time.sleep)
