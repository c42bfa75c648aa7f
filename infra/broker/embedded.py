"""Start the embedded broker for a run, keep it up, and end it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from connectors.errors import Failed
from infra import clock
from infra.broker import jars, runs, server
from infra.broker.archive import ensure_archive, make_by_rehearsal
from infra.broker.java import KAFKA, archive_path, java_command, use_archive
from infra.broker.keeper import Keeper
from infra.broker.processes import STOP_S, Say, end_process, say_on_stderr, spawn_detached, wait_until_ready
from infra.settings import Settings


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that answers; ``run``, ``pid`` and ``log`` are those of an embedded one, None of the user's own.

    ``given_up`` is set when an embedded one no longer stays up and is not started again.
    """

    bootstrap: str
    version: str
    run: str | None = None
    pid: int | None = None
    log: Path | None = None
    given_up: Event = field(default_factory=Event, compare=False)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A run that can be served: its folder has the broker's settings and a formatted data folder."""

    root: Path
    run: str
    port: int
    command: list[str]

    @property
    def bootstrap(self) -> str:
        return f"{server.HOST}:{self.port}"

    @property
    def log(self) -> Path:
        return self.root / self.run / "broker.log"

    def note(self, owner: int | None) -> Callable[[int], None]:
        """Return what writes down which process serves the run."""

        def write(pid: int) -> None:
            created = runs.process_created(pid) or 0.0
            runs.write_note(self.root, runs.Serving(self.run, self.bootstrap, jars.KAFKA_VERSION, pid, created, owner))

        return write

    def broker(self, pid: int | None) -> Broker:
        return Broker(self.bootstrap, jars.KAFKA_VERSION, self.run, pid, self.log)


@contextmanager
def embedded_broker(settings: Settings, *, run: str | None = None, say: Say = say_on_stderr) -> Iterator[Broker]:
    """Start a broker that lives as long as the block does, and no longer than this process.

    One that dies under us is started again at the same address, and that is said.

    Parameters
    ----------
    settings : ``broker.port`` is taken where it is free; ``broker.keep_runs`` runs are kept
    run : go on with this run, or begin it; None begins a new one
    say : told what a person should know, for example that the port was taken

    Raises
    ------
    Unreachable
        The jars are neither in the cache nor to be fetched.
    Failed
        A jar is not what it should be, the run is served already, or Kafka does not start.
    """
    prepared = _prepare(settings, run, say)
    keeper = Keeper(prepared.command, prepared.bootstrap, prepared.log, prepared.note(os.getpid()), say)
    try:
        keeper.start()
        yield replace(prepared.broker(keeper.pid), given_up=keeper.given_up)
    finally:
        keeper.stop()
        runs.remove_note(prepared.root, prepared.run)


def start_detached(settings: Settings, *, run: str | None = None, say: Say = say_on_stderr) -> Broker:
    """Start a broker that outlives this process, until ``stop_detached``."""
    prepared = _prepare(settings, run, say)
    process = spawn_detached(prepared.command, prepared.log)
    prepared.note(None)(process.pid)
    try:
        wait_until_ready(prepared.bootstrap, process, prepared.log)
    except BaseException:
        end_process(process)
        runs.remove_note(prepared.root, prepared.run)
        raise
    return prepared.broker(process.pid)


def _prepare(settings: Settings, run: str | None, say: Say) -> _Prepared:
    cache = jars.cache_directory()
    class_path = jars.ready_jars(cache / "jars", jars.listed(), jars.fetch_by_jgo, say)
    archive = archive_path()
    ensure_archive(archive, class_path, say, make_by_rehearsal)
    root = runs.runs_directory(settings)
    name = runs.require_name(run) if run else runs.new_name(root, clock.now())
    already = runs.serving(root, name)
    if already:
        raise Failed(f"the run {name} is served already, at {already.bootstrap} by process {already.pid}")
    port = server.choose_port(settings.broker.port)
    if port != settings.broker.port:
        say(f"port {settings.broker.port} is taken; the embedded broker listens on {port}")
    settings_file = server.prepare(root / name, port, class_path, cache / "formatted")
    runs.prune(root, settings.broker.keep_runs)
    command = java_command(class_path, use_archive(archive), KAFKA, str(settings_file))
    return _Prepared(root, name, port, command)


def stop_detached(note: runs.Serving, root: Path) -> None:
    """End a broker that another process started detached, and wait until it is gone."""
    import psutil

    try:
        process = psutil.Process(note.pid)
        process.terminate()
        process.wait(STOP_S)
    except psutil.TimeoutExpired:
        process.kill()
    except psutil.NoSuchProcess:
        pass
    runs.remove_note(root, note.run)
