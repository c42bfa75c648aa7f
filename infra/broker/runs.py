"""Runs: each has a folder of its own for the broker's data, its log, and a note of the process that serves it."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from connectors.errors import WrongUse
from infra.settings import Settings

_NOTE = "broker.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Serving:
    """Which process serves a run; ``created`` tells it from a later one of the same process id (Unix seconds)."""

    run: str
    bootstrap: str
    version: str
    pid: int
    created: float
    owner: int | None


def runs_directory(settings: Settings) -> Path:
    """Return the folder that holds all runs."""
    return (settings.broker.directory or platformdirs.user_data_path("forestall")) / "runs"


def new_name(root: Path, now: float) -> str:
    """Return a name for a run that begins ``now`` (Unix seconds): its time, and a number where that is taken."""
    stem = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, 1000))
    return next(name for name in names if not (root / name).exists())


def require_name(name: str) -> str:
    """Return ``name`` when it can be a run's, for it becomes a folder."""
    if not _NAME.fullmatch(name):
        raise WrongUse(f"{name!r} cannot be a run's name: letters, digits, dot, dash and underscore, at most 100")
    return name


def known_runs(root: Path) -> list[str]:
    """Return the names of all runs, the one served last first."""
    if not root.is_dir():
        return []
    folders = [folder for folder in root.iterdir() if (folder / "server.properties").is_file()]
    return [folder.name for folder in sorted(folders, key=_last_served, reverse=True)]


def _last_served(folder: Path) -> int:
    return (folder / "server.properties").stat().st_mtime_ns


def prune(root: Path, keep: int) -> list[str]:
    """Remove all but the ``keep`` runs served last, never one that is being served; return the names removed."""
    removed = []
    for name in known_runs(root)[keep:]:
        if serving(root, name) is None:
            shutil.rmtree(root / name, ignore_errors=True)
            removed.append(name)
    return removed


def write_note(root: Path, note: Serving) -> None:
    """Note which process serves the run, in one step that a reader never sees half of."""
    path = root / note.run / _NOTE
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(note)), encoding="utf-8")
    fresh.replace(path)


def remove_note(root: Path, run: str) -> None:
    """Forget the process that served the run."""
    (root / run / _NOTE).unlink(missing_ok=True)


def serving(root: Path, run: str) -> Serving | None:
    """Return who serves the run, or None; the note of a process that is gone is removed."""
    try:
        note = Serving(**json.loads((root / run / _NOTE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        remove_note(root, run)
        return None
    if process_created(note.pid) == note.created:
        return note
    remove_note(root, run)
    return None


def all_serving(root: Path) -> list[Serving]:
    """Return every run that is being served, the one served last first."""
    return [note for name in known_runs(root) if (note := serving(root, name))]


def process_created(pid: int) -> float | None:
    """Return when the process began, in Unix seconds; None when it is gone or only waits to be reaped."""
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None
