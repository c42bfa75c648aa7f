"""How long a checkpoint takes to load: from disk, and from the pages that the system still keeps of it."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed.checkpoint as distributed

from experiments.checkpoint_cost.timed_files import DurableWriter


def loads(state: dict[str, torch.Tensor], size: int, folder: Path, repeat: int) -> dict[str, Any]:
    """Return a row of loading a checkpoint of this state, ``repeat`` times cold and as often warm."""
    writer = DurableWriter(folder)
    distributed.save(dict(state), storage_writer=writer, no_dist=True)
    cold, warm = [], []
    try:
        for _ in range(repeat):
            _drop_pages(folder)
            cold.append(_load(state, folder))
            warm.append(_load(state, folder))
    finally:
        shutil.rmtree(folder)
    return {
        "bytes": size,
        "cold_s": round(statistics.median(cold), 6),
        "warm_s": round(statistics.median(warm), 6),
        "n": repeat,
        "spread": {"cold_s": _ends(cold), "warm_s": _ends(warm)},
    }


def _load(state: dict[str, torch.Tensor], folder: Path) -> float:
    began = time.perf_counter()
    distributed.load(dict(state), checkpoint_id=folder, no_dist=True)
    return time.perf_counter() - began


def _drop_pages(folder: Path) -> None:
    """Ask the system to forget what it keeps of these files; they are on disk, so nothing is lost by it."""
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _ends(values: list[float]) -> list[float]:
    return [round(min(values), 6), round(max(values), 6)]
