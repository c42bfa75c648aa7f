"""The cluster agent: one loop that takes in commands, the rank's words and time, and carries instructions out.

Everything that decides is in :mod:`models.command_protocol`; everything here is done in the loop's thread, in the order
in which the protocol says it: what is recorded is durable before the effect that follows it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from connectors.errors import Failed as EffectFailed
from connectors.executors import Executor, RankState
from connectors.seen_set import SeenSet
from connectors.signing import Keyring
from infra.agent.command_reader import CommandReader, Judged, Positions
from infra.agent.effects import STARTS, Effects
from infra.agent.node_state import POSITIONS, SEEN
from infra.agent.place import Place
from infra.agent.publisher import Publisher
from infra.agent.rank_server import RankServer, loss_of, socket_path
from infra.clock import monotonic, now
from infra.metrics.reasons import refusal
from models.command_protocol import (
    Abandon,
    CommandProtocol,
    Delivered,
    Durable,
    Execute,
    Failed,
    Finished,
    Instruction,
    ProtocolEvent,
    Record,
    Resumed,
    Staged,
    TimePassed,
)
from models.records import Command, InventoryNode, NodeFate, Progress, digest_id

LOOK_SECONDS = 0.2
PROGRESS_SECONDS_MIN = 1.0
#: How long a rank has to end by itself when its cluster agent is stopped, and what else may take time then.
RANK_GRACE_SECONDS = 2.0
LAST_WORDS_SECONDS = 3.0
#: Records that were read and not yet taken in; the reader waits when there are as many.
HEARD_MAX = 1_000
#: What a rank gives as its reason is cut to so many characters.
REASON_MAX = 500

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class _Heard:
    """A record of the command topic; ``judged`` is None where nobody can read it."""

    partition: int
    offset: int
    judged: Judged | None


@dataclass(frozen=True, slots=True)
class _Said:
    """A message of the rank, and the life of the rank that said it."""

    life: int
    message: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Settled:
    """Events that have reached the decision log."""

    ids: list[str]


_Item = _Heard | _Said | _Settled | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a cluster agent stands, for whoever watches it.

    ``outcomes`` by stage and ``refused`` by stage and reason are since it was started; ``waiting`` outcomes have not
    reached the decision log; ``has_room`` says that commands are taken up, ``reads`` that it reads them.
    """

    outcomes: Mapping[str, int]
    refused: Mapping[tuple[str, str], int]
    unreadable: int
    not_taken_up: int
    waiting: int
    runs: bool
    has_room: bool
    reads: bool


class ClusterAgent:
    """Carries out the commands of one node that ``keyring`` trusts; :meth:`run` returns when :meth:`stop` was called.

    Raises :class:`connectors.errors.WrongUse` where a rank of another job still runs.
    """

    def __init__(self, place: Place, executor: Executor, keyring: Keyring, say: Say) -> None:
        place.require_own(executor.record, executor.state())
        self._place, self._executor, self._keyring, self._say = place, executor, keyring, say
        self._items: queue.SimpleQueue[_Item] = queue.SimpleQueue()
        self._room = threading.Semaphore(HEARD_MAX)
        self._stopping = False
        self._seen = SeenSet(place.directory / SEEN)
        self._protocol = CommandProtocol(place.node, self._seen.records, place.limits)
        self._seen.compact(self._protocol.records())
        self._positions = Positions(place.directory / POSITIONS)
        self._effects = Effects(place, executor, self._order, lambda: self._ranks.next_life(), say)
        self._counts: Counter[str] = Counter()
        self._refused: Counter[tuple[str, str]] = Counter()
        self._outside: tuple[CommandReader, Publisher] | None = None
        self.turned_at = monotonic()
        self._not_taken_up = 0
        self._last_progress = 0.0
        self._next_look = 0.0

    def stop(self) -> None:
        """Have :meth:`run` end the rank and return; may be called from a signal handler."""
        self._stopping = True
        self._items.put(None)

    def run(self) -> dict[str, Any]:
        """Work until stopped; return what was done."""
        place = self._place
        self._ranks = RankServer(
            socket_path(place.directory), lambda life, message: self._items.put(_Said(life, message))
        )
        self._publisher = Publisher(place.brokers, lambda ids: self._items.put(_Settled(ids)), self._say)
        self._publisher.tell(self._seen.pending())
        self._begin()
        reader = CommandReader(place.brokers, self._keyring, self._positions, place.life_s, self._heard, self._say)
        self._outside = reader, self._publisher
        try:
            while not self._stopping:
                self._turn()
        except BaseException:
            self._leave(reader, 1.0)  # as a crash does: the rank lives on, and is taken over by the next agent
            raise
        unsent = self._end(reader)
        return {
            "node": place.node,
            "outcomes": dict(self._counts),
            "unreadable": reader.unreadable,
            "untold": self._protocol.untold,
            "not_taken_up": self._not_taken_up + self._protocol.not_taken_up,
            "unsent": unsent,
            "last_step": self._effects.told.step,
        }

    def _heard(self, partition: int, offset: int, judged: Judged | None) -> None:
        """Called by the reader's thread, which waits here while too much is still to be taken in."""
        while not self._room.acquire(timeout=LOOK_SECONDS):
            if self._stopping:
                return
        self._items.put(_Heard(partition, offset, judged))

    def standing(self) -> Standing:
        """How it stands; may be asked from another thread."""
        reader, publisher = self._outside or (None, None)
        return Standing(
            outcomes=dict(self._counts),
            refused=dict(self._refused),
            unreadable=0 if reader is None else reader.unreadable,
            not_taken_up=self._not_taken_up + self._protocol.not_taken_up,
            waiting=0 if publisher is None else publisher.waiting,
            runs=(record := self._executor.record) is not None and record.state == "running",
            has_room=self._seen.has_room(),
            reads=reader is not None and reader.ready.is_set(),
        )

    def _turn(self) -> None:
        self.turned_at = monotonic()
        with suppress(queue.Empty):
            self._take(self._items.get(timeout=max(0.0, self._next_look - monotonic())))
        if monotonic() >= self._next_look:
            self._next_look = monotonic() + LOOK_SECONDS
            self._look()

    def _take(self, item: _Item) -> None:
        match item:
            case None:
                return
            case _Settled():
                self._seen.settle(item.ids)
            case _Heard():
                self._room.release()
                if item.judged is not None and self._is_mine(item.judged):
                    self._delivered(item.judged)
                self._positions.passed(item.partition, item.offset)
            case _Said():
                if item.life == self._ranks.life:
                    self._rank_said(item.message)

    def _begin(self) -> None:
        """Finish what an earlier run left half done, then see to the rank: adopt it, start it, or wait as a spare."""
        self._happened(Resumed(now()))
        self._look_at_rank()
        record = self._place.own(self._executor.record)
        if record is None and self._place.rank is not None and self._protocol.quarantined_by is None:
            self._effects.launch(self._place.rank, order=None, step=None, world=None)
        elif record is not None and record.state == "stopped":
            self._effects.launch(record.rank, order=None, step=record.step, world=record.world)
        elif record is not None and record.state == "running":
            self._say(f"rank {record.rank} of {record.job} is taken over, process {record.pid}")
        self._announce()

    def _end(self, reader: CommandReader) -> int:
        """End the rank, report open commands as failed, tell what is left to tell; return what could not be told."""
        try:
            for command in self._protocol.open_commands():
                self._happened(Failed(command.id, now(), "the cluster agent was stopped"))
        finally:
            self._executor.stop(RANK_GRACE_SECONDS)
        return self._leave(reader, LAST_WORDS_SECONDS)

    def _leave(self, reader: CommandReader, last_words_s: float) -> int:
        reader.close(1.0)
        unsent = self._publisher.close(last_words_s)
        while not self._items.empty():
            item = self._items.get()
            if isinstance(item, _Settled):
                self._seen.settle(item.ids)
        self._ranks.close()
        self._seen.close()
        return unsent

    def _look(self) -> None:
        """What nobody tells: time goes by, and a rank may have ended."""
        self._happened(TimePassed(now()))
        self._look_at_rank()
        if self._seen.needs_compaction():
            self._seen.compact(self._protocol.records())

    def _look_at_rank(self) -> None:
        state = self._executor.state()
        if self._must_not_be(state):
            self._end_what_failed()
        elif state in {"ended", "died"}:
            self._rank_ended(clean=state == "ended" or self._effects.told.finished)

    def _must_not_be(self, state: RankState) -> bool:
        """Tell whether the rank is one whose RESTORE or RESIZE has failed: its job goes on as if it were not there."""
        record = self._executor.record
        if record is None or record.order is None or self._protocol.stage(record.order) != "failed":
            return False
        return state in {"running", "stopped"} or (record.ended_by == record.order and state in {"ended", "died"})

    def _end_what_failed(self) -> None:
        record = self._executor.record
        try:
            self._executor.kill(record.order if record is not None else None)
        except EffectFailed as fault:
            self._say(f"a rank whose command has failed cannot be ended: {fault}")
            return
        self._say("the rank is ended, for the command that started it has failed")
        self._announce()

    # -- commands

    def _is_mine(self, judged: Judged) -> bool:
        """Tell whether a command is for this node's job here; of a forgery it is enough that it names the node.

        A rank of the world that a RESIZE makes is none of those that it renumbers: read again after a crash, it would
        take a rank that was started to join them, by its new number, for the one that had it before.
        """
        command, record = judged.command, self._executor.record
        is_of_job = command.job == self._place.job.name
        if command.node is not None:
            return command.node == self._place.node and (is_of_job or judged.refused is not None)
        if record is None or record.state != "running" or record.job != command.job or not is_of_job:
            return False
        if judged.refused is None and command.action == "RESIZE" and record.world == command.world:
            return False
        return not command.ranks or record.rank in command.ranks

    def _delivered(self, judged: Judged) -> None:
        """Have the protocol judge a command; one of which nothing could be told is not taken up at all."""
        command, rank = judged.command, self._rank_of(judged.command)
        if not self._seen.has_room():
            self._not_taken_up += 1
            if self._not_taken_up == 1:
                self._say("the broker takes no outcomes and too many wait: no command is taken up until it does")
            return
        if judged.refused is not None:  # it is told of to this node's own job, whatever it claims
            command, rank = replace(command, job=self._place.job.name), None
        self._happened(Delivered(command, now(), rank, judged.refused, judged.digest))

    def _rank_of(self, command: Command) -> int | None:
        if command.action == "RESTORE" or self._executor.record is None:
            return command.ranks[0] if command.ranks else None
        return self._executor.record.rank

    def _happened(self, *events: ProtocolEvent) -> None:
        todo = deque(events)
        while todo:
            instructions = self._protocol.handle(todo.popleft())
            for is_record, group in groupby(instructions, key=lambda one: isinstance(one, Record)):
                if is_record:
                    self._keep([one for one in group if isinstance(one, Record)])
                else:
                    for one in group:
                        todo.extend(self._carry_out(one))

    def _keep(self, records: list[Record]) -> None:
        """Make stages durable, then publish them."""
        self._seen.append(records)
        self._publisher.tell([record.outcome for record in records])
        for record in records:
            outcome = record.outcome
            self._counts[outcome.stage] += 1
            if outcome.stage in {"rejected", "expired", "failed"}:
                self._refused[outcome.stage, refusal(outcome.reason)] += 1
            why = f": {outcome.reason}" if outcome.reason else ""
            self._say(f"{outcome.action} {outcome.command} {outcome.stage}{why}")

    def _carry_out(self, instruction: Instruction) -> list[ProtocolEvent]:
        match instruction:
            case Execute(command=command):
                if instruction.mode == "begin":  # after a restart a rank that is gone may have been ended by order
                    self._look_at_rank()
                events = self._effects.carry_out(instruction, self._protocol.open_commands())
                if command.action != "CHECKPOINT":
                    self._announce()
                return events
            case Abandon(command=command):
                self._ranks.push({"type": "cancel", "command": command.id})
        return []

    def _order(self, command: Command, find: bool) -> None:
        order = {"command": command.id, "order": command.generation, "step": command.step, "find": find}
        self._ranks.push({"type": "checkpoint", **order})

    # -- the rank

    def _rank_said(self, message: Mapping[str, Any]) -> None:
        """Take one message of the rank in; what is not as the protocol says is left out, and said."""
        try:
            self._understand(message)
        except (KeyError, TypeError, ValueError, OverflowError) as fault:
            self._say(f"the rank said what cannot be understood ({fault!r}): {message}")

    def _understand(self, message: Mapping[str, Any]) -> None:
        match message["type"]:
            case "hello":
                for command in self._protocol.open_commands():
                    if command.action == "CHECKPOINT":
                        self._order(command, now() > command.expires_at)
            case "progress":
                self._progressed(int(message["step"]), loss_of(message["loss"]), float(message["step_s"]))
            case "staged":
                seconds, size = float(message["seconds"]), int(message["bytes"])
                self._happened(Staged(message["command"], now(), int(message["step"]), seconds, size))
            case "durable":
                seconds, uri, digest = float(message["seconds"]), str(message["uri"]), str(message["digest"])
                self._happened(Durable(message["command"], now(), int(message["step"]), seconds, uri, digest))
            case "failed":
                self._happened(Failed(message["command"], now(), f"the rank says: {message['reason']}"[:REASON_MAX]))
            case "unknown":
                self._happened(Failed(message["command"], now(), "interrupted: the rank had not begun it in time"))
            case "resumed":
                self._effects.told.resumed_from = int(message["step"])
            case "finished":
                self._effects.told.step, self._effects.told.finished = int(message["step"]), True

    def _progressed(self, step: int, loss: float | None, step_s: float) -> None:
        record = self._executor.record
        if record is None:
            return
        self._effects.told.step = step
        for command in self._protocol.open_commands():
            if command.action in STARTS and command.id == record.order:
                self._happened(Finished(command.id, now(), self._effects.told.resumed_from))
        at = now()
        if at - self._last_progress < PROGRESS_SECONDS_MIN:
            return
        self._last_progress = at
        load = min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        node = self._place.node
        self._publisher.progress(
            Progress(
                id=digest_id("progress", record.job, node, record.rank, step, at),
                job=record.job,
                node=node,
                rank=record.rank,
                at=at,
                step=step,
                loss=loss,
                step_s=step_s,
                load=load,
            )
        )

    def _rank_ended(self, *, clean: bool) -> None:
        """The rank is gone without an order: its commands fail; unless training was over, the node has failed."""
        record = self._executor.record
        if record is None:
            return
        code = self._executor.exit_code()
        how = "training is over" if clean else "it died" if code is None else f"exit code {code}"
        self._say(f"rank {record.rank} of {record.job} has ended: {how}")
        for command in self._effects.awaited_of_rank(self._protocol.open_commands()):
            self._happened(Failed(command.id, now(), f"the rank has ended: {how}"))
        if not clean:
            identity = digest_id("fate", self._place.node, record.job, record.rank, record.pid, record.born)
            fate = NodeFate(id=identity, job=record.job, node=self._place.node, at=now(), state="failed")
            self._seen.append_fate(fate)
            self._publisher.tell([fate])
        self._executor.vacate()
        self._announce()

    def _announce(self) -> None:
        """Say on the inventory how this node stands with its job."""
        place = self._place
        record = place.own(self._executor.record)
        runs = record is not None and record.state == "running"
        is_free = self._protocol.quarantined_by is None and (record is None or record.state == "returned")
        self._publisher.announce(
            InventoryNode(
                node=place.node,
                at=now(),
                state="running" if runs else "spare" if is_free else "vacated",
                job=place.job.name,
                rank=record.rank if record is not None and runs else None,
                world=(record.world or place.job.world) if record is not None and runs else None,
                min_nodes=place.job.min_nodes,
                replica_nodes=place.job.replica_nodes,
            )
        )
