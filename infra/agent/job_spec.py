"""The file in which the owner of a node says what may run on it; nothing from Kafka ever becomes a command line.

::

    [jobs.demo]
    command = ["/opt/train/bin/python", "train.py"]
    world = 4                      # ranks of the job
    environment = { LR = "3e-4" }  # optional; added to the cluster agent's own
    min_nodes = 2                  # optional: rather than wait for a spare it goes on with this many, or more
    replica_nodes = 1              # with it: it can only shrink and grow by whole replicas of so many nodes
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import WrongUse

_KEYS = {"command", "world", "environment", "min_nodes", "replica_nodes"}


@dataclass(frozen=True, slots=True)
class JobSpec:
    """How a rank of one job is started here, how many ranks the job has, and to how few it may shrink (None: never)."""

    name: str
    command: tuple[str, ...]
    world: int
    environment: Mapping[str, str]
    min_nodes: int | None = None
    replica_nodes: int | None = None


def load_job(path: Path, name: str | None) -> JobSpec:
    """Read job ``name`` (None: the only one) from ``path``; raises :class:`WrongUse` that lists every fault of it."""
    try:
        jobs = tomllib.loads(path.read_text(encoding="utf-8")).get("jobs", {})
    except tomllib.TOMLDecodeError as fault:
        raise WrongUse(f"{path} is not valid TOML: {fault}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise WrongUse(f"the job file {path} cannot be read: {fault}") from None
    if not isinstance(jobs, dict) or not jobs:
        raise WrongUse(f"{path} names no job; write a section [jobs.NAME] with command and world")
    chosen = name or (next(iter(jobs)) if len(jobs) == 1 else None)
    if chosen is None or chosen not in jobs:
        asked = f"has no job {name!r}" if name else "has several jobs, choose one by --job"
        raise WrongUse(f"{path} {asked}; it has: {', '.join(jobs)}")
    faults = list(_faults(jobs[chosen]))
    if faults:
        raise WrongUse(f"{path}, [jobs.{chosen}]: " + "; ".join(faults))
    job = jobs[chosen]
    return JobSpec(
        chosen,
        tuple(job["command"]),
        job["world"],
        job.get("environment", {}),
        job.get("min_nodes"),
        job.get("replica_nodes", 1) if "min_nodes" in job else None,
    )


def _faults(job: object) -> list[str]:
    if not isinstance(job, dict):
        return [f"{job!r} is no section"]
    faults = [f"there is no key {key!r}; there are: {', '.join(sorted(_KEYS))}" for key in sorted(job.keys() - _KEYS)]
    command, world, environment = job.get("command"), job.get("world"), job.get("environment", {})
    if not (isinstance(command, list) and command and all(isinstance(word, str) for word in command)):
        faults.append(f"command is {command!r}; it must be a list of words, the program first")
    if isinstance(world, bool) or not isinstance(world, int) or world < 1:
        faults.append(f"world is {world!r}; it must be the number of ranks, at least 1")
    if not (isinstance(environment, dict) and all(isinstance(value, str) for value in environment.values())):
        faults.append(f"environment is {environment!r}; its values must be texts")
    return [*faults, *_faults_of_size(job)]


def _faults_of_size(job: Mapping[str, object]) -> Iterator[str]:
    world, least, replica = job.get("world"), job.get("min_nodes"), job.get("replica_nodes")
    if least is None and replica is not None:
        yield "replica_nodes says by how much it may shrink; min_nodes, to how few, is missing"
    for key, value in (("min_nodes", least), ("replica_nodes", replica)):
        if value is None:
            continue
        is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        if not is_count or (isinstance(world, int) and isinstance(value, int) and value > world):
            yield f"{key} is {value!r}; it must be a number of nodes, at least 1 and at most world"
