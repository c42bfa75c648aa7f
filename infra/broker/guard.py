"""Runs a command and ends it when the process that asked for it is gone, however that went.

Run as a script (``python guard.py PATIENCE COMMAND…``): prints the command's process id, waits until its own standard
input closes or the command ends, and leaves with the command's exit status. A command that is asked to end and does
not within PATIENCE seconds is killed. It imports the standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType


def guard(patience_s: float, command: list[str]) -> int:
    """Run ``command`` until it ends or standard input closes; return its exit status, 128 + n after signal n."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)

    ending = threading.Event()
    threading.Thread(target=_end_when, args=(ending, process, patience_s), daemon=True).start()
    threading.Thread(target=_await_end_of_input, args=(ending,), daemon=True).start()

    def end(_: int, __: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(process.pid, flush=True)
    code = process.wait()
    return code if code >= 0 else 128 - code


def _await_end_of_input(ending: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ending.set()


def _end_when(ending: threading.Event, process: subprocess.Popen[bytes], patience_s: float) -> None:
    ending.wait()
    process.terminate()
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(guard(float(sys.argv[1]), sys.argv[2:]))
