"""One node of the modelled cluster: its disk, its rank, and a cluster agent that may be killed before each step."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from memory_executor import MemoryExecutor

from connectors.executors import Launch, RankRecord
from infra.agent import effects as agent_effects
from infra.agent.effects import STARTS, Effects
from infra.agent.job_spec import JobSpec
from infra.agent.place import Place
from models.command_protocol import (
    CommandProtocol,
    Delivered,
    Durable,
    Execute,
    Failed,
    Finished,
    Kept,
    ProtocolEvent,
    Readmission,
    Record,
    Resumed,
    Staged,
    TimePassed,
)
from models.records import (
    TERMINAL_STAGES,
    Command,
    Membership,
    NodeFate,
    Outcome,
    Progress,
    digest_id,
)

if TYPE_CHECKING:
    from acting_world import Cluster

BEGAN = 1_763_942_400.0


class Clock:
    """What ``infra.agent.effects`` reads for the time: that of the machine which acts."""

    at = BEGAN


def clock_of_the_world(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have real effects read :class:`Clock`."""
    monkeypatch.setattr(agent_effects, "now", lambda: Clock.at)


class Killed(Exception):
    """The cluster agent was killed by -9 at the step that was drawn."""


@dataclass(slots=True)
class Save:
    """What a rank does about one CHECKPOINT."""

    step: int | None = None
    durable: bool = False


@dataclass(slots=True)
class Process:
    """A rank that lives: it outlives its cluster agent, and forgets all when it dies."""

    job: str
    rank: int
    world: int
    saves: dict[str, Save] = field(default_factory=dict)
    hung: bool = False


@dataclass(slots=True)
class Training:
    """How far a job really is; ``run`` counts how often it was begun anew from a checkpoint."""

    world: int
    step: int = 100
    run: int = 0


class DiskAndRank(MemoryExecutor):
    """The executor of a machine, with the places at which its cluster agent may be killed."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine.memory, machine.codes)
        self._machine = machine

    def start(self, launch: Launch) -> None:
        before = len(self._machine.codes)
        super().start(launch)
        if len(self._machine.codes) > before:
            self._machine.began(launch)

    def kill(self, by: str | None = None) -> None:
        if self.record is not None and by is not None:
            self._memory["rank"] = replace(self.record, ended_by=by)
        self._machine.point()
        if self.state() == "running" and by is not None and self.record is not None and by != self.record.order:
            self._machine.takes_effect(by, "ended")
        self._end(-9)
        self._machine.ended()
        self._machine.point()
        self.vacate()


class Machine:
    """One node: a disk, a rank perhaps, and a cluster agent while ``protocol`` is there."""

    def __init__(self, cluster: Cluster, node: str, job: JobSpec, rank: int | None) -> None:
        self.cluster, self.node, self.job, self.home = cluster, node, job.name, rank
        self.place = Place(node=node, job=job, rank=rank, directory=Path(node), brokers="", life_s=60.0, environment={})
        self.disk: list[Kept] = []
        self.unsent: dict[str, Outcome | NodeFate] = {}
        self.positions: Counter[str] = Counter()
        self.memory: dict[str, RankRecord] = {}
        self.codes: dict[int, int | None] = {}
        self.skew = 0.0
        self.cut = False
        self.dead = False
        self.kill_in: int | None = None
        self.protocol: CommandProtocol | None = None
        self.outbox: deque[Outcome | NodeFate] = deque()
        self.progress: Progress | None = None
        self.word: Membership | None = None
        self.mail: deque[ProtocolEvent] = deque()
        self.executor = DiskAndRank(self)
        self.effects = Effects(self.place, self.executor, self._ask, self.mail.clear, lambda line: None)
        self.start_agent()

    @property
    def now(self) -> float:
        return self.cluster.now + self.skew

    @property
    def process(self) -> Process | None:
        return self.cluster.processes.get((self.node, len(self.codes)))

    # -- the cluster agent, as infra.agent.cluster_agent

    def point(self) -> None:
        """A place at which kill -9 may come."""
        if self.kill_in is None:
            return
        if self.kill_in == 0:
            self.kill_in = None
            raise Killed
        self.kill_in -= 1

    def guarded(self, step: object) -> None:
        """Do something that the cluster agent does; it may be killed amid it."""
        Clock.at = self.now
        try:
            step()  # type: ignore[operator]
        except Killed:
            self.kill_agent()

    def start_agent(self) -> None:
        if self.protocol is None and not self.dead:
            self.protocol = CommandProtocol(self.node, self.disk, self.cluster.limits)
            self.disk = self.protocol.records()
            self.outbox = deque(self.unsent.values())
            self.progress, self.word = None, None
            self.mail.clear()
            self.guarded(self._begin)

    def kill_agent(self) -> None:
        self.protocol, self.kill_in = None, None

    def _begin(self) -> None:
        self._happened(Resumed(self.now))
        self._look_at_rank()
        is_free = self.protocol is not None and self.protocol.quarantined_by is None
        if self.executor.record is None and self.home is not None and is_free:
            self.effects.launch(self.home, order=None, step=None, world=None)
        self._announce()
        self._hello()

    def _hello(self) -> None:
        for command in self._open():
            if command.action == "CHECKPOINT":
                self._ask(command, self.now > command.expires_at)

    def _open(self) -> list[Command]:
        assert self.protocol is not None
        return self.protocol.open_commands()

    def look(self) -> None:
        if self.protocol is not None:
            self.guarded(self._look)

    def _look(self) -> None:
        self._happened(TimePassed(self.now))
        self._look_at_rank()

    def _look_at_rank(self) -> None:
        state, record = self.executor.state(), self.executor.record
        if record is not None and self._must_not_be(state, record):
            self.executor.kill(record.order)
            self._announce()
        elif state in {"ended", "died"}:
            self._rank_ended()

    def _must_not_be(self, state: str, record: RankRecord) -> bool:
        if self.protocol is None or record.order is None or self.protocol.stage(record.order) != "failed":
            return False
        return state == "running" or (record.ended_by == record.order and state in {"ended", "died"})

    def read(self, job: str, count: int) -> None:
        """Take in so many of the commands of a job; the position is written after each."""
        orders = self.cluster.orders.get(job, [])
        for _ in range(count):
            if self.protocol is None or self.positions[job] >= len(orders):
                return
            self.guarded(lambda: self._take(job, orders))

    def hear_forged(self, orders: Iterable[Command]) -> None:
        """Somebody without a key claims to be the next of these commands, or the last one."""
        for command in orders:
            forged = replace(command, node=self.node, generation=command.generation + 9, step=1)
            said = Delivered(forged, self.now, None, refused="bad-signature", digest=f"forged-{command.id}")
            if self.protocol is not None:
                self.guarded(lambda said=said: self._happened(said))

    def _take(self, job: str, orders: list[Command]) -> None:
        command = orders[self.positions[job]]
        if self._is_mine(command):
            self._happened(Delivered(command, self.now, self._rank_of(command)))
        self.point()
        self.positions[job] += 1

    def _is_mine(self, command: Command) -> bool:
        if command.node is not None:
            return command.node == self.node
        record = self.executor.record
        if record is None or record.state != "running" or record.job != command.job:
            return False
        if command.action == "RESIZE" and record.world == command.world:
            return False
        return not command.ranks or record.rank in command.ranks

    def _rank_of(self, command: Command) -> int | None:
        record = self.executor.record
        if command.action == "RESTORE" or record is None:
            return command.ranks[0] if command.ranks else None
        return record.rank

    def _happened(self, *events: ProtocolEvent) -> None:
        todo = deque(events)
        while todo:
            assert self.protocol is not None
            for one in self.protocol.handle(todo.popleft()):
                self.point()
                if isinstance(one, Record):
                    self.disk.append(one)
                    self.unsent[one.outcome.id] = one.outcome
                    self.point()
                    self.outbox.append(one.outcome)
                elif isinstance(one, Execute):
                    todo.extend(self._carry_out(one))
                    self.point()

    def _carry_out(self, execute: Execute) -> list[ProtocolEvent]:
        if execute.mode == "begin":
            self._look_at_rank()
        events = self.effects.carry_out(execute, self._open())
        self.point()
        if execute.command.action != "CHECKPOINT":
            self._announce()
        return events

    def _ask(self, command: Command, find: bool) -> None:
        """The rank learns of an order, and tells again what it has done for one that it knows."""
        process = self.process
        if process is None:
            return
        save = process.saves.get(command.id)
        if save is None and find:
            self.mail.append(Failed(command.id, self.now, "interrupted: the rank had not begun it in time"))
        elif save is None:
            process.saves[command.id] = Save()
            self.takes_effect(command.id, "asked")
        elif save.step is not None:
            self._tell(command.id, save)

    def _rank_ended(self) -> None:
        record = self.executor.record
        assert record is not None
        for command in self.effects.awaited_of_rank(self._open()):
            self._happened(Failed(command.id, self.now, "the rank has ended"))
        identity = digest_id("fate", self.node, record.rank, record.pid)
        fate = NodeFate(id=identity, job=record.job, node=self.node, at=self.now, state="failed")
        self.point()
        self.unsent[fate.id] = fate
        self.point()
        self.outbox.append(fate)
        self.executor.vacate()
        self._announce()

    def _announce(self) -> None:
        record = self.executor.record
        runs = record is not None and record.state == "running"
        quarantined = self.protocol is not None and self.protocol.quarantined_by is not None
        spare = not quarantined and (record is None or record.state == "returned")
        self.word = Membership(
            id=digest_id("word", self.node, self.now, len(self.cluster.log)),
            job=self.job,
            node=self.node,
            at=self.now,
            state="running" if runs else "spare" if spare else "vacated",
            rank=record.rank if record is not None and runs else None,
            world=(record.world or self.place.job.world) if record is not None and runs else None,
            min_nodes=self.place.job.min_nodes,
            replica_nodes=self.place.job.replica_nodes,
        )

    # -- what the rank says

    def listen(self) -> None:
        """The cluster agent takes in what its rank has said; what is said while it is not there is lost."""
        while self.mail and self.protocol is not None:
            said = self.mail.popleft()
            self.guarded(lambda said=said: self._happened(said))

    def progressed(self, step: int) -> None:
        if self.protocol is not None:
            self.guarded(lambda: self._progressed(step))

    def _progressed(self, step: int) -> None:
        record = self.executor.record
        assert record is not None
        for command in self._open():
            if command.action in STARTS and command.id == record.order:
                self._happened(Finished(command.id, self.now, command.step))
        self.progress = Progress(
            id=digest_id("progress", self.node, self.now),
            job=self.job,
            node=self.node,
            rank=record.rank,
            at=self.now,
            step=step,
            loss=1.0,
            step_s=0.5,
            load=0.0,
        )

    def work(self) -> None:
        """The rank goes one stage on with what it was asked to save: at the step that the ranks agreed on."""
        process = self.process
        if process is None or process.hung:
            return
        training = self.cluster.trainings[self.job]
        for command, save in process.saves.items():
            if save.durable:
                continue
            if save.step is None:
                save.step = self._agreed(command, training)
            else:
                save.durable = True
                self.cluster.saved.setdefault(command, {})[process.rank] = save.step
            self._tell(command, save)

    def _agreed(self, command: str, training: Training) -> int:
        """Ranks that are asked within one run of the training agree on a step; one that began anew knows of nothing."""
        for node, other in self.cluster.running(self.job):
            told = other.saves.get(command)
            if node != self.node and told is not None and told.step is not None:
                return told.step
        return training.step

    def _tell(self, command: str, save: Save) -> None:
        assert save.step is not None
        if self.protocol is None:
            return
        self.mail.append(Staged(command, self.now, save.step, 0.2, 1000))
        if save.durable:
            self.mail.append(Durable(command, self.now, save.step, 0.5, f"file:///{save.step}", "d"))

    # -- the log between this machine and the fold

    def flush(self, count: int) -> None:
        """So many of what waits here reach the decision log, and the cluster agent learns that they did."""
        for _ in range(count):
            if not self.outbox or self.protocol is None:
                break
            event = self.outbox.popleft()
            self.cluster.put(event)
            self.unsent.pop(event.id, None)

    def flush_words(self) -> None:
        """Progress and the word on the inventory reach the log; no order holds between them and the outcomes."""
        if self.word is not None:
            self.cluster.put(self.word)
        if self.progress is not None:
            self.cluster.put(self.progress)
        self.word, self.progress = None, None

    # -- what befalls the machine

    def takes_effect(self, command: str, what: str) -> None:
        """Something really happens for a command: that it was accepted is on the disk, and it has not expired."""
        (given,) = (one for one in self.cluster.commands_given if one.id == command)
        assert self.now <= given.expires_at, "begun after its expiry"
        told = (one.outcome for one in self.disk if isinstance(one, Record))
        assert any(one.command == command and one.stage != "received" for one in told), "not durable before its effect"
        self.cluster.effects[command, self.node, what] += 1

    def began(self, launch: Launch) -> None:
        """A process was really started."""
        training = self.cluster.trainings[self.job]
        assert launch.world is not None
        self.cluster.processes[self.node, len(self.codes)] = Process(self.job, launch.rank, launch.world)
        if launch.order is not None:
            self.takes_effect(launch.order, "started")
        if launch.step is not None:
            training.step, training.run, training.world = launch.step, training.run + 1, launch.world

    def ended(self) -> None:
        """The process is really gone."""
        self.cluster.processes.pop((self.node, len(self.codes)), None)
        self.mail.clear()

    def kill_rank(self, code: int = -9) -> None:
        """The rank dies by itself."""
        if self.process is not None:
            self.codes[len(self.codes)] = code
            self.ended()

    def die(self) -> None:
        """The whole machine is gone, as by a power failure."""
        self.kill_agent()
        self.kill_rank()
        self.dead = True

    def come_back(self, *, wiped: bool) -> None:
        """The machine is there again, with its disk, or as a new one that waits as a spare."""
        if not self.dead:
            return
        self.dead = False
        if wiped:
            self.disk, self.home = [], None
            self.place = replace(self.place, rank=None)
            self.unsent.clear()
            self.memory.clear()
            for job, orders in self.cluster.orders.items():
                self.positions[job] = len(orders)
        self.start_agent()

    def give_back(self) -> None:
        """The owner has looked at the node: it may be a spare again."""
        self.kill_agent()
        if not self.dead and self.executor.state() != "running":
            self.disk.append(Readmission(self.now))
            self.executor.readmit()
        self.start_agent()

    def ended_here(self, command: Command) -> bool:
        """Whether a command that this machine has taken in has ended here."""
        stage = self.protocol.stage(command.id) if self.protocol is not None else None
        return stage is None or stage in TERMINAL_STAGES
