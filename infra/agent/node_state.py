"""What a cluster agent keeps in its directory, and the lock that keeps a second one out of it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from connectors.errors import Failed, WrongUse

SEEN = "commands.jsonl"
POSITIONS = "positions.json"


def hold(directory: Path, node: str) -> int:
    """Take the directory for this process alone; returns the descriptor that holds it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as fault:
        raise Failed(f"{directory} cannot be written: {fault.strerror}; a cluster agent must remember there") from fault
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise WrongUse(
            f"another cluster agent of {node} uses {directory}; end it, or give this one a --directory of its own"
        ) from None
    return descriptor
