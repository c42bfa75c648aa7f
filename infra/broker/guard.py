"""Runs a command and ends it when the process that asked for it is gone, however that went.

Run as a script (``python guard.py COMMAND…``): prints the command's process id, waits until its own standard input
closes or the command ends, and leaves with the command's exit status. It imports the standard library only.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PATIENCE_S = 20.0


def guard(command: list[str]) -> int:
    """Run ``command`` until it ends or standard input closes; return its exit status."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)

    ending = threading.Event()
    threading.Thread(target=_end_when, args=(ending, process), daemon=True).start()
    threading.Thread(target=_await_end_of_input, args=(ending,), daemon=True).start()

    def end(_: int, __: FrameType | None) -> None:
        ending.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print(process.pid, flush=True)
    return process.wait()


def _await_end_of_input(ending: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    ending.set()


def _end_when(ending: threading.Event, process: subprocess.Popen[bytes]) -> None:
    ending.wait()
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(guard(sys.argv[1:]))
