"""What a cluster agent does to its rank and node for a command: each is begun once, and found again after a crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.errors import Failed as EffectFailed
from connectors.executors import Executor, Launch
from infra.agent.place import Place
from infra.clock import now
from models.command_protocol import Execute, Failed, Finished, ProtocolEvent
from models.records import Action, Command

Say = Callable[[str], None]
#: Commands that are done with the first step of the rank that they start.
STARTS: frozenset[Action] = frozenset({"RESTORE", "RESIZE"})


@dataclass(slots=True)
class Told:
    """What the rank that runs here has told of itself."""

    step: int | None = None
    resumed_from: int | None = None
    finished: bool = False


class Effects:
    """Carries commands out by ``executor``.

    ``order`` hands a checkpoint order to the rank (True: it is only to say what it has done of it); ``unhear`` is
    called when a rank begins: whatever an earlier one said is of no account any more.
    """

    def __init__(
        self,
        place: Place,
        executor: Executor,
        order: Callable[[Command, bool], None],
        unhear: Callable[[], None],
        say: Say,
    ) -> None:
        self._place, self._executor, self._say = place, executor, say
        self._order, self._unhear = order, unhear
        self.told = Told()

    def carry_out(self, execute: Execute, open_commands: Sequence[Command]) -> list[ProtocolEvent]:
        """Begin, or find and finish, what is asked for; what has no answer yet is answered by the rank."""
        command = execute.command
        try:
            match command.action:
                case "CHECKPOINT":
                    return self._checkpoint(execute)
                case "MIGRATE":
                    return self._migrate(execute, open_commands)
                case "RESTORE":
                    return self._restore(execute)
                case "RESIZE":
                    return self._resize(execute, open_commands)
                case "QUARANTINE":
                    self._executor.set_aside(command)
                    return [Finished(command.id, now(), self.told.step)]
                case "DRAIN":
                    return self._drain(command, open_commands)
        except EffectFailed as fault:
            return [Failed(command.id, now(), str(fault))]

    def launch(self, rank: int, *, order: str | None, step: int | None, world: int | None) -> None:
        """Start a rank of this node's job, from the checkpoint of ``step``, one of ``world`` (None: of the file's)."""
        place = self._place
        world = world or place.job.world
        environment = place.environment_of(rank, step, world)
        self.told = Told()
        self._unhear()
        self._executor.start(
            Launch(
                job=place.job.name,
                rank=rank,
                command=place.job.command,
                environment=environment,
                order=order,
                world=world,
                step=step,
            )
        )
        where = f" from step {step}" if step is not None else ""
        self._say(f"rank {rank} of {world} of {place.job.name} is started{where}")

    def awaited_of_rank(self, open_commands: Sequence[Command]) -> list[Command]:
        """Return the open commands that end with the rank that runs here."""
        record = self._executor.record
        return [
            one
            for one in open_commands
            if one.action == "CHECKPOINT" or (one.action in STARTS and record is not None and record.order == one.id)
        ]

    def _checkpoint(self, execute: Execute) -> list[ProtocolEvent]:
        """Hand the order to the rank. One that is not there yet gets it when it calls."""
        if self._executor.state() != "running":
            raise EffectFailed("no rank runs here" if execute.mode == "begin" else "interrupted: the rank has ended")
        self._executor.checkpoint(execute.command)
        self._order(execute.command, execute.mode == "find")
        return []

    def _migrate(self, execute: Execute, open_commands: Sequence[Command]) -> list[ProtocolEvent]:
        """Kill the rank for real, or find that it is gone."""
        command = execute.command
        self._require_rank(command)
        if execute.mode == "find" and self._executor.state() == "running":
            raise EffectFailed("interrupted: the command expired before the rank was killed")
        ended = self._end_rank(command, open_commands, "the rank was migrated away")
        return [Finished(command.id, now(), self.told.step), *ended]

    def _drain(self, command: Command, open_commands: Sequence[Command]) -> list[ProtocolEvent]:
        """Set the node aside and kill its rank, if there is one; both may be done again and add nothing."""
        self._executor.set_aside(command)
        ended: list[ProtocolEvent] = []
        if self._place.own(self._executor.record) is not None:
            ended = self._end_rank(command, open_commands, "the rank was drained away")
        return [Finished(command.id, now(), self.told.step), *ended]

    def _end_rank(self, command: Command, open_commands: Sequence[Command], why: str) -> list[ProtocolEvent]:
        awaited = self.awaited_of_rank(open_commands)
        self._executor.kill(command.id)
        return [Failed(one.id, now(), why) for one in awaited]

    def _restore(self, execute: Execute) -> list[ProtocolEvent]:
        """Start the rank from the checkpoint, once; its first new step is what finishes the command."""
        command = execute.command
        if self._has_started(command):
            return []
        if execute.mode == "find":
            raise EffectFailed("interrupted: the command expired before the rank was started")
        if len(command.ranks) != 1:
            raise EffectFailed(f"one rank can be restored on a node, not {list(command.ranks)}")
        self._start(command, command.ranks[0])
        return []

    def _resize(self, execute: Execute, open_commands: Sequence[Command]) -> list[ProtocolEvent]:
        """End the rank, and start it under its new number, once; its first new step is what finishes the command."""
        command, record = execute.command, self._executor.record
        if self._has_started(command):
            return []
        self._require_rank(command)
        ended_by_us = record is not None and record.ended_by == command.id
        if execute.mode == "find":
            if ended_by_us:  # what was half ended is ended, so that it does not look like a failure of the node
                self._executor.kill(command.id)
            raise EffectFailed(
                f"interrupted: the command expired before the rank was {'started' if ended_by_us else 'ended'}"
            )
        if not ended_by_us and self._executor.state() != "running":
            raise EffectFailed("interrupted: the rank has ended")
        if record is None or record.rank not in command.ranks:
            raise EffectFailed("it names no ranks that go on")
        rank = command.ranks.index(record.rank)
        self._require_sound(command, rank)
        ended = self._end_rank(command, open_commands, "the rank begins again in a job of another size")
        self._start(command, rank)
        return ended

    def _has_started(self, command: Command) -> bool:
        """Tell whether the rank that this command starts runs; raises where it was started and has ended."""
        record = self._executor.record
        if record is None or record.order != command.id:
            return False
        if self._executor.state() != "running":
            raise EffectFailed("interrupted: the rank has ended before its first step")
        return True

    def _start(self, command: Command, rank: int) -> None:
        self._require_sound(command, rank)
        self.launch(rank, order=command.id, step=command.step, world=command.world)

    def _require_rank(self, command: Command) -> None:
        record = self._executor.record
        if record is None or record.job != command.job or (command.ranks and record.rank not in command.ranks):
            raise EffectFailed(f"rank {list(command.ranks)} of {command.job} does not run here")

    def _require_sound(self, command: Command, rank: int) -> None:
        """Hold what a command says of the job's size against the job file, before anything is ended or started."""
        job = self._place.job
        world = job.world if command.world is None else command.world
        if not max(1, len(command.ranks)) <= world <= job.world or not 0 <= rank < world:
            last = job.world - 1
            raise EffectFailed(
                f"ranks {list(command.ranks)} of {world} cannot be: the job file has the ranks 0 to {last}"
            )
