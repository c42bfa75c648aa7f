"""Which executor runs the rank of a node: what the owner wrote under ``[executor]`` of the job file.

::

    [executor]
    kind = "script"                # process (default), dry-run or script
    start = ["/etc/forestall/start"]
    kill = ["/etc/forestall/kill"]
    state = ["/etc/forestall/state"]
    # optional: stop, quarantine, drain, readmit, timeout_s (60), state_every_s (5)
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from connectors.errors import WrongUse
from connectors.executors import Executor
from connectors.executors.script import Scripts
from infra.agent.node_state import SEEN
from infra.clock import now, sleep
from models.command_protocol import EFFECT_SECONDS_MAX

KINDS = ("process", "dry-run", "script")
_CALLS = {field.name for field in fields(Scripts) if field.type == "Sequence[str]"}
_NEEDED = {field.name for field in fields(Scripts) if field.default is MISSING}
_FOR = {"start": "started", "kill": "ended", "state": "looked at"}
#: An order that has not ended after this long has failed (``models.command_protocol``), so no command may take longer.
SECONDS_MAX = EFFECT_SECONDS_MAX
_KEYS = {"kind", *(field.name for field in fields(Scripts))}


def make_executor(
    kind: str | None,
    job_file: Path,
    directory: Path,
    node: str,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> Executor:
    """Make the executor of a node; ``kind`` None: the one that the job file names.

    Raises :class:`WrongUse` that lists every fault of the file's section.
    """
    section = _section(job_file)
    chosen = kind or section.get("kind", "process")
    faults = list(_faults(section, chosen))
    if faults:
        raise WrongUse(f"{job_file}, [executor]: " + "; ".join(faults))
    _keep_apart(directory, dry=chosen == "dry-run")
    if chosen == "script":
        from connectors.executors.script import ScriptExecutor

        scripts = Scripts(**{key: value for key, value in section.items() if key != "kind"})
        return ScriptExecutor(directory, node, scripts, environment, clock=now, sleep=sleep, say=say)
    if chosen == "dry-run":
        from connectors.executors.dry_run import DryRunExecutor

        return DryRunExecutor(directory)
    from connectors.executors.process import ProcessExecutor

    return ProcessExecutor(directory, sleep)


def _keep_apart(directory: Path, *, dry: bool) -> None:
    """What a dry run was told (a quarantine, say) must not bind a real cluster agent, nor the other way round."""
    marker = directory / "dry-run"
    if marker.exists() == dry:
        return
    if not dry or (directory / SEEN).exists():
        other = "a dry run" if not dry else "an agent that is no dry run"
        raise WrongUse(f"{directory} holds what {other} was told; give this one a --directory of its own")
    directory.mkdir(parents=True, exist_ok=True)
    marker.touch()


def _section(job_file: Path) -> dict[str, Any]:
    try:
        section = tomllib.loads(job_file.read_text(encoding="utf-8")).get("executor", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise WrongUse(f"the job file {job_file} cannot be read: {fault}") from None
    if not isinstance(section, dict):
        raise WrongUse(f"{job_file}: executor is {section!r}; it must be a section [executor]")
    return section


def _faults(section: Mapping[str, Any], chosen: object) -> Iterator[str]:
    if chosen not in KINDS:
        yield f"kind is {chosen!r}; it must be one of: {', '.join(KINDS)}"
    for key in sorted(section.keys() - _KEYS):
        yield f"there is no key {key!r}; there are: {', '.join(sorted(_KEYS))}"
    for key in sorted(_NEEDED - section.keys() if chosen == "script" else ()):
        yield f"{key} is missing: the command that a rank is {_FOR[key]} by, a list of words"
    for key in sorted(section.keys() & _CALLS):
        words = section[key]
        if not (isinstance(words, list) and words and all(isinstance(one, str) and one for one in words)):
            yield f"{key} is {words!r}; it must be a list of words, the program first"
    for key in sorted(section.keys() & {"timeout_s", "state_every_s"}):
        seconds = section[key]
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= SECONDS_MAX:
            yield f"{key} is {seconds!r}; it must be a number of seconds above 0, at most {SECONDS_MAX:.0f}"
