"""What a supervisor does when the machine refuses it something, and with parts that say too much or too little."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.supervisor import LINE_BYTES_MAX, NOT_STARTED, Part, Supervisor

DEADLINE_S = 20.0


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(code))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def heard() -> list[tuple[str, str]]:
    return []


@pytest.fixture
async def supervisor(tmp_path: Path, heard: list[tuple[str, str]]) -> Supervisor:
    return Supervisor(tmp_path, lambda who, what: heard.append((who, what)), os.environ)


async def test_a_program_that_is_not_there_is_given_up_by_name_and_holds_nobody_up(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(Part("ghost", (str(tmp_path / "no-such-program"),)))
    supervisor.start(Part("sleeper", python("import time; time.sleep(600)")))
    async with asyncio.timeout(DEADLINE_S):
        given_up = await supervisor.given_up()
    assert (given_up.name, given_up.code) == ("ghost", NOT_STARTED)
    assert "cannot be started" in str(given_up)
    assert "no-such-program" in str(given_up)
    assert supervisor.pid("sleeper") is not None
    await supervisor.close(DEADLINE_S)
    assert supervisor.pid("sleeper") is None


async def test_a_log_that_cannot_be_written_is_tried_again_and_the_part_lives_when_it_can(
    supervisor: Supervisor, heard: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "worker.log").mkdir()
    supervisor.start(Part("worker", python("import time; time.sleep(600)")))
    await until(lambda: len(heard) == 1)
    (tmp_path / "worker.log").rmdir()
    await until(lambda: supervisor.pid("worker") is not None)
    assert supervisor.restarts("worker") >= 1
    await supervisor.close(DEADLINE_S)


async def test_a_reason_of_an_earlier_attempt_is_not_told_for_a_later_death(
    supervisor: Supervisor, heard: list[tuple[str, str]], tmp_path: Path
) -> None:
    (tmp_path / "worker.log").mkdir()
    supervisor.start(Part("worker", python("import sys; print('no such topic', file=sys.stderr); sys.exit(2)")))
    await until(lambda: len(heard) == 1)
    (tmp_path / "worker.log").rmdir()
    async with asyncio.timeout(DEADLINE_S):
        given_up = await supervisor.given_up()
    assert (given_up.code, given_up.last_line) == (2, "no such topic")


async def test_a_line_beyond_all_bounds_is_left_out_and_those_around_it_arrive(supervisor: Supervisor) -> None:
    """The pipe must be read on, or the part would stand still when it is full."""
    lines: list[str] = []
    talker = f"""
        import sys
        print("before", flush=True)
        sys.stdout.write("x" * {3 * LINE_BYTES_MAX} + "\\n")
        print("after", flush=True)
    """
    supervisor.start(Part("talker", python(talker), ends=True, on_line=lines.append))
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.ended(["talker"])
    assert (lines[0], lines[-1]) == ("before", "after")
    assert all(len(line) <= LINE_BYTES_MAX for line in lines)
    assert supervisor.restarts("talker") == 0


async def test_bytes_that_are_no_text_are_no_fault(supervisor: Supervisor) -> None:
    lines: list[str] = []
    talker = r"import sys; sys.stdout.buffer.write(b'\xff\xfe half\nno newline at the end')"
    supervisor.start(Part("talker", python(talker), ends=True, on_line=lines.append))
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.ended(["talker"])
    assert lines == ["\ufffd\ufffd half", "no newline at the end"]


async def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_supervisor(supervisor: Supervisor) -> None:
    lines: list[str] = []
    leaver = """
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("gone", flush=True)
    """
    supervisor.start(Part("leaver", python(leaver), ends=True, on_line=lines.append))
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.ended(["leaver"])
    assert lines == ["gone"]
    await supervisor.close(DEADLINE_S)


async def test_one_that_was_told_nothing_it_listens_to_ends_all_the_same(supervisor: Supervisor) -> None:
    """Standard input is closed for a part that does not listen; telling it something does no harm."""
    lines: list[str] = []
    supervisor.start(Part("deaf", python("import sys; print(repr(sys.stdin.read()))"), ends=True, on_line=lines.append))
    supervisor.tell("deaf", "start")
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.ended(["deaf"])
    assert lines == ["''"]


async def test_stopping_in_a_pause_begins_no_other_life(
    supervisor: Supervisor, heard: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.supervisor.PAUSE_S_MIN", 3600.0)
    monkeypatch.setattr("infra.supervisor.PAUSE_S_MAX", 3600.0)
    lines: list[str] = []
    supervisor.start(Part("dies", python("print('life', flush=True); raise SystemExit(1)"), on_line=lines.append))
    await until(lambda: len(heard) == 1)
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.stop(["dies"], DEADLINE_S)
    assert lines == ["life"]
    assert "exit 1; starting again in 3600 s" in heard[0][1]


async def test_stopped_before_its_first_moment_it_never_runs(supervisor: Supervisor, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    supervisor.start(Part("early", python(f"import time; time.sleep(5); open({str(mark)!r}, 'w')")))
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.close(DEADLINE_S)
    assert supervisor.pid("early") is None
    assert not mark.exists()


async def test_only_the_first_part_that_is_given_up_is_told(supervisor: Supervisor) -> None:
    supervisor.start(Part("first", python("raise SystemExit(2)")))
    async with asyncio.timeout(DEADLINE_S):
        await supervisor.given_up()
        supervisor.start(Part("second", python("raise SystemExit(2)")))
        await supervisor.ended(["first", "second"])
        assert (await supervisor.given_up()).name == "first"


async def test_a_part_that_does_not_exist_has_no_process_and_needs_no_stopping(supervisor: Supervisor) -> None:
    assert supervisor.pid("nobody") is None
    await supervisor.stop(["nobody"], 0.1)
    await supervisor.ended(["nobody"])
    assert supervisor.names == []
