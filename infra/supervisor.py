"""Child processes that are kept running, and that never outlive whoever started them.

Each part is a process group of its own with its own log. One that dies is started again after a growing pause, and
that is said; one that cannot stay up is given up. The kernel tells a part to stop when its supervisor is killed, and
makes the supervisor the parent of whatever a part leaves behind, so that the last sweep finds it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from infra.logs import message_of

PAUSE_S_MIN = 0.25
PAUSE_S_MAX = 8.0
#: A part that lived this long before it died starts again with the shortest pause.
STEADY_S = 10.0
QUICK_DEATHS_MAX = 5
#: A wrong argument or setting (exit code 2) does not heal by starting again.
WRONG_USE = 2
#: Stands for the exit code of a part that could not even be started, as a shell says it.
NOT_STARTED = 127
TAIL_BYTES = 4_096
LINE_BYTES_MAX = 1 << 20
LAST_LINES_S = 1.0

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None

Say = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Part:
    """One child process: its command line, and whether it comes to its end by itself.

    ``again`` is the command line of its later lives where they differ. One that ``listens`` has a standard input, on
    which :meth:`Supervisor.tell` puts lines. ``on_line`` receives each line of its stdout; without it stdout goes to
    the log like stderr. ``nice`` is how far it stands back when every core is busy (0…19). ``ends_by`` is the signal
    that asks it to end.
    """

    name: str
    command: tuple[str, ...]
    again: tuple[str, ...] | None = None
    ends: bool = False
    listens: bool = False
    nice: int = 0
    ends_by: signal.Signals = signal.SIGTERM
    on_line: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A part that could not be kept up, how it ended last, and the last line of its log."""

    name: str
    code: int
    last_line: str
    log: Path

    def __str__(self) -> str:
        why = f"exit {self.code}" if self.code >= 0 else f"signal {signal.Signals(-self.code).name}"
        return f"{self.name} does not stay up ({why}): {self.last_line or 'nothing in its log'} [{self.log}]"


class Supervisor:
    """Starts parts, restarts those that die, and stops them in the order asked.

    Parameters
    ----------
    directory : Path
        Where each part's ``<name>.log`` goes.
    say : callable
        Told ``(part, what happened)`` for a person.
    environment : mapping
        The environment of the parts.
    """

    def __init__(self, directory: Path, say: Say, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._say = say
        self._environment = dict(environment)
        self._keepers: dict[str, _Keeper] = {}
        self._given_up: asyncio.Future[GivenUp] = asyncio.get_running_loop().create_future()
        adopt_orphans()

    @property
    def names(self) -> list[str]:
        """The parts that were started, in that order."""
        return list(self._keepers)

    def start(self, part: Part) -> None:
        """Start a part and keep it up from now on."""
        keeper = _Keeper(part, self._directory / f"{part.name}.log", self._say, self._environment, self._give_up)
        self._keepers[part.name] = keeper
        keeper.begin()

    def restarts(self, name: str) -> int:
        """How often a part was started again."""
        return self._keepers[name].restarts

    def pid(self, name: str) -> int | None:
        """The process of a part; None while there is none."""
        keeper = self._keepers.get(name)
        return keeper.pid if keeper else None

    def tell(self, name: str, line: str) -> None:
        """Put a line on the standard input of a part that listens; its later lives are told it too."""
        self._keepers[name].tell(line)

    async def given_up(self) -> GivenUp:
        """Wait for the first part that cannot be kept up."""
        return await asyncio.shield(self._given_up)

    def _give_up(self, what: GivenUp) -> None:
        if not self._given_up.done():
            self._given_up.set_result(what)

    async def ended(self, names: Iterable[str]) -> None:
        """Wait until these parts have come to their end by themselves or were stopped."""
        await asyncio.gather(*(self._keepers[name].over() for name in names if name in self._keepers))

    async def stop(self, names: Iterable[str], deadline_s: float) -> None:
        """SIGTERM these parts at once; SIGKILL the groups of those that are still there at the deadline."""
        keepers = [self._keepers[name] for name in names if name in self._keepers]
        await asyncio.gather(*(keeper.stop(deadline_s) for keeper in keepers))

    async def kill(self, name: str) -> None:
        """SIGKILL the process group of a part, as when its machine dies; it stays away until it is started anew."""
        await self._keepers[name].kill()

    async def close(self, deadline_s: float) -> None:
        """Stop whatever still runs, the last started first."""
        for name in reversed(self.names):
            await self.stop([name], deadline_s)


class _Keeper:
    """Keeps one part up."""

    def __init__(
        self,
        part: Part,
        log: Path,
        say: Say,
        environment: Mapping[str, str],
        give_up: Callable[[GivenUp], None],
    ) -> None:
        self.part = part
        self.log = log
        self.restarts = 0
        self._say = say
        self._environment = environment
        self._give_up = give_up
        self._process: asyncio.subprocess.Process | None = None
        self._told: list[bytes] = []
        self._trouble = ""
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The running process, if there is one."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    def begin(self) -> None:
        """Start keeping."""
        self._task = asyncio.get_running_loop().create_task(self._keep(), name=f"keep {self.part.name}")

    def tell(self, line: str) -> None:
        """Put a line on the part's standard input, now and in its later lives."""
        self._told.append(line.encode() + b"\n")
        if self.pid is not None:
            self._write(self._told[-1:])

    def _write(self, lines: list[bytes]) -> None:
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(ConnectionError):
                self._process.stdin.writelines(lines)

    async def over(self) -> None:
        """Wait until nothing is kept any more."""
        if self._task is not None:
            await asyncio.shield(self._task)

    async def stop(self, deadline_s: float) -> None:
        """TERM, then KILL at the deadline; nothing of its process group is left after it."""
        self._stopping.set()
        if self._task is None:
            return
        self._terminate()
        done, _ = await asyncio.wait({self._task}, timeout=deadline_s)
        if not done:
            self._say(self.part.name, f"did not stop within {deadline_s:g} s: killed")
        self._kill_group()
        await self._task

    async def kill(self) -> None:
        """End the part without a word of warning."""
        self._stopping.set()
        self._kill_group()
        await self.over()

    def _terminate(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, self.part.ends_by)

    def _kill_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _keep(self) -> None:
        loop, quick = asyncio.get_running_loop(), 0
        while not self._stopping.is_set():
            began = loop.time()
            code = await self._live(self.part.again or self.part.command if self.restarts else self.part.command)
            if self._stopping.is_set() or (self.part.ends and code == 0):
                return
            quick = quick + 1 if loop.time() - began < STEADY_S else 1
            if quick >= QUICK_DEATHS_MAX or code == WRONG_USE:
                self._give_up(GivenUp(self.part.name, code, self._trouble or last_line(self.log), self.log))
                return
            await self._pause(code, min(PAUSE_S_MAX, PAUSE_S_MIN * 2 ** (quick - 1)))
            self.restarts += 1

    async def _pause(self, code: int, seconds: float) -> None:
        ended = f"ended with exit {code}" if code >= 0 else f"was killed by {signal.Signals(-code).name}"
        self._say(self.part.name, f"{ended}; starting again in {seconds:g} s (log: {self.log})")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _live(self, command: tuple[str, ...]) -> int:
        """One life, or the attempt of one: that there is no process to be had counts as a death."""
        try:
            self._trouble = ""
            return await self._run(command)
        except OSError as fault:
            self._trouble = f"it cannot be started: {fault}"
            return NOT_STARTED

    async def _run(self, command: tuple[str, ...]) -> int:
        """One life of the part; returns its exit code (negative: the signal that ended it)."""
        async with contextlib.AsyncExitStack() as stack:
            log = stack.enter_context(self.log.open("ab", buffering=0))
            stdout = log.fileno()
            if self.part.on_line is not None:
                stdout = await stack.enter_async_context(_lines_to(self.part.on_line))
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE if self.part.listens else asyncio.subprocess.DEVNULL,
                stdout=stdout,
                stderr=log,
                env=self._environment,
                process_group=0,
                preexec_fn=_bind(os.getpid(), self.part.nice),
            )
            self._write(self._told)
            if self._stopping.is_set():
                self._terminate()
            return await self._process.wait()


@contextlib.asynccontextmanager
async def _lines_to(on_line: Callable[[str], None]) -> AsyncIterator[int]:
    """The writing end of a pipe whose lines are handed to ``on_line``.

    On leaving, what the part still wrote is read; a grandchild that holds the pipe open does not hold us.
    """
    reading, writing = os.pipe()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
    )
    listening = asyncio.create_task(_listen(reader, on_line))
    try:
        yield writing
    finally:
        os.close(writing)
        await asyncio.wait({listening}, timeout=LAST_LINES_S)
        transport.close()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _listen(reader: asyncio.StreamReader, on_line: Callable[[str], None]) -> None:
    """Hand out lines to the end; one longer than ``LINE_BYTES_MAX`` is left out, and the pipe never left unread."""
    while True:
        try:
            line = await reader.readline()
        except ValueError:
            continue
        if not line:
            return
        on_line(line.decode(errors="replace").rstrip("\n"))


def last_line(log: Path) -> str:
    """The last line of a log that says something; empty when there is none."""
    try:
        with log.open("rb") as text:
            text.seek(max(0, log.stat().st_size - TAIL_BYTES))
            lines = text.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((message_of(line.strip()) for line in reversed(lines) if line.strip()), "")


def _bind(parent: int, nice: int) -> Callable[[], None]:
    """What a new child runs before its program: stand back, and have the kernel send SIGTERM when its parent dies."""

    def bind() -> None:
        if nice:
            os.nice(nice)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return bind


def adopt_orphans() -> None:
    """Make this process the parent of whatever its descendants leave behind (Linux; elsewhere nothing happens)."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def sweep(deadline_s: float) -> int:
    """End every descendant that is still there: SIGTERM, then SIGKILL at the deadline; returns how many there were."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(left, timeout=deadline_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=deadline_s)
    return len(left)
