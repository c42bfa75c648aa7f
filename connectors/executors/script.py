"""The rank by commands of the node's owner: for clusters whose scheduler starts and ends ranks (Slurm, systemd, …).

What is run is what stands in the owner's file, word for word. What an order says (rank, step, reason) is checked and
then given as environment variables ``FORESTALL_*``, never as a word of a command line. Each command has a limit of
time, after which its whole process group is killed, and its output goes to a file, whose end is told when it fails.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, cast

from connectors.errors import Failed
from connectors.executors import Launch, RankRecord, RankState
from connectors.executors.record_file import RecordFile
from models.records import Command

#: How much of a command's output is told as the reason of a failure, and how much of an order's reason is passed on.
OUTPUT_CHARS_MAX, REASON_CHARS_MAX = 300, 200
PAUSE_SECONDS = 0.2
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_WORDS: Mapping[str, RankState] = {"running": "running", "ended": "ended", "died": "died"}
Call = Literal["start", "kill", "state", "stop", "quarantine", "drain", "readmit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripts:
    """The owner's commands, each a list of words.

    The last word that ``state`` prints is ``running``, ``ended`` (by itself, its work done) or ``died``. After a crash
    any of them may be run again for the same order: ``kill`` of a rank that is gone must not fail, and a second
    ``quarantine`` must add nothing. Without ``stop`` the rank goes on when its cluster agent ends; without
    ``quarantine``, ``drain`` or ``readmit`` nobody but the agent knows of it. ``timeout_s`` is the limit of each (s),
    and ``state_every_s`` how often the state is asked for at most.
    """

    start: Sequence[str]
    kill: Sequence[str]
    state: Sequence[str]
    stop: Sequence[str] = ()
    quarantine: Sequence[str] = ()
    drain: Sequence[str] = ()
    readmit: Sequence[str] = ()
    timeout_s: float = 60.0
    state_every_s: float = 5.0


class ScriptExecutor:
    """Keeps its record in ``directory/rank.json``, and what a command printed last in ``directory/script-NAME.log``.

    Parameters
    ----------
    node, environment:
        The node's name, and the environment in which commands are run.
    clock, sleep:
        Tell the time in Unix seconds, and wait for a number of seconds.
    say:
        Is told, once, when the state of the rank cannot be learned any more.
    """

    def __init__(
        self,
        directory: Path,
        node: str,
        scripts: Scripts,
        environment: Mapping[str, str],
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        self._directory, self._node, self._scripts, self._environment = directory, node, scripts, environment
        self._clock, self._sleep, self._say = clock, sleep, say
        self._file = RecordFile(directory / "rank.json")
        self._answer: RankState = "running"
        self._asked_at: float | None = None
        self._in_doubt = False

    @property
    def record(self) -> RankRecord | None:
        """What is remembered of the rank."""
        return self._file.record

    def start(self, launch: Launch) -> None:
        """Run ``start``; raises :class:`Failed` with its output, after ``kill``, so that nothing half begun runs on."""
        before = self.record
        if before is not None and self._ask() == "running":
            if launch.order is not None and before.order == launch.order:
                return
            raise Failed(f"rank {before.rank} of {before.job} runs here already")
        told = {**launch.environment, "FORESTALL_COMMAND_LINE": shlex.join(launch.command)}
        if launch.order is not None:
            told["FORESTALL_ORDER"] = _name(launch.order)
        record = RankRecord(
            state="running",
            job=launch.job,
            rank=launch.rank,
            order=launch.order,
            born=self._clock(),
            world=launch.world,
            step=launch.step,
        )
        self._file.remember(record)  # before: where the agent dies now, the next one finds what it had begun
        try:
            self._run("start", told)
        except Failed:
            with suppress(Failed):
                self._run("kill", self._of_rank(record))
            self._file.remember(before)
            raise
        self._answer, self._asked_at = "running", self._clock()

    def state(self) -> RankState:
        """Ask ``state``, unless that was done a moment ago; what cannot be learned stays as it was."""
        record = self.record
        if record is None or record.state != "running":
            return "none" if record is None else record.state
        if self._asked_at is None or abs(self._clock() - self._asked_at) >= self._scripts.state_every_s:
            return self._ask()
        return self._answer

    def exit_code(self) -> int | None:
        """Nobody can know."""
        return None

    def kill(self, by: str | None = None) -> None:
        """Run ``kill`` and wait until ``state`` says that the rank is gone; raises :class:`Failed` where it is not."""
        if self.record is not None and by is not None and self.record.ended_by != by:
            self._file.remember(replace(self.record, ended_by=by))
        self._end("kill", "vacated")

    def stop(self, grace_s: float) -> None:
        """Run ``stop``, where there is one."""
        if self._scripts.stop:
            self._end("stop", "stopped")

    def vacate(self) -> None:
        """Remember that no rank belongs here any more."""
        if self.record is not None and self.record.state != "vacated":
            self._file.remember(replace(self.record, state="vacated", born=None))

    def checkpoint(self, command: Command) -> None:
        """The rank may be asked: it calls the cluster agent, whoever started it."""

    def set_aside(self, command: Command) -> None:
        """Run ``quarantine`` or ``drain``, where there is one."""
        call: Call = "drain" if command.action == "DRAIN" else "quarantine"
        if not self._words(call):
            return
        told = {} if self.record is None else self._of_rank(self.record)
        reason = "".join(one if one.isprintable() else " " for one in command.reason.rule)[:REASON_CHARS_MAX]
        self._run(call, {**told, "FORESTALL_ORDER": _name(command.id), "FORESTALL_REASON": reason})

    def readmit(self) -> None:
        """Run ``readmit``, where there is one, and remember that the node may take a rank."""
        if self._scripts.readmit:
            self._run("readmit", {} if self.record is None else self._of_rank(self.record))
        if self.record is not None and self.record.state == "vacated":
            self._file.remember(replace(self.record, state="returned"))

    def _end(self, call: Call, then: RankState) -> None:
        record = self.record
        if record is None or record.state != "running":
            return
        began = self._clock()
        if self._ask() == "running":
            self._run(call, self._of_rank(record))
        while self._ask() == "running":
            if not 0 <= self._clock() - began < self._scripts.timeout_s:
                raise Failed(f"rank {record.rank} of {record.job} still runs after `{call}`")
            self._sleep(PAUSE_SECONDS)
        self._file.remember(replace(record, state=then, born=None))

    def _ask(self) -> RankState:
        """What ``state`` says now; it is believed only where it ends well with a word that is known."""
        record = self.record
        if record is None or record.state != "running":
            return "none" if record is None else record.state
        try:
            answer = _word_of(self._run("state", self._of_rank(record)))
        except Failed as fault:
            if not self._in_doubt:
                self._say(f"how rank {record.rank} of {record.job} is cannot be learned: {fault}")
            self._in_doubt = True
        else:
            self._in_doubt = False
            self._answer = answer
        self._asked_at = self._clock()
        return self._answer

    def _of_rank(self, record: RankRecord) -> dict[str, str]:
        told = {"FORESTALL_JOB": record.job, "FORESTALL_RANK": str(record.rank)}
        return told if record.order is None else {**told, "FORESTALL_ORDER": record.order}

    def _words(self, call: Call) -> Sequence[str]:
        return cast(Sequence[str], getattr(self._scripts, call))

    def _run(self, call: Call, told: Mapping[str, str]) -> str:
        """Run one command to its end and return what it printed; raises :class:`Failed` with the end of that."""
        log = self._directory / f"script-{call}.log"
        environment = {**self._environment, **told, "FORESTALL_NODE": self._node}
        try:
            output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            try:
                child = subprocess.Popen(
                    list(self._words(call)),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=environment,
                    start_new_session=True,
                )
            finally:
                os.close(output)
        except (OSError, ValueError) as fault:
            raise Failed(f"`{call}` cannot be run: {fault}") from fault
        try:
            code = child.wait(self._scripts.timeout_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise Failed(
                f"`{call}` had not ended after {self._scripts.timeout_s:g} s and was killed; {_printed(log)}"
            ) from None
        if code != 0:
            raise Failed(f"`{call}` ended with exit code {code}; {_printed(log)}")
        return _tail(log)


def _tail(log: Path) -> str:
    with log.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4 * OUTPUT_CHARS_MAX))
        return file.read(4 * OUTPUT_CHARS_MAX).decode(errors="replace")


def _printed(log: Path) -> str:
    """The end of what a command printed, on one line."""
    words = " ".join("".join(one if one.isprintable() else " " for one in _tail(log)).split())
    return f"it printed: {words[-OUTPUT_CHARS_MAX:]}" if words else "it printed nothing"


def _word_of(printed: str) -> RankState:
    word = next(reversed(printed.split()), "")
    if word not in _WORDS:
        raise Failed(f"`state` said {word[:40]!r}; it must say one of: {', '.join(_WORDS)}")
    return _WORDS[word]


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise Failed(f"{text[:80]!r} is no name: letters, digits, '.', '_' and '-' alone")
    return text
