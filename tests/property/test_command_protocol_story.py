"""Any story of commands, forgeries, redelivery, crashes and lost answers: at most one effect a command, and each ends.

And a node that was set aside takes no rank before its owner gives it back, whatever was forgotten in between.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from models.agent_limits import AgentLimits
from models.command_protocol import (
    EFFECT_SECONDS_MAX,
    QUARANTINES,
    CommandProtocol,
    Delivered,
    Durable,
    Execute,
    Failed,
    Finished,
    Instruction,
    Kept,
    ProtocolEvent,
    Readmission,
    Record,
    Resumed,
    Staged,
    TimePassed,
)
from models.records import TERMINAL_STAGES, Action, Cause, Command, Reason, command_id
from models.refusals import REFUSED

ACTIONS: list[Action] = ["CHECKPOINT", "MIGRATE", "RESTORE", "DRAIN", "QUARANTINE", "RESIZE"]
FOR_ALL: set[Action] = {"CHECKPOINT", "RESIZE"}
LIMITS = AgentLimits(disruptions_per_hour=12, checkpoints_per_hour=12)
ORDER = {"received": 0, "accepted": 1, "staged": 2, "durable": 3}


class Story(RuleBasedStateMachine):
    """A node, its disk, its broker and the world in which effects happen; a crash loses all but the disk and world."""

    commands: Bundle[Command] = Bundle("commands")

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.generation = 0
        self.disk: list[Kept] = []
        self.aside: str | None = None
        self.effects: Counter[str] = Counter()
        self.published: dict[str, list[str]] = {}
        self.delivered: dict[str, Command] = {}
        self.protocol = CommandProtocol("n1", (), LIMITS)

    def happen(self, *events: ProtocolEvent, crash_after: int | None = None) -> None:
        """Carry instructions out; ``crash_after`` of them the process dies."""
        instructions = self.protocol.handle(*events)
        for one in instructions if crash_after is None else instructions[:crash_after]:
            self.carry_out(one)
        if crash_after is not None:
            self.restart()

    def carry_out(self, instruction: Instruction) -> None:
        if isinstance(instruction, Record):
            self.disk.append(instruction)
            self.published.setdefault(instruction.outcome.command, []).append(instruction.outcome.stage)
            if instruction.outcome.action in QUARANTINES and instruction.outcome.stage == "done":
                self.aside = instruction.outcome.command
        elif isinstance(instruction, Execute):
            self.execute(instruction)

    def execute(self, execute: Execute) -> None:
        """The effect, as an executor has it: begun once, found after a restart, never begun when only looked for."""
        command = execute.command
        last = self.disk[-1]
        assert (
            not isinstance(last, Record)
            or last.outcome.stage in {"accepted", "staged", "durable"}
            or execute.mode != "begin"
        )
        if self.effects[command.id] == 0:
            if execute.mode == "find":
                self.happen(Failed(command.id, self.now, "interrupted"))
                return
            assert self.now <= command.expires_at
            assert command.action != "RESTORE" or self.aside is None or execute.mode != "begin"
            self.effects[command.id] += 1
        else:
            assert execute.mode != "begin"

    def restart(self) -> None:
        self.protocol = CommandProtocol("n1", self.disk, LIMITS)
        self.happen(Resumed(self.now))

    @rule(target=commands, action=st.sampled_from(ACTIONS), back=st.integers(0, 2))
    def issue(self, action: Action, back: int) -> Command:
        self.generation += 1
        generation = max(1, self.generation - back)
        node = None if action in FOR_ALL else "n1"
        return Command(
            id=command_id("job", node, action, str(self.generation), generation),
            action=action,
            job="job",
            generation=generation,
            issued_at=self.now,
            expires_at=self.now + 60.0,
            reason=Reason(rule="story"),
            cause=Cause(0, self.generation),
            node=node,
        )

    @rule(command=commands, crash=st.none() | st.integers(0, 4))
    def deliver(self, command: Command, crash: int | None) -> None:
        if crash is None or crash > 0:
            self.delivered[command.id] = command
        self.happen(Delivered(command, self.now, rank=0), crash_after=crash)

    @rule(command=commands, crash=st.none() | st.integers(0, 3))
    def stage(self, command: Command, crash: int | None) -> None:
        if self.effects[command.id]:
            self.happen(Staged(command.id, self.now, 5, 0.1, 10), crash_after=crash)

    @rule(command=commands, crash=st.none() | st.integers(0, 3))
    def make_durable(self, command: Command, crash: int | None) -> None:
        if self.effects[command.id] and command.action == "CHECKPOINT":
            self.happen(Durable(command.id, self.now, 5, 1.0, "u", "d"), crash_after=crash)

    @rule(command=commands, crash=st.none() | st.integers(0, 3), fails=st.booleans())
    def end(self, command: Command, crash: int | None, fails: bool) -> None:
        if self.effects[command.id]:
            event = Failed(command.id, self.now, "x") if fails else Finished(command.id, self.now)
            self.happen(event, crash_after=crash)

    @rule(command=commands, crash=st.none() | st.integers(0, 1), action=st.sampled_from(ACTIONS))
    def forge(self, command: Command, crash: int | None, action: Action) -> None:
        """A stranger who takes the name of a command changes nothing of it."""
        before = self.protocol.stage(command.id), self.protocol.open_commands(), self.protocol.quarantined_by
        claim = replace(command, action=action, generation=command.generation + 100, step=77)
        self.happen(Delivered(claim, self.now, 0, "bad-signature", f"{command.id}-{action}"), crash_after=crash)
        if crash is None:
            assert before == (
                self.protocol.stage(command.id),
                self.protocol.open_commands(),
                self.protocol.quarantined_by,
            )

    @rule()
    def give_back(self) -> None:
        """The owner stops the agent, gives the node back, and starts the agent."""
        self.now += 1.0
        self.disk.append(Readmission(self.now))
        self.aside = None
        self.restart()

    @rule(seconds=st.sampled_from([0.5, 10.0, 61.0, 130.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.happen(TimePassed(self.now))

    @rule()
    def crash(self) -> None:
        self.restart()

    @rule()
    def compact(self) -> None:
        self.disk = self.protocol.records()

    @rule(command=consumes(commands))
    def alter(self, command: Command) -> None:
        """The same id with other content is the same command: nothing happens again."""
        if command.id in self.delivered:
            before = self.effects[command.id]
            self.happen(Delivered(replace(command, expires_at=self.now + 1e6), self.now, rank=0))
            assert self.effects[command.id] == before

    @invariant()
    def at_most_one_effect(self) -> None:
        assert not [one for one, times in self.effects.items() if times > 1]

    @invariant()
    def stages_only_go_forward_and_end_once(self) -> None:
        for command, stages in self.published.items():
            if command.startswith(REFUSED):
                assert set(stages) == {"rejected"}
                continue
            ranks = [ORDER.get(stage, 4) for stage in stages]
            assert ranks == sorted(set(ranks))
            assert stages[0] == "received"

    @invariant()
    def the_disk_holds_what_the_protocol_holds(self) -> None:
        again = CommandProtocol("n1", self.disk, LIMITS)
        for command in self.delivered:
            assert again.stage(command) == self.protocol.stage(command)

    def teardown(self) -> None:
        self.now += EFFECT_SECONDS_MAX + 1.0
        self.happen(TimePassed(self.now))
        for command in self.delivered:
            assert self.published[command][-1] in TERMINAL_STAGES


TestStory = Story.TestCase
TestStory.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
