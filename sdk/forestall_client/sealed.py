"""Checkpoint directories that are good or absent, never half: files, and a *seal* of each rank, written last.

A checkpoint of a step is one directory, ``step-<step>-<attempt>``: no second attempt at a step writes into the first
one's. (A framework that writes where it likes makes ``checkpoint-<step>``.) When a rank's files are complete and on the
disk, it writes ``rank-<rank>.seal``: the sha256 of the rest, then JSON with the step, the world, and size and sha256 of
each of its files. The seal appears by a rename, after an fsync. A checkpoint is good when the seal of every rank of its
world is there, and every file is as its seal says: so a checkpoint that was interrupted at any byte, or changed
afterwards, is never taken for a good one.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

VERSION = 1
#: Good checkpoints that are kept.
KEEP = 2
#: A seal is small; more than this is none.
SEAL_BYTES_MAX = 16 * 1024 * 1024
_DIRECTORY = re.compile(r"(?:step|checkpoint)-(\d+)(?:-[0-9a-f]+)?")
_SEAL = re.compile(r"rank-\d+\.(?:seal|\d+\.tmp)")
_CHUNK_BYTES = 1024 * 1024


class NotGood(Exception):
    """The checkpoint is not whole; the message says what is missing or changed."""


class Checkpoint(NamedTuple):
    """A checkpoint directory and the step of it."""

    step: int
    path: Path


def name_of(step: int) -> str:
    """Return a name for one attempt at a checkpoint of ``step``: it was never used before."""
    return f"step-{step:010d}-{os.urandom(4).hex()}"


def seal(path: Path, step: int, rank: int, world: int, files: Iterable[Path]) -> str:
    """Bring ``files`` below ``path`` to the disk and write the seal of ``rank``; return the seal's digest."""
    listed = {str(one.relative_to(path)): _facts(one) for one in sorted(files)}
    for folder in {one.parent for one in (path / name for name in listed)} | {path}:
        _sync(folder)
    told = json.dumps(
        {"v": VERSION, "step": step, "rank": rank, "world": world, "files": listed}, sort_keys=True
    ).encode()
    digest = hashlib.sha256(told).hexdigest()
    fresh = path / f"rank-{rank}.{os.getpid()}.tmp"
    with fresh.open("wb") as file:
        file.write(digest.encode() + b"\n" + told)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path / f"rank-{rank}.seal")
    _sync(path)
    _sync(path.parent)
    return digest


def seal_share(path: Path, step: int, rank: int, world: int) -> str:
    """Seal this rank's share of all files below ``path``, when every rank has written what it writes."""
    files = sorted(one for one in path.rglob("*") if one.is_file() and not _SEAL.fullmatch(one.name))
    return seal(path, step, rank, world, files[rank::world])


def bytes_below(path: Path) -> int:
    """Return the bytes of all files below ``path``."""
    return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())


def all_seals(path: Path) -> list[dict[str, Any]]:
    """Return what the seal of every rank says, in the order of the ranks; raises :class:`NotGood`."""
    first = _read_seal(path, 0)
    step = _step_of(path)
    seals = [first, *(_read_seal(path, rank) for rank in range(1, first["world"]))]
    for rank, one in enumerate(seals):
        if (one["rank"], one["world"]) != (rank, first["world"]) or one["step"] != first["step"]:
            raise NotGood(f"{path}: the seals of its ranks are not of one checkpoint")
    if step is not None and step != first["step"]:
        raise NotGood(f"{path}: its seals are of step {first['step']}")
    return seals


def require_good(path: Path) -> int:
    """Read every byte of the checkpoint and return its step; raises :class:`NotGood`."""
    seals = all_seals(path)
    for one in seals:
        for name, facts in one["files"].items():
            try:
                there = _facts(path / name, sync=False)
            except OSError as fault:
                raise NotGood(f"{path / name}: {fault.strerror}") from fault
            if there != facts:
                raise NotGood(f"{path / name}: cut off or changed")
    return int(seals[0]["step"])


def found(directory: Path) -> list[Checkpoint]:
    """Return the directories of all checkpoints and attempts, newest step first."""
    return sorted(_found(directory), key=lambda one: (-one.step, one.path.name))


def newest_good(directory: Path) -> Checkpoint | None:
    """Return the newest good checkpoint in ``directory``, or None; every byte of it was read."""
    for one in found(directory):
        with contextlib.suppress(NotGood):
            require_good(one.path)
            return one
    return None


def remove_older(directory: Path, keep: int = KEEP) -> None:
    """Remove what is older than the ``keep`` newest sealed checkpoints, and what was broken off before the newest."""
    sealed = [one for one in found(directory) if _is_sealed(one.path)][:keep]
    if not sealed:
        return
    for one in found(directory):
        if one.step <= sealed[0].step and one not in sealed:
            shutil.rmtree(one.path, ignore_errors=True)


def _found(directory: Path) -> Iterator[Checkpoint]:
    for path in directory.glob("*-*"):
        if (step := _step_of(path)) is not None:
            yield Checkpoint(step, path)


def _step_of(path: Path) -> int | None:
    told = _DIRECTORY.fullmatch(path.name)
    return None if told is None else int(told[1])


def _is_sealed(path: Path) -> bool:
    try:
        all_seals(path)
    except NotGood:
        return False
    return True


def _read_seal(path: Path, rank: int) -> dict[str, Any]:
    try:
        with (path / f"rank-{rank}.seal").open("rb") as file:
            digest, _, told = file.read(SEAL_BYTES_MAX).partition(b"\n")
    except OSError as fault:
        raise NotGood(f"{path}: no seal of rank {rank} ({fault.strerror})") from fault
    if hashlib.sha256(told).hexdigest().encode() != digest:
        raise NotGood(f"{path}: the seal of rank {rank} is cut off or changed")
    said: dict[str, Any] = json.loads(told)
    if said.get("v") != VERSION:
        raise NotGood(f"{path}: the seal of rank {rank} is of version {said.get('v')}, and this reads {VERSION}")
    return said


def _facts(path: Path, sync: bool = True) -> list[Any]:
    """Return size and sha256 of a file; with ``sync`` it is on the disk afterwards."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
        if sync:
            os.fsync(file.fileno())
    return [size, digest.hexdigest()]


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
