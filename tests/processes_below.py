"""The processes that a run has started: everything that names its folder."""

from __future__ import annotations

from pathlib import Path

import psutil


def processes_below(folder: Path, but: int) -> list[psutil.Process]:
    """Whatever runs with this folder in its words, the process ``but`` apart."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        ours = any(str(folder) in word for word in process.info["cmdline"] or [])
        if ours and process.info["status"] != psutil.STATUS_ZOMBIE and process.pid != but:
            found.append(process)
    return found
