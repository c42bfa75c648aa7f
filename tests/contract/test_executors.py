"""What every executor promises: one rank at most, one start an order, a rank that outlives its cluster agent."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import psutil
import pytest
from memory_executor import MemoryExecutor

from connectors.errors import Failed
from connectors.executors import Executor, Launch, RankRecord
from connectors.executors.dry_run import DryRunExecutor
from connectors.executors.process import ProcessExecutor
from connectors.executors.script import ScriptExecutor, Scripts
from models.records import Action, Cause, Command, Reason


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


class ScriptWorld(World):
    """A rank that the owner's own shell scripts start, look at and end."""

    CALLS: ClassVar[dict[str, str]] = {
        "start": 'echo "$FORESTALL_RANK" >> starts; setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $! > pid',
        "kill": "kill -9 $(cat pid) 2>/dev/null; true",
        "stop": "kill -15 $(cat pid)",
        "state": "kill -0 $(cat pid) 2>/dev/null && echo running || echo died",
    }

    def executor(self) -> ScriptExecutor:
        return script_executor(self.folder, **self.CALLS)

    def crash(self, executor: Executor) -> None:
        os.kill(int((self.folder / "pid").read_text()), 9)

    def close(self) -> None:
        if (self.folder / "pid").exists():
            self.executor().kill()


def script_executor(folder: Path, timeout_s: float = 20.0, **calls: str) -> ScriptExecutor:
    """An executor whose commands are lines for a shell, run in ``folder``; what it says goes to ``folder/said``."""
    lines = {name: ["/bin/sh", "-c", f"cd {folder} && {{ {line}\n}}"] for name, line in calls.items()}
    scripts = Scripts(
        **{"start": ["true"], "kill": ["true"], "state": ["echo", "running"], **lines},
        timeout_s=timeout_s,
        state_every_s=0.001,
    )

    def say(line: str) -> None:
        with (folder / "said").open("a") as said:
            said.write(line + "\n")

    environment = {"PATH": os.environ["PATH"]}
    return ScriptExecutor(folder, "n1", scripts, environment, clock=time.time, sleep=time.sleep, say=say)


class DryRunWorld(World):
    def executor(self) -> Executor:
        return DryRunExecutor(self.folder)


@pytest.fixture(params=[ProcessWorld, MemoryWorld, ScriptWorld])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    made = request.param(tmp_path)
    yield made
    made.close()


@pytest.fixture(params=[ProcessWorld, MemoryWorld, ScriptWorld, DryRunWorld])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The executors that act, and the one that does not."""
    made = request.param(tmp_path)
    yield made
    made.close()


def launch(*, rank: int = 2, order: str | None = "c1") -> Launch:
    command = ["/bin/sh", "-c", "sleep 60"]
    return Launch(job="job", rank=rank, command=command, environment={"PATH": os.environ["PATH"]}, order=order)


def order(action: Action, *, rule: str = "test", name: str = "c2") -> Command:
    return Command(
        id=name,
        action=action,
        job="job",
        node="n1",
        generation=2,
        issued_at=1.0,
        expires_at=61.0,
        reason=Reason(rule=rule),
        cause=Cause(0, 0),
    )


def until(look: Callable[[], bool]) -> None:
    for _ in range(2000):
        if look():
            return
        time.sleep(0.005)
    raise AssertionError("waited in vain")


def test_there_is_none_at_first_and_ending_none_is_no_fault(any_world: World) -> None:
    executor = any_world.executor()
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


def test_the_agents_own_rank_is_remembered_and_started_once(any_world: World) -> None:
    executor = any_world.executor()
    executor.start(launch(order=None))
    again = any_world.executor()
    assert again.state() == "running"
    assert again.record is not None
    assert (again.record.job, again.record.rank, again.record.order) == ("job", 2, None)
    with pytest.raises(Failed, match=r"runs here already|dry-run: would"):
        again.start(launch(rank=1, order="c9"))
    assert again.record.rank == 2


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
    for _ in range(2):
        executor.set_aside(order("QUARANTINE"))
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


# -- of the dry run only


@pytest.fixture
def dry(tmp_path: Path) -> DryRunExecutor:
    made = DryRunExecutor(tmp_path)
    made.start(launch(order=None))
    return made


def test_a_dry_run_says_the_exact_command_line_and_the_names_that_the_rank_would_be_told(dry: DryRunExecutor) -> None:
    words = ["/opt/py", "train.py", "--note", "two words"]
    wanted = Launch(
        job="job", rank=1, command=words, environment={"FORESTALL_RANK": "1", "TOKEN": "secret"}, order="c1"
    )
    with pytest.raises(Failed) as told:
        dry.start(wanted)
    assert str(told.value) == (
        "dry-run: would have started rank 1 of job: /opt/py train.py --note 'two words' (with FORESTALL_RANK)"
    )


@pytest.mark.parametrize(
    ("does", "would"),
    [
        (lambda one: one.kill("c1"), "ended rank 2 of job and all that it started, by SIGKILL"),
        (lambda one: one.checkpoint(order("CHECKPOINT")), "asked rank 2 of job for a checkpoint"),
        (lambda one: one.set_aside(order("QUARANTINE")), "kept this node from taking a rank"),
        (
            lambda one: one.set_aside(order("DRAIN")),
            "kept this node from taking a rank, and ended the one that runs here",
        ),
    ],
)
def test_a_dry_run_does_nothing_and_each_order_fails_with_what_it_would_have_done(
    dry: DryRunExecutor, does: Callable[[Executor], None], would: str
) -> None:
    before = dry.record
    with pytest.raises(Failed) as told:
        does(dry)
    assert str(told.value) == f"dry-run: would have {would}"
    dry.stop(1.0)
    dry.vacate()
    dry.readmit()
    assert (dry.record, dry.state(), dry.exit_code()) == (before, "running", None)


# -- of scripts only


def test_a_script_that_fails_tells_the_end_of_what_it_printed_and_nothing_half_begun_runs_on(tmp_path: Path) -> None:
    executor = script_executor(
        tmp_path, start="echo $(seq 9000); echo 'no node' >&2; exit 3", kill="echo $FORESTALL_RANK > killed"
    )
    with pytest.raises(Failed) as told:
        executor.start(launch())
    assert str(told.value).startswith("`start` ended with exit code 3; it printed: ")
    assert str(told.value).endswith("9000 no node")
    assert len(str(told.value)) < 400
    assert (tmp_path / "killed").read_text() == "2\n"
    assert executor.record is None
    assert executor.state() == "none"


def test_a_script_without_end_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    executor = script_executor(
        tmp_path, timeout_s=0.5, start=f"sleep 7{os.getpid()} & echo began; sleep 7{os.getpid()}"
    )
    with pytest.raises(Failed, match=r"`start` had not ended after 0.5 s and was killed; it printed: began"):
        executor.start(launch())
    until(
        lambda: (
            not [one for one in psutil.process_iter(["cmdline"]) if f"7{os.getpid()}" in (one.info["cmdline"] or ())]
        )
    )


def test_what_an_order_says_is_told_by_environment_only(tmp_path: Path) -> None:
    executor = script_executor(
        tmp_path,
        drain='printf "%s|%s|%s|%s" "$FORESTALL_NODE" "$FORESTALL_ORDER" "$FORESTALL_RANK" "$FORESTALL_REASON" > told',
    )
    executor.start(launch())
    executor.set_aside(order("DRAIN", rule="P $(touch evil); `touch evil`\nline\0two" + 500 * "x"))
    told = (tmp_path / "told").read_text()
    assert told.startswith("n1|c2|2|P $(touch evil); `touch evil` line twoxxx")
    assert len(told.split("|")[3]) == 200
    assert not (tmp_path / "evil").exists()
    with pytest.raises(Failed, match="is no name"):
        executor.set_aside(order("DRAIN", name="$(touch evil)"))
    with pytest.raises(Failed, match="is no name"):
        script_executor(tmp_path / "b").start(launch(order="a b; c"))
    executor.set_aside(order("QUARANTINE", name="; rm"))  # it has no command for that, so nothing is told to anybody


def test_the_launch_reaches_the_start_command(tmp_path: Path) -> None:
    executor = script_executor(
        tmp_path, start='echo "$FORESTALL_COMMAND_LINE|$FORESTALL_RESUME_STEP|$FORESTALL_ORDER" > told'
    )
    executor.start(
        Launch(job="job", rank=1, command=["a b", "c"], environment={"FORESTALL_RESUME_STEP": "40"}, order="c1")
    )
    assert (tmp_path / "told").read_text() == "'a b' c|40|c1\n"


def test_a_state_that_cannot_be_learned_stays_what_it_was_and_is_said_once(tmp_path: Path) -> None:
    executor = script_executor(tmp_path, state="cat answer")
    (tmp_path / "answer").write_text("running")
    executor.start(launch())
    for answer in ("maybe", "", "exit 1"):
        (tmp_path / "answer").write_text(answer)
        time.sleep(0.002)
        assert executor.state() == "running"
    assert (tmp_path / "said").read_text().count("cannot be learned") == 1
    assert "`state` said 'maybe'; it must say one of: running, ended, died" in (tmp_path / "said").read_text()
    (tmp_path / "answer").write_text("warning: a config file is old\nended\n")
    until(lambda: executor.state() == "ended")


def test_an_agent_that_died_amid_a_start_does_not_start_a_second_time(tmp_path: Path) -> None:
    world = ScriptWorld(tmp_path)
    first = world.executor()
    first._file.remember(RankRecord(state="running", job="job", rank=2, order="c1", born=1.0))
    (tmp_path / "pid").write_text("999999999")  # killed by -9 before its start command had done anything
    again = world.executor()
    assert again.state() == "died"
    assert again.record is not None
    assert again.record.order == "c1"
    assert not (tmp_path / "starts").exists()


def test_a_rank_that_does_not_go_is_told(tmp_path: Path) -> None:
    executor = script_executor(tmp_path, timeout_s=0.5)
    executor.start(launch())
    with pytest.raises(Failed, match="rank 2 of job still runs after `kill`"):
        executor.kill("c9")
    assert executor.state() == "running"
    executor.stop(0.1)
    assert executor.state() == "running", "without `stop` it goes on when its cluster agent ends"


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    scripts = Scripts(start=["/no/such/program"], kill=["true"], state=["true"])
    executor = ScriptExecutor(tmp_path, "n1", scripts, {}, clock=time.time, sleep=time.sleep, say=print)
    with pytest.raises(Failed, match=r"`start` cannot be run: .*No such file"):
        executor.start(launch())
