"""Memory that another process holds too, to copy checkpoints into."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import torch

from experiments.checkpoint_cost.sample import Sample

PEER = Path(__file__).with_name("peer.py")
STOP_S = 10.0


def available() -> bool:
    """Whether this system can share anonymous memory with another process (Linux can)."""
    return hasattr(os, "memfd_create")


class PeerMemory:
    """The peer, and its two places of ``size`` bytes: taken in turns, so that the last checkpoint stays whole."""

    def __init__(self, size: int) -> None:
        self._size, self._number = size, 0
        handle = os.memfd_create("forestall-checkpoint")
        try:
            os.ftruncate(handle, 2 * size)
            self._map = mmap.mmap(handle, 2 * size)
            self._peer = subprocess.Popen(
                [sys.executable, str(PEER), str(handle), str(2 * size)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[handle],
                text=True,
            )
        finally:
            os.close(handle)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the memory is written to, as it should be
            self._memory: torch.Tensor | None = torch.frombuffer(self._map, dtype=torch.uint8)
        self._memory.zero_()  # the system hands pages out as they are first written: once for a job, not each time

    def begin(self, state: dict[str, torch.Tensor]) -> Copied:
        """Copy a state into the place that does not hold the last one."""
        began = time.perf_counter()
        if self._memory is None:
            raise ValueError("the peer was closed")
        start = at = (self._number % 2) * self._size
        self._number += 1
        for tensor in state.values():
            raw = tensor.detach().contiguous().view(torch.uint8).reshape(-1)
            self._memory[at : at + raw.numel()].copy_(raw)
            at += raw.numel()
        return Copied(self, began, time.perf_counter(), start, at - start)

    def confirmed(self, start: int, length: int) -> int:
        """Return the peer's CRC-32 of what it holds there."""
        if self._peer.stdin is None or self._peer.stdout is None:
            raise ValueError("the peer has no pipes")
        self._peer.stdin.write(f"{start} {length}\n")
        self._peer.stdin.flush()
        answer = self._peer.stdout.readline()
        if not answer:
            raise RuntimeError("the peer ended before it had the checkpoint")
        return int(answer)

    def close(self) -> None:
        """End the peer and give the memory back."""
        self._peer.communicate(timeout=STOP_S)
        self._memory = None
        self._map.close()


class Copied:
    """A checkpoint that was copied, and that the peer has yet to confirm."""

    def __init__(self, peer: PeerMemory, began: float, copied_at: float, start: int, length: int) -> None:
        self._peer, self._began, self._copied_at = peer, began, copied_at
        self._start, self._length = start, length
        self.crc: int | None = None

    def done(self) -> Sample:
        """Wait until the peer has read all of it where it lies."""
        asked = time.perf_counter()
        self.crc = self._peer.confirmed(self._start, self._length)
        confirm = time.perf_counter() - asked
        copy = self._copied_at - self._began
        return Sample(copy, confirm, copy, copy + confirm)
