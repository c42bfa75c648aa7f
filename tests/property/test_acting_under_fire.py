"""Whatever befalls a cluster, deciding and acting on it keep their promises: a state machine drives both.

The fold (``models.decisions``) and the protocol of every cluster agent (``models.command_protocol``) are the real ones;
machines, disks, ranks and the log between them are those of ``acting_world``. After each story all is mended and the
log delivered to its end. ``make storm`` tells a hundred times as many stories.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Iterable
from typing import ClassVar

import pytest
from acting_machine import Machine, clock_of_the_world
from acting_world import Cluster, tick
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from infra.agent.job_spec import JobSpec
from models.agent_limits import AgentLimits
from models.decisions import DecisionState, PolicySettings, decide, initial_state
from models.records import (
    TERMINAL_STAGES,
    BreakerReset,
    Cause,
    Command,
    Incident,
    NodeFate,
    OptOut,
    Outcome,
    Pause,
    Tick,
)
from models.rescue import GAVE_UP
from models.resizing import STRAY
from models.strays import LEFT_BEHIND

STORM = int(os.environ.get("STORM", "1"))
MACHINES, STEPS = 250 * STORM, 50
SPECS = {
    "a": JobSpec("a", ("train",), 3, {}),
    "b": JobSpec("b", ("train",), 3, {}, min_nodes=1, replica_nodes=1),
}
NODES = {"a": ("a0", "a1", "a2"), "b": ("b0", "b1", "b2")}
SPARES = {"a": ("s0", "s1"), "b": ("t0",)}
JOBS = tuple(NODES)
NAMES = tuple(sorted(name for group in (*NODES.values(), *SPARES.values()) for name in group))
#: Rounds of 20 s after which all that is mended has ended: more than a day of them would be another fault.
ROUNDS_MAX = 200

a_job = st.sampled_from(JOBS)
a_node = st.sampled_from(NAMES)
a_while = st.integers(0, 8)


class Fire(RuleBasedStateMachine):
    """One story; the tallies are of all of them."""

    tally: ClassVar[Counter[str]] = Counter()

    @initialize(
        level=st.sampled_from(["migrate", "migrate", "migrate", "migrate", "quarantine", "checkpoint"]),
        checkpoint=st.sampled_from(["young", "hazard", "paper"]),
        migration=st.sampled_from(["paper", "paper", "break-even"]),
        elastic=st.sampled_from([True, True, False]),
        bare=st.booleans(),
        supervised=st.booleans(),
        breaker=st.sampled_from([(1, 600.0), (2, 3600.0), (5, 300.0), (5, 3600.0)]),
        limits=st.sampled_from([AgentLimits(), AgentLimits(disruptions_per_hour=1000, checkpoints_per_hour=1000)]),
        skews=st.lists(st.sampled_from([-2.0, 0.0, 0.0, 2.0]), min_size=len(NAMES), max_size=len(NAMES)),
        troubled=st.sets(st.sampled_from([*NODES["a"], *NODES["b"]]), max_size=3),
    )
    def begin(
        self,
        level: str,
        checkpoint: str,
        migration: str,
        elastic: bool,
        bare: bool,
        supervised: bool,
        breaker: tuple[int, float],
        limits: AgentLimits,
        skews: list[float],
        troubled: set[str],
    ) -> None:
        self.tally["machines"] += 1
        self.settings = PolicySettings(
            level=level,
            checkpoint=checkpoint,
            migration=migration,
            elastic=elastic,
            breaker_nodes=breaker[0],
            breaker_window_s=breaker[1],
            warm_up_s=0.0,
            storm_incidents=9,
            cool_down_s=60.0,
            migration_s=5.0,
            node_mtbf_days=0.05,
        )
        self.cluster = Cluster(self.settings, limits)
        self.supervised = supervised
        self.incidents: dict[str, str] = {}
        self.left: dict[str, float] = {}
        self.paused: dict[str | None, bool] = {}
        self.opted_out: set[str] = set()
        self.cluster.given = self._sound
        tick(self.cluster)
        for job in JOBS:
            self.cluster.add_job(SPECS[job], NODES[job], SPARES[job])
        if bare:
            for name in SPARES["b"]:
                self.machine(name).die()
        for name, skew in zip(NAMES, skews, strict=True):
            self.machine(name).skew = skew
        self._rounds(2, 5.0)
        for node in sorted(troubled):
            self.an_incident_opens_or_changes(node, 0.99, 0)

    def machine(self, name: str) -> Machine:
        return self.cluster.machines[name]

    def _round(self, seconds: float, trains: bool = True) -> None:
        """Time passes, and everything that is not cut off does what it does."""
        cluster = self.cluster
        cluster.now += seconds
        for job in JOBS if trains else ():
            cluster.train(job)
        for machine in cluster.machines.values():
            if self.supervised:
                machine.start_agent()
            machine.look()
            if not machine.cut:
                for job in JOBS:
                    machine.read(job, 100)
            machine.work()
            machine.listen()
            if not machine.cut:
                machine.flush(100)
                machine.flush_words()
        tick(cluster)

    # -- time and the log

    @rule(rounds=a_while)
    def moments_pass(self, rounds: int) -> None:
        self._rounds(rounds, 1.0)

    @rule(rounds=a_while)
    def a_while_passes(self, rounds: int) -> None:
        self._rounds(rounds, 5.0)

    @rule(rounds=a_while)
    def a_long_while_passes(self, rounds: int) -> None:
        self._rounds(rounds, 20.0)

    def _rounds(self, rounds: int, seconds: float) -> None:
        for _ in range(rounds):
            self._round(seconds)

    @rule(seconds=st.sampled_from([0.5, 31.0, 61.0, 125.0]))
    def nothing_but_time_passes(self, seconds: float) -> None:
        tick(self.cluster, seconds)

    @rule(back=st.sampled_from([0.0, 0.0, 3.0, 100.0]))
    def a_tick_comes_twice_or_late(self, back: float) -> None:
        self.cluster.put(Tick(at=self.cluster.now - back))

    @rule(node=a_node, job=a_job, count=st.integers(1, 3))
    def commands_come(self, node: str, job: str, count: int) -> None:
        self.machine(node).read(job, count)

    @rule(node=a_node, job=a_job, count=st.integers(1, 5))
    def commands_come_again(self, node: str, job: str, count: int) -> None:
        machine = self.machine(node)
        machine.positions[job] = max(0, machine.positions[job] - count)
        machine.read(job, count)

    @rule(node=a_node, job=a_job)
    def a_forger_takes_the_name_of_a_command(self, node: str, job: str) -> None:
        self.machine(node).hear_forged(self.cluster.orders.get(job, [])[-1:])

    @rule(node=a_node, count=st.integers(1, 4), words=st.booleans())
    def outcomes_arrive(self, node: str, count: int, words: bool) -> None:
        self.machine(node).flush(count)
        if words:
            self.machine(node).flush_words()

    @rule(count=st.integers(1, 6))
    def events_come_again(self, count: int) -> None:
        for event in [one for one in self.cluster.log[-20:] if not isinstance(one, Tick)][-count:]:
            self.cluster.put(event)

    @rule(node=a_node, cut=st.booleans())
    def a_machine_is_cut_off_or_back(self, node: str, cut: bool) -> None:
        self.machine(node).cut = cut

    @rule()
    def the_worker_dies(self) -> None:
        self.cluster.restart_worker()

    # -- what befalls machines

    @rule(node=a_node, amid=st.integers(0, 12))
    def an_agent_will_be_killed(self, node: str, amid: int) -> None:
        self.machine(node).kill_in = amid

    @rule(node=a_node)
    def an_agent_is_killed(self, node: str) -> None:
        self.machine(node).kill_agent()

    @rule()
    def agents_are_started(self) -> None:
        for machine in self.cluster.machines.values():
            machine.start_agent()

    @rule(node=a_node)
    def a_rank_works(self, node: str) -> None:
        self.machine(node).work()
        self.machine(node).listen()

    @rule(node=a_node, hung=st.booleans())
    def a_rank_hangs_or_goes_on(self, node: str, hung: bool) -> None:
        process = self.machine(node).process
        if process is not None:
            process.hung = hung

    @rule(node=a_node, then=a_while)
    def a_rank_dies(self, node: str, then: int) -> None:
        self.machine(node).kill_rank()
        self._rounds(then, 5.0)

    @rule(node=a_node, told=st.booleans(), then=a_while)
    def a_machine_dies(self, node: str, told: bool, then: int) -> None:
        machine = self.machine(node)
        machine.die()
        if told:
            self.cluster.put(_fate(machine, self.cluster.now))
        self._rounds(then, 5.0)

    @rule(node=a_node, wiped=st.booleans())
    def a_machine_comes_back(self, node: str, wiped: bool) -> None:
        machine = self.machine(node)
        if machine.dead:
            machine.come_back(wiped=wiped)
            self.cluster.put(_fate(machine, self.cluster.now, "recovered"))

    @rule(node=a_node)
    def an_owner_gives_a_node_back(self, node: str) -> None:
        self.machine(node).give_back()

    # -- what is suspected

    @rule(node=a_node, probability=st.sampled_from([0.3, 0.9, 0.99]), then=a_while)
    def an_incident_opens_or_changes(self, node: str, probability: float, then: int) -> None:
        known = node in self.incidents
        name = self.incidents.setdefault(node, f"incident-{node}-{len(self.cluster.log)}")
        self._incident(node, name, "changed" if known else "opened", probability)
        self._rounds(then, 5.0)

    @rule(node=a_node)
    def an_incident_closes(self, node: str) -> None:
        if node in self.incidents:
            self._incident(node, self.incidents.pop(node), "closed", 0.01)

    def _incident(self, node: str, name: str, state: str, probability: float) -> None:
        self.cluster.put(
            Incident(
                id=f"{name}-{state}-{len(self.cluster.log)}",
                job=self.machine(node).job,
                node=node,
                at=self.cluster.now,
                incident=name,
                state=state,
                probability=probability,
                deviation=6.0,
                horizon_s=600.0,
            )
        )

    # -- what people say

    @rule(job=st.sampled_from([None, *JOBS]), paused=st.sampled_from([True, False, False]))
    def somebody_pauses_or_resumes(self, job: str | None, paused: bool) -> None:
        self.paused[job] = paused
        self.cluster.put(Pause(id=self._id("pause"), at=self.cluster.now, job=job, paused=paused, by="me", why="look"))

    @rule(node=a_node, out=st.sampled_from([True, False, False]))
    def somebody_opts_a_node_out_or_in(self, node: str, out: bool) -> None:
        (self.opted_out.add if out else self.opted_out.discard)(node)
        self.cluster.put(OptOut(id=self._id("opt"), at=self.cluster.now, node=node, out=out, by="me", why="mine"))

    @rule()
    def somebody_closes_the_breaker(self) -> None:
        self.left.clear()
        self.cluster.put(BreakerReset(id=self._id("reset"), at=self.cluster.now, by="me", why="looked"))

    def _id(self, what: str) -> str:
        return f"{what}-{len(self.cluster.log)}"

    # -- what holds at every step

    def _sound(self, command: Command) -> None:
        """A command that was just given, held against what really is."""
        self.tally[command.action] += 1
        needed = {"CHECKPOINT": "checkpoint", "QUARANTINE": "quarantine"}.get(command.action, "migrate")
        assert self.settings.allows(needed)
        self._held_by_nobody(command)
        if command.action in {"MIGRATE", "RESTORE", "RESIZE"}:
            assert command.step in self._durable_steps(command.job), "from a checkpoint that some rank does not have"
        if command.action == "MIGRATE" and command.spare is not None:
            self._sound_migration(command)
            self._within_the_breaker(command)

    def _held_by_nobody(self, command: Command) -> None:
        """Nothing is done with a node that is opted out; while a job is paused nothing new is done.

        What is under way is finished: a rank that is down is restored, one that a failed RESIZE has left over is ended.
        """
        if command.action != "RESTORE" and not command.reason.rule.startswith(STRAY):
            assert not self.paused.get(None), "all is paused"
            assert not self.paused.get(command.job), "the job is paused"
        assert command.node not in self.opted_out
        assert command.spare not in self.opted_out

    def _within_the_breaker(self, command: Command) -> None:
        """Nodes that were ordered to be left within the window are no more than its bound, over restarts and all."""
        now = self.cluster.state.now or 0.0
        self.left[command.node or ""] = now
        recent = [at for at in self.left.values() if at > now - self.settings.breaker_window_s]
        assert len(recent) <= max(self.settings.breaker_nodes, int(self.settings.breaker_share * len(NAMES)))
        assert not self.cluster.was_tripped, "the breaker was open before"

    def _durable_steps(self, job: str) -> set[int]:
        saves = (one for one in self.cluster.orders[job] if one.action == "CHECKPOINT")
        return {self.cluster.saved[one.id][0] for one in saves if self.cluster.durable_everywhere(one)}

    def _sound_migration(self, command: Command) -> None:
        """The newest checkpoint is durable, or nothing is lost by an older one, or it says that it gave up.

        Nothing is lost by it where no step was made since, or where a rank is down, so that the job goes back anyway.
        """
        saves = [one for one in self.cluster.orders[command.job] if one.action == "CHECKPOINT"]
        job = self.cluster.state.jobs[command.job]
        if GAVE_UP in command.reason.rule:
            self.tally["gave up on a checkpoint"] += 1
        elif not job.down and (job.step is None or (command.step or 0) < job.step):
            assert self.cluster.durable_everywhere(saves[-1])

    @invariant()
    def one_effect_a_command_and_one_rank_a_spare(self) -> None:
        self.tally["steps"] += 1
        assert not [one for one, times in self.cluster.effects.items() if times > 1]
        given = [rescue.spare for job in self.cluster.state.jobs.values() for rescue in job.rescues.values()]
        taken = [spare for spare in given if spare is not None]
        assert len(taken) == len(set(taken)), "a spare is given twice"

    # -- the end of a story

    def teardown(self) -> None:
        """All is mended and goes on for a while; then jobs train only to end a command: and every command ends."""
        if not hasattr(self, "cluster"):
            return
        self._mend()
        self.somebody_pauses_or_resumes(None, paused=False)
        self._settle()
        self.a_rank_runs_once(but=self.opted_out, of=[job for job in JOBS if not self.paused.get(job)])
        if self.opted_out or any(self.paused.values()):
            self._what_was_said_is_taken_back()
            self._settle()
            self.a_rank_runs_once()
        self.tally.update(next(iter(stages)) for stages in self._ends().values())
        self.the_whole_log_read_again_gives_the_same_commands()

    def _settle(self) -> None:
        for _ in range(5):
            self._round(5.0)
        rounds = 0
        while self._unsettled() and rounds < ROUNDS_MAX:
            started = any(one.action in {"RESTORE", "RESIZE"} for one in self.cluster.open_commands())
            self._round(20.0, trains=started)
            rounds += 1
        self.each_command_has_ended()

    def _what_was_said_is_taken_back(self) -> None:
        """What a person's word held up, a rank that was left behind above all, is done now."""
        for node in sorted(self.opted_out):
            self.somebody_opts_a_node_out_or_in(node, out=False)
        for job in JOBS:
            self.somebody_pauses_or_resumes(job, paused=False)

    def _mend(self) -> None:
        for machine in self.cluster.machines.values():
            machine.cut, machine.kill_in = False, None
            machine.start_agent()
            if machine.dead:
                self.cluster.put(_fate(machine, self.cluster.now))
        for process in self.cluster.processes.values():
            process.hung = False
        for node in list(self.incidents):
            self.an_incident_closes(node)

    def _unsettled(self) -> bool:
        waits = any(job.in_flight for job in self.cluster.state.jobs.values())
        return waits or bool(self.cluster.open_commands())

    def each_command_has_ended(self) -> None:
        for job in self.cluster.state.jobs.values():
            assert not job.in_flight, "the fold still waits for a command"
        for command in self.cluster.commands_given:
            for machine in self.cluster.machines.values():
                assert machine.dead or machine.ended_here(command), "a cluster agent still holds a command"
        self._ends()

    def _ends(self) -> dict[tuple[str, str], set[str]]:
        ends: dict[tuple[str, str], set[str]] = {}
        for event in self.cluster.log:
            if isinstance(event, Outcome) and event.stage in TERMINAL_STAGES:
                ends.setdefault((event.command, event.node), set()).add(event.stage)
        assert all(len(stages) == 1 for stages in ends.values()), "a command has ended twice"
        refused = {key for key, stages in ends.items() if stages & {"expired", "rejected"}}
        assert not refused & {(command, node) for command, node, _ in self.cluster.effects}, "refused, yet carried out"
        return ends

    def a_rank_runs_once(self, but: Container[str] = (), of: Iterable[str] = JOBS) -> None:
        for job in of:
            ranks = [process.rank for node, process in self.cluster.running(job) if node not in but]
            assert len(ranks) == len(set(ranks)), "a rank runs on two machines"

    def the_whole_log_read_again_gives_the_same_commands(self) -> None:
        state: DecisionState = initial_state(self.settings)
        again: list[Command] = []
        for offset, event in enumerate(self.cluster.log):
            state, commands = decide(state, event, Cause(partition=0, offset=offset))
            again += commands
        assert again == self.cluster.commands_given


def _fate(machine: Machine, at: float, state: str = "failed") -> NodeFate:
    return NodeFate(id=f"{state}-{machine.node}-{at}", job=machine.job, node=machine.node, at=at, state=state)


def test_promises_are_kept_under_fire(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock_of_the_world(monkeypatch)
    run_state_machine_as_test(
        Fire,
        settings=settings(
            max_examples=MACHINES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    stories, steps = Fire.tally.pop("machines"), Fire.tally.pop("steps")
    told = ", ".join(f"{count} {what}" for what, count in Fire.tally.most_common())
    with capsys.disabled():
        print(f"\nmodel-based test of acting under fire: {stories} machines, {steps} steps; {told}")
    assert stories >= MACHINES
    assert all(Fire.tally[action] for action in ("CHECKPOINT", "MIGRATE", "RESTORE", "RESIZE", "QUARANTINE"))


def test_a_rank_that_was_left_behind_does_not_run_beside_the_one_that_has_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A story that the storm found: an agent is not there while its job goes on without it, twice, and comes back."""
    clock_of_the_world(monkeypatch)
    story = Fire()
    story.begin(
        level="migrate",
        migration="paper",
        checkpoint="young",
        elastic=True,
        supervised=False,
        limits=AgentLimits(),
        breaker=(2, 3600.0),
        bare=False,
        skews=[-2.0] * len(NAMES),
        troubled={"b2"},
    )
    story.a_while_passes(6)
    story.an_agent_is_killed("b0")
    story.a_rank_dies("b1", 15)
    assert [process.rank for _, process in story.cluster.running("b")] == [0, 0]
    story.teardown()
    assert LEFT_BEHIND in [one.reason.rule for one in story.cluster.commands_given]
