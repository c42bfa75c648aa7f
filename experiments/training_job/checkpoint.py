"""Checkpoints that are good or absent: never half.

A file is ``magic, sha256 of the rest, length of the rest, the rest`` (the rest: numpy's npz). It is written under a
temporary name, fsynced, renamed, and its folder fsynced. So a file under its own name was complete when it got it, and
what a disk loses or changes later is found by the digest. A checkpoint of the job is good when every rank's is. All
ranks hold the same parameters, so a job of another size goes on from it: each rank takes any one's file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from experiments.training_job.network import Trainer

MAGIC = b"FSTLCKP1"
_HEAD = struct.Struct("<8s32sQ")
#: Good checkpoints that are kept.
KEEP = 2


class BadCheckpoint(Exception):
    """The file is not a whole checkpoint."""


@dataclass(frozen=True, slots=True)
class Good:
    """A good checkpoint of the job: its step, and how many ranks wrote it."""

    step: int
    world: int


def path_of(folder: Path, step: int, rank: int, world: int) -> Path:
    """Return where rank ``rank`` of ``world`` keeps its checkpoint of ``step``."""
    return folder / f"step-{step:010d}" / f"rank-{rank}-of-{world}.ckpt"


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
        lineage=np.frombuffer(trainer.lineage.encode(), np.uint8),
    )
    body = rest.getvalue()
    return _HEAD.pack(MAGIC, hashlib.sha256(body).digest(), len(body)) + body


def write(path: Path, data: bytes) -> str:
    """Put ``data`` durably at ``path``; return its sha256 in hexadecimal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        fresh.unlink(missing_ok=True)  # a full disk needs its room
        raise
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
        trainer.lineage = state["lineage"].tobytes().decode()


def steps(folder: Path) -> list[int]:
    """Return the steps for which any rank has a checkpoint, newest first."""
    return sorted((int(one.name[5:]) for one in folder.glob("step-*")), reverse=True)


def is_good(folder: Path, step: int, world: int) -> bool:
    """Tell whether every rank's checkpoint of ``step`` is there and whole."""
    try:
        for rank in range(world):
            read(path_of(folder, step, rank, world))
    except BadCheckpoint:
        return False
    return True


def latest_good(folder: Path, world: int) -> int | None:
    """Return the newest step at which the checkpoint of each of ``world`` ranks is good, or None."""
    return next((step for step in steps(folder) if is_good(folder, step, world)), None)


def to_take_up(folder: Path, world: int, wanted: int | None) -> Good | None:
    """Return the checkpoint that each of ``world`` ranks has to take up, or None if there is none.

    With ``wanted`` it is the newest that a job of this size wrote at that step or later, for that is where the other
    ranks are; in a job that has just changed its size there is none, and it is ``wanted`` itself, whoever wrote it.
    """
    if wanted is not None:
        own = latest_good(folder, world)
        if own is not None and own >= wanted:
            return Good(own, world)
    for step in steps(folder) if wanted is None else [wanted]:
        for writers in _worlds(folder, step):
            if is_good(folder, step, writers):
                return Good(step, writers)
    return None


def _worlds(folder: Path, step: int) -> list[int]:
    """Return the sizes of the jobs that wrote at ``step``, the last to do so first."""
    written: dict[int, float] = {}
    for path in (folder / f"step-{step:010d}").glob("rank-*-of-*.ckpt"):
        world = int(path.stem.rpartition("-")[2])
        written[world] = max(written.get(world, 0.0), path.stat().st_mtime)
    return sorted(written, key=lambda world: written[world], reverse=True)


def remove_older(folder: Path, rank: int, world: int, good: int) -> None:
    """Remove what is older than the ``KEEP`` newest checkpoints up to ``good``, which is good.

    Each of ``world`` ranks removes its own files, and its share of those of ranks that are no more.
    """
    for step in [step for step in steps(folder) if step <= good][KEEP:]:
        place = folder / f"step-{step:010d}"
        for path in place.glob("rank-*-of-*.ckpt"):
            if int(path.stem.split("-")[1]) % world == rank:
                path.unlink(missing_ok=True)
        try:
            place.rmdir()
        except OSError:
            continue  # other ranks' are still there


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
