"""The broker's process: started under the guard or to outlive us, waited for until it answers, and ended."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from connectors.errors import Failed, Unreachable
from infra import clock

START_S = 90.0
STOP_S = 20.0
_GUARD = Path(__file__).with_name("guard.py")
Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Tell a person what goes on, beside whatever a program reads on stdout."""
    print(f"forestall: {line}", file=sys.stderr, flush=True)


def spawn_guarded(command: Sequence[str], log: Path, patience_s: float = STOP_S) -> tuple[subprocess.Popen[bytes], int]:
    """Start ``command`` under the guard, which ends it when we are gone; return the guard and the command's own id.

    ``patience_s`` is how long the command may take to end before it is killed.
    """
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), str(patience_s), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
        )
    if process.stdout is None:
        raise Failed("the guard has no output to read its process id from")
    return process, int(process.stdout.readline())


def spawn_detached(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start ``command`` so that it outlives us."""
    with log.open("ab") as sink:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)


def end_process(process: subprocess.Popen[bytes], patience_s: float = STOP_S) -> None:
    """Ask the process to end, wait, and insist where it does not."""
    process.terminate()
    try:
        process.wait(patience_s + 5)  # the guard insists first
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def wait_until_ready(bootstrap: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the broker answers a metadata request; raise ``Failed`` when it ends or takes too long."""
    from connectors.kafka.admin import admin_client, broker_count

    deadline = clock.monotonic() + START_S
    while clock.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"Kafka ended while it started; the end of {log}:\n{_tail(log)}")
        with contextlib.suppress(Unreachable), admin_client(bootstrap, timeout_s=4.0) as client:
            if broker_count(client):
                return
        clock.sleep(0.02)
    raise Failed(f"Kafka did not answer within {START_S:.0f} s; the end of {log}:\n{_tail(log)}")


def _tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError as fault:
        return f"(it cannot be read: {fault})"
