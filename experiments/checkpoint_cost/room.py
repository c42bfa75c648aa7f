"""Whether there is room for what is to be measured: on disk, in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import psutil

#: What is left free on disk, and in memory, whatever is measured.
DISK_LEFT_BYTES: Final = 1 << 30
MEMORY_LEFT_BYTES: Final = 512 << 20
#: A checkpoint's files take a little more than its tensors.
DISK_SHARE: Final = 1.05
#: The state, the two places of the peer, the copy that is written, and pages that are not yet on disk.
MEMORY_SHARE: Final = 4.5


def lacking(size: int, folder: Path) -> str | None:
    """Return what there is too little of for a state of ``size`` bytes, with the figures; None when there is room."""
    disk, wanted = shutil.disk_usage(folder).free, size * DISK_SHARE + DISK_LEFT_BYTES
    if disk < wanted:
        return f"{folder} has {disk / 1e9:.1f} GB free, it would take {wanted / 1e9:.1f} GB"
    memory, wanted = psutil.virtual_memory().available, size * MEMORY_SHARE + MEMORY_LEFT_BYTES
    if memory < wanted:
        return f"{memory / 1e9:.1f} GB of memory are available, it would take {wanted / 1e9:.1f} GB"
    return None


def load() -> dict[str, float]:
    """Return how many processes have wanted to run in the last minute, and how many cores there are for them."""
    return {"processes": round(psutil.getloadavg()[0], 2), "cores": float(psutil.cpu_count() or 1)}


def filesystem_of(folder: Path) -> str:
    """Return the kind of the file system that holds ``folder``, as the system names it (``ext4``, ``tmpfs``, …)."""
    there = folder.resolve()
    found = [part for part in psutil.disk_partitions(all=True) if there.is_relative_to(part.mountpoint)]
    return max(found, key=lambda part: len(part.mountpoint)).fstype if found else "unknown"
