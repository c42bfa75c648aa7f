"""The child processes of a run, as command lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from connectors.signing import KeyFolder
from infra.settings import Alerts, Settings, Signing, assignments
from infra.supervisor import Part
from infra.up.plan import JOB, RANKS, Plan

WORKER = "worker"
_PYTHON = (sys.executable, "-P", "-m")
#: Seconds a step of the demonstration job takes, at least.
STEP_S = 0.1
#: The job stands back while the past is assessed: nothing waits for it then, and everything waits for the worker.
JOB_NICE = 5
Listener = Callable[[str, str], None]


def watched(part: Part, port: int) -> Part:
    """A part that tells Prometheus of itself on a port of its own."""
    words = ("--set", f"metrics.port={port}")
    return replace(part, command=(*part.command, *words), again=None if part.again is None else (*part.again, *words))


def command(settings: Settings, bootstrap: str, *words: str) -> tuple[str, ...]:
    """A command of ours with this run's settings.

    Each part is told of the keys that are its own; where alerts go is a secret, and no part of a run sends any.
    """
    given = [
        word
        for text in assignments(settings.model_copy(update={"signing": Signing(), "alerts": Alerts()}))
        for word in ("--set", text)
    ]
    return (*_PYTHON, "infra.cli.main", *words, "--brokers", bootstrap, *given)


def worker(settings: Settings, bootstrap: str, keys: KeyFolder, *, brings_ticks: bool = False) -> Part:
    """The worker, which signs; who replays (``brings_ticks``) puts the ticks itself."""
    ticks = ("--set", "worker.ticks=source") if brings_ticks else ()
    signing = ("--set", f"signing.key={keys.key}", "--set", f"signing.keyring={keys.keyring}")
    return Part(WORKER, (*command(settings, bootstrap, "worker"), *ticks, *signing))


def producers(plan: Plan, settings: Settings, bootstrap: str, listen: Listener, *, with_history: bool) -> list[Part]:
    """A producer for each source; what it says comes to ``listen`` with its name."""
    return [_producer(source, plan, settings, bootstrap, listen, with_history) for source in plan.sources]


def _producer(
    source: str, plan: Plan, settings: Settings, bootstrap: str, listen: Listener, with_history: bool
) -> Part:
    name, what = f"produce-{source}", [source]
    if plan.replay is not None:
        what = [source, str(plan.replay), "--speed", f"{plan.speed:g}"]
    elif source == "fleet":
        what = [source, "--nodes", str(len(plan.names))]
    words = (*command(settings, bootstrap, "produce", *what), "--events", "--json", "--wait-for-start")
    later = (*words, "--no-history")
    return Part(
        name,
        words if with_history else later,
        again=later,
        ends=True,
        listens=True,
        on_line=lambda line: listen(name, line),
    )


def cluster_agents(plan: Plan, settings: Settings, bootstrap: str, directory: Path, keys: KeyFolder) -> list[Part]:
    """A cluster agent for each node that runs a rank, and for each spare; they know the public keys alone."""
    if not plan.with_job:
        return []
    spec = job_file(directory)
    roles: list[tuple[str, tuple[str, ...]]] = [(node, ("--rank", str(rank))) for node, rank in plan.ranks.items()]
    roles += [(node, ("--spare",)) for node in plan.spares]
    return [
        Part(f"agent-{node}", agent(settings, bootstrap, node, role, spec, directory / "agents", keys), nice=JOB_NICE)
        for node, role in roles
    ]


def agent(
    settings: Settings, bootstrap: str, node: str, role: tuple[str, ...], spec: Path, agents: Path, keys: KeyFolder
) -> tuple[str, ...]:
    """The command line of the cluster agent of a node, which keeps what it must not forget below ``agents``."""
    return (
        *command(settings, bootstrap, "agent", "--node", node),
        *("--job-spec", str(spec), "--directory", str(agents / node)),
        *("--set", f"signing.keyring={keys.keyring}"),
        *role,
    )


def job_file(directory: Path) -> Path:
    """Write the file that says what may run on the nodes: the demonstration job, and nothing else."""
    training = [*_PYTHON, "experiments.training_job", "--directory", str(directory / "job"), "--step-s", str(STEP_S)]
    path = directory / "jobs.toml"
    # JSON's strings and arrays of strings are TOML's too.
    path.write_text(f"[jobs.{JOB}]\ncommand = {json.dumps(training)}\nworld = {RANKS}\n", encoding="utf-8")
    return path
