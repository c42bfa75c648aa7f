"""Start the embedded broker for a run, wait until it answers, and end it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from connectors.errors import Failed, ForestallError, Unreachable
from infra import clock
from infra.broker import jars, runs, server
from infra.broker.java import KAFKA, archive_path, java_command, make_archive, use_archive
from infra.settings import Settings

START_S = 90.0
STOP_S = 25.0
_GUARD = Path(__file__).with_name("guard.py")
Say = Callable[[str], None]


def say_on_stderr(line: str) -> None:
    """Tell a person what goes on, beside whatever a program reads on stdout."""
    print(f"forestall: {line}", file=sys.stderr, flush=True)


@dataclass(frozen=True, slots=True)
class Broker:
    """A broker that answers. ``run``, ``pid`` and ``log`` are those of an embedded one, None of the user's own.

    ``process`` is the guard of a broker that ends with us; it ends when the broker does.
    """

    bootstrap: str
    version: str
    run: str | None = None
    pid: int | None = None
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None


@contextmanager
def embedded_broker(settings: Settings, *, run: str | None = None, say: Say = say_on_stderr) -> Iterator[Broker]:
    """Start a broker that lives as long as the block does, and no longer than this process.

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
    broker = _start(settings, run, say, detached=False)
    try:
        yield broker
    finally:
        stop_guarded(broker)
        if broker.run:
            runs.remove_note(runs.runs_directory(settings), broker.run)


def start_detached(settings: Settings, *, run: str | None = None, say: Say = say_on_stderr) -> Broker:
    """Start a broker that outlives this process, until ``stop_detached``."""
    return _start(settings, run, say, detached=True)


def _start(settings: Settings, run: str | None, say: Say, *, detached: bool) -> Broker:
    class_path = class_path_of(say)
    root = runs.runs_directory(settings)
    name = runs.require_name(run) if run else runs.new_name(root, clock.now())
    already = runs.serving(root, name)
    if already:
        raise Failed(f"the run {name} is served already, at {already.bootstrap} by process {already.pid}")
    port = server.choose_port(settings.broker.port)
    if port != settings.broker.port:
        say(f"port {settings.broker.port} is taken; the embedded broker listens on {port}")
    folder = root / name
    settings_file = _prepare(folder, port, class_path)
    runs.prune(root, settings.broker.keep_runs)
    command = java_command(class_path, use_archive(archive_path()), KAFKA, str(settings_file))
    log = folder / "broker.log"
    process, pid = _spawn_detached(command, log) if detached else spawn_guarded(command, log)
    broker = Broker(f"{server.HOST}:{port}", jars.KAFKA_VERSION, name, pid, log, None if detached else process)
    note = runs.Serving(
        run=name,
        bootstrap=broker.bootstrap,
        version=broker.version,
        pid=pid,
        created=runs.process_created(pid) or 0.0,
        owner=None if detached else os.getpid(),
    )
    runs.write_note(root, note)
    try:
        wait_until_ready(broker.bootstrap, process, log)
    except BaseException:
        end_process(process)
        runs.remove_note(root, name)
        raise
    return broker


def _prepare(folder: Path, port: int, class_path: Sequence[Path]) -> Path:
    """Write the run's settings and format its data folder where that is new; return the settings file."""
    folder.mkdir(parents=True, exist_ok=True)
    settings_file, data = folder / "server.properties", folder / "data"
    settings_file.write_text(server.properties(data, port, server.choose_port(0)), encoding="utf-8")
    server.format_data(data, settings_file, jars.cache_directory() / "formatted", class_path)
    return settings_file


def class_path_of(say: Say) -> list[Path]:
    """Return the verified jars; the first time, fetch them and make the archive that speeds up later starts."""
    found = jars.ready_jars(jars.cache_directory() / "jars", jars.listed(), jars.fetch_by_jgo, say)
    archive = archive_path()
    if not archive.exists():
        say("making the archive that lets Kafka start fast (once)")
        try:
            _train(found, archive)
        except (ForestallError, OSError, subprocess.SubprocessError) as fault:
            say(f"without it, since {fault}; each start takes some seconds longer")
            archive.mkdir(parents=True, exist_ok=True)  # stands for "tried": not a file, so never used
    return found


def _train(class_path: Sequence[Path], archive: Path) -> None:
    """Run a broker through its first seconds once, and keep the classes that it loaded."""
    from infra.broker.rehearsal import rehearse

    with tempfile.TemporaryDirectory(dir=archive.parent, prefix="training-") as temporary:
        folder = Path(temporary)
        fresh = folder / "start.aot"
        port = server.choose_port(0)
        settings_file = _prepare(folder, port, class_path)
        command = java_command(class_path, make_archive(fresh), KAFKA, str(settings_file))
        process, _ = spawn_guarded(command, folder / "broker.log")
        try:
            bootstrap = f"{server.HOST}:{port}"
            wait_until_ready(bootstrap, process, folder / "broker.log")
            rehearse(bootstrap)
        finally:
            process.terminate()
            process.wait(START_S)
            _close_pipes(process)
        fresh.replace(archive)


def spawn_guarded(command: Sequence[str], log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start ``command`` under the guard; return the guard and the command's own process id."""
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_GUARD), *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            start_new_session=True,
        )
    if process.stdout is None:
        raise Failed("the guard has no output to read its process id from")
    return process, int(process.stdout.readline())


def _spawn_detached(command: Sequence[str], log: Path) -> tuple[subprocess.Popen[bytes], int]:
    with log.open("ab") as sink:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True)
    return process, process.pid


def wait_until_ready(bootstrap: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the broker answers a metadata request; raise ``Failed`` when it ends or takes too long."""
    from connectors.kafka.admin import admin_client, broker_count

    deadline = clock.monotonic() + START_S
    while clock.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"Kafka ended while it started; the end of {log}:\n{_tail(log)}")
        with contextlib.suppress(Unreachable), admin_client(bootstrap, timeout_s=4.0) as client:
            if broker_count(client):
                return
        clock.sleep(0.02)
    raise Failed(f"Kafka did not answer within {START_S:.0f} s; the end of {log}:\n{_tail(log)}")


def _tail(log: Path, lines: int = 15) -> str:
    try:
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    except OSError as fault:
        return f"(it cannot be read: {fault})"


def stop_guarded(broker: Broker) -> None:
    """End a broker that was started under the guard, and wait until it is gone."""
    if broker.process is not None:
        end_process(broker.process)


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, wait, and insist where it does not."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _close_pipes(process)


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


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
