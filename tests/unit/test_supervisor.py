"""The supervisor with real, small child processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from infra.supervisor import QUICK_DEATHS_MAX, GivenUp, Part, Supervisor, last_line

DEADLINE_S = 20.0


def python(code: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(code), *arguments)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.01)


SLEEPER = "import time\nwhile True: time.sleep(60)"
DEAF = """
    import signal, sys, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    while True: time.sleep(60)
"""


class Ear:
    """Collects what the supervisor says."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def __call__(self, part: str, what: str) -> None:
        self.heard.append((part, what))


async def test_a_part_that_is_killed_stays_away_until_it_is_started_anew(tmp_path: Path) -> None:
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, os.environ)
    part = Part("deaf", python(DEAF))
    supervisor.start(part)
    await until(lambda: last_line(tmp_path / "deaf.log") == "deaf")
    first = supervisor.pid("deaf")
    await supervisor.kill("deaf")
    assert supervisor.pid("deaf") is None
    assert not psutil.pid_exists(first or 0)
    assert ear.heard == []
    supervisor.start(part)
    await until(lambda: supervisor.pid("deaf") not in {None, first})
    await supervisor.kill("deaf")
    await supervisor.close(DEADLINE_S)


async def test_a_part_that_dies_is_started_again_and_that_is_said(tmp_path: Path) -> None:
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, os.environ)
    supervisor.start(Part("sleeper", python(SLEEPER)))
    await until(lambda: supervisor.pid("sleeper") is not None)
    first = supervisor.pid("sleeper")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await until(lambda: supervisor.pid("sleeper") not in (None, first))
    assert supervisor.restarts("sleeper") == 1
    assert ear.heard[0][0] == "sleeper"
    assert "SIGKILL" in ear.heard[0][1]
    assert "again in 0.25 s" in ear.heard[0][1]
    await supervisor.close(DEADLINE_S)
    assert supervisor.pid("sleeper") is None


async def test_the_pause_grows_and_a_part_that_cannot_stay_up_is_given_up_with_its_last_line(tmp_path: Path) -> None:
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, os.environ)
    supervisor.start(Part("broken", python("import sys; print('no such disk', file=sys.stderr); sys.exit(1)")))
    async with asyncio.timeout(DEADLINE_S):
        given_up = await supervisor.given_up()
    assert (given_up.name, given_up.code, given_up.last_line) == ("broken", 1, "no such disk")
    pauses = [what.split("again in ")[1].split(" s")[0] for _, what in ear.heard]
    assert pauses == ["0.25", "0.5", "1", "2"]
    assert len(pauses) == QUICK_DEATHS_MAX - 1
    await supervisor.close(DEADLINE_S)


async def test_wrong_use_is_not_tried_again(tmp_path: Path) -> None:
    ear = Ear()
    supervisor = Supervisor(tmp_path, ear, os.environ)
    supervisor.start(Part("wrong", python("import sys; sys.exit(2)")))
    async with asyncio.timeout(DEADLINE_S):
        assert (await supervisor.given_up()).code == 2
    assert ear.heard == []
    await supervisor.close(DEADLINE_S)


async def test_a_part_that_comes_to_its_end_is_left_alone(tmp_path: Path) -> None:
    lines: list[str] = []
    supervisor = Supervisor(tmp_path, Ear(), os.environ)
    supervisor.start(Part("once", python("print('one'); print('two')"), ends=True, on_line=lines.append))
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.ended(["once"])
    assert lines == ["one", "two"]
    assert supervisor.restarts("once") == 0


async def test_stop_is_term_first_and_kill_at_the_deadline(tmp_path: Path) -> None:
    ear, lines = Ear(), list[str]()
    supervisor = Supervisor(tmp_path, ear, os.environ)
    supervisor.start(Part("deaf", python(DEAF), on_line=lines.append))
    await until(lambda: lines == ["deaf"])
    pid = supervisor.pid("deaf")
    assert pid is not None
    await supervisor.stop(["deaf"], deadline_s=0.2)
    assert not psutil.pid_exists(pid)
    assert ear.heard == [("deaf", "did not stop within 0.2 s: killed")]


async def test_the_whole_group_of_a_part_goes_with_it(tmp_path: Path) -> None:
    lines: list[str] = []
    parent = """
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(child.pid, flush=True)
        time.sleep(600)
    """
    supervisor = Supervisor(tmp_path, Ear(), os.environ)
    supervisor.start(Part("family", python(parent), on_line=lines.append))
    await until(lambda: len(lines) == 1)
    await supervisor.stop(["family"], DEADLINE_S)
    await until(lambda: _gone(int(lines[0])))


async def test_parts_stop_in_the_order_asked(tmp_path: Path) -> None:
    order: list[str] = []
    says_when_it_ends = """
        import signal, sys, time
        def leave(*_):
            print("left", flush=True); sys.exit(0)
        signal.signal(signal.SIGTERM, leave)
        print("up", flush=True)
        while True: time.sleep(60)
    """
    supervisor = Supervisor(tmp_path, Ear(), os.environ)
    for name in ("broker", "worker", "producer"):
        supervisor.start(
            Part(name, python(says_when_it_ends), on_line=lambda line, name=name: order.append(f"{name} {line}"))
        )
    await until(lambda: len(order) == 3)
    await supervisor.stop(["producer"], DEADLINE_S)
    await supervisor.stop(["worker"], DEADLINE_S)
    await supervisor.close(DEADLINE_S)
    assert order[3:] == ["producer left", "worker left", "broker left"]


async def test_what_a_part_was_told_its_later_lives_are_told_too(tmp_path: Path) -> None:
    lines: list[str] = []
    listener = python("import sys\nfor line in sys.stdin: print(sys.argv[1], line.strip(), flush=True)", "first")
    supervisor = Supervisor(tmp_path, Ear(), os.environ)
    supervisor.start(Part("listener", listener, again=(*listener[:-1], "later"), listens=True, on_line=lines.append))
    supervisor.tell("listener", "start")
    await until(lambda: lines == ["first start"])
    pid = supervisor.pid("listener")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await until(lambda: lines == ["first start", "later start"])
    await supervisor.close(DEADLINE_S)


async def test_a_part_may_stand_back(tmp_path: Path) -> None:
    supervisor = Supervisor(tmp_path, Ear(), os.environ)
    supervisor.start(Part("modest", python(SLEEPER), nice=5))
    await until(lambda: supervisor.pid("modest") is not None)
    pid = supervisor.pid("modest")
    assert pid is not None
    assert psutil.Process(pid).nice() == min(19, os.nice(0) + 5)
    await supervisor.close(DEADLINE_S)


SUPERVISING = """
    import asyncio, os, sys
    from pathlib import Path
    from infra.supervisor import Part, Supervisor

    async def main():
        supervisor = Supervisor(Path(sys.argv[1]), print, os.environ)
        supervisor.start(Part("sleeper", (sys.executable, "-c", "import time; time.sleep(600)")))
        while supervisor.pid("sleeper") is None:
            await asyncio.sleep(.01)
        print(supervisor.pid("sleeper"), flush=True)
        await asyncio.sleep(600)

    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_no_part_outlives_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(python(SUPERVISING, str(tmp_path)), stdout=subprocess.PIPE, text=True) as supervising:
        assert supervising.stdout is not None
        child = int(supervising.stdout.readline())
        assert psutil.pid_exists(child)
        supervising.kill()
        supervising.wait(DEADLINE_S)
        wait_until(lambda: _gone(child))


LEAVING = """
    import subprocess, sys
    quiet = subprocess.DEVNULL
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    print(subprocess.Popen(sleeper, start_new_session=True, stdout=quiet, stderr=quiet).pid)
"""
SWEEPING = """
    import subprocess, sys
    from infra.supervisor import adopt_orphans, sweep

    adopt_orphans()
    left = subprocess.run([sys.executable, "-c", sys.argv[1]], capture_output=True, text=True)
    print(int(left.stdout), sweep(10.0), flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to a subreaper")
def test_the_sweep_finds_what_left_its_group_and_its_parent() -> None:
    command = python(SWEEPING, textwrap.dedent(LEAVING))
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    orphan, swept = map(int, done.stdout.split())
    assert swept == 1
    assert _gone(orphan)


def test_the_last_line_of_a_log_is_the_last_that_says_something(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    assert last_line(log) == ""
    log.write_text("first\nno space left on device\n\n   \n")
    assert last_line(log) == "no space left on device"
    log.write_bytes(b"x" * 10_000 + b"\nend")
    assert last_line(log) == "end"


def test_what_was_given_up_says_how_it_ended() -> None:
    log = Path("worker.log")
    assert str(GivenUp("worker", 1, "no disk", log)) == "worker does not stay up (exit 1): no disk [worker.log]"
    assert "signal SIGKILL" in str(GivenUp("worker", -9, "", log))
    assert "nothing in its log" in str(GivenUp("worker", -9, "", log))


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
