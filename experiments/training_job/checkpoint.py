"""Checkpoints that are good or absent: never half.

A file is ``magic, sha256 of the rest, length of the rest, the rest`` (the rest: numpy's npz). It is written under a
temporary name, fsynced, renamed, and its folder fsynced. So a file under its own name was complete when it got it, and
what a disk loses or changes later is found by the digest. A checkpoint of the job is good when every rank's is.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from pathlib import Path

import numpy as np

from experiments.training_job.network import Trainer

MAGIC = b"FSTLCKP1"
_HEAD = struct.Struct("<8s32sQ")
#: Good checkpoints that are kept.
KEEP = 2


class BadCheckpoint(Exception):
    """The file is not a whole checkpoint."""


def path_of(folder: Path, step: int, rank: int) -> Path:
    """Return where rank ``rank`` keeps its checkpoint of ``step``."""
    return folder / f"step-{step:010d}" / f"rank-{rank}.ckpt"


def serialise(trainer: Trainer) -> bytes:
    """Copy parameters, moments, step and random state into the bytes of a checkpoint file."""
    rest = io.BytesIO()
    state = json.dumps(trainer.random.bit_generator.state).encode()
    np.savez(
        rest,
        parameters=trainer.parameters,
        momentum=trainer.momentum,
        square=trainer.square,
        step=np.int64(trainer.step),
        random=np.frombuffer(state, np.uint8),
    )
    body = rest.getvalue()
    return _HEAD.pack(MAGIC, hashlib.sha256(body).digest(), len(body)) + body


def write(path: Path, data: bytes) -> str:
    """Put ``data`` durably at ``path``; return its sha256 in hexadecimal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    for folder in (path.parent, path.parent.parent):
        _sync(folder)
    return hashlib.sha256(data).hexdigest()


def read(path: Path) -> bytes:
    """Return the npz bytes of a good checkpoint; raises :class:`BadCheckpoint`."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise BadCheckpoint(f"{path}: {fault.strerror}") from fault
    if len(data) < _HEAD.size:
        raise BadCheckpoint(f"{path}: {len(data)} bytes are no checkpoint")
    magic, digest, length = _HEAD.unpack_from(data)
    body = data[_HEAD.size :]
    if magic != MAGIC or length != len(body) or hashlib.sha256(body).digest() != digest:
        raise BadCheckpoint(f"{path}: cut off or changed")
    return body


def load(path: Path, trainer: Trainer) -> None:
    """Put the state of a good checkpoint into ``trainer``; raises :class:`BadCheckpoint`."""
    with np.load(io.BytesIO(read(path)), allow_pickle=False) as state:
        trainer.parameters = state["parameters"]
        trainer.momentum = state["momentum"]
        trainer.square = state["square"]
        trainer.step = int(state["step"])
        trainer.random.bit_generator.state = json.loads(state["random"].tobytes())


def steps(folder: Path) -> list[int]:
    """Return the steps for which any rank has a checkpoint, newest first."""
    return sorted((int(one.name[5:]) for one in folder.glob("step-*")), reverse=True)


def is_good(folder: Path, step: int, world: int) -> bool:
    """Tell whether every rank's checkpoint of ``step`` is there and whole."""
    try:
        for rank in range(world):
            read(path_of(folder, step, rank))
    except BadCheckpoint:
        return False
    return True


def latest_good(folder: Path, world: int) -> int | None:
    """Return the newest step at which the checkpoint of every rank is good, or None."""
    return next((step for step in steps(folder) if is_good(folder, step, world)), None)


def remove_older(folder: Path, rank: int, good: int) -> None:
    """Remove this rank's checkpoints that are older than the ``KEEP`` newest up to ``good``, which is good."""
    for step in [step for step in steps(folder) if step <= good][KEEP:]:
        path = path_of(folder, step, rank)
        path.unlink(missing_ok=True)
        try:
            path.parent.rmdir()
        except OSError:
            continue  # other ranks' are still there


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
