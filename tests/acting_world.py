"""A cluster for the decide fold and the command protocol to act on: machines, disks, ranks and logs, all modelled.

What the fold and the protocol say is done as ``infra.agent.cluster_agent`` does it, one small step after the other, and
before each of them the cluster agent may be killed. Its effects are the real ones (``infra.agent.effects``), upon ranks
that are entries here. The log loses nothing for good; all else may go wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from acting_machine import BEGAN, Machine, Process, Training

from infra.agent.job_spec import JobSpec
from models.agent_limits import AgentLimits
from models.decisions import DecisionState, PolicySettings, decide, from_bytes, initial_state, to_bytes
from models.records import (
    BreakerReset,
    Cause,
    Command,
    Event,
    Tick,
)

STEPS_A_GO = 2


class Cluster:
    """All machines, the logs between them and the fold, and what really happened."""

    def __init__(self, settings: PolicySettings, limits: AgentLimits) -> None:
        self.settings, self.limits = settings, limits
        self.now = BEGAN
        self.state: DecisionState = initial_state(settings)
        self.log: list[Event] = []
        self.orders: dict[str, list[Command]] = {}
        self.commands_given: list[Command] = []
        self.was_tripped = False
        self.given: Callable[[Command], None] = lambda command: None
        self.machines: dict[str, Machine] = {}
        self.trainings: dict[str, Training] = {}
        self.processes: dict[tuple[str, int], Process] = {}
        self.effects: Counter[tuple[str, str, str]] = Counter()
        self.saved: dict[str, dict[int, int]] = {}

    # -- the decision log and its fold

    def put(self, event: Event) -> list[Command]:
        """Append to the decision log, let the fold decide, append its commands to theirs."""
        cause = Cause(partition=0, offset=len(self.log))
        self.log.append(event)
        self.was_tripped = self.state.brakes.tripped is not None and not isinstance(event, BreakerReset)
        self.state, commands = decide(self.state, event, cause)
        for command in commands:
            self.orders.setdefault(command.job, []).append(command)
            self.commands_given.append(command)
            self.given(command)
        return list(commands)

    def restart_worker(self) -> None:
        """The worker dies; another restores the state from its bytes."""
        self.state = from_bytes(to_bytes(self.state), self.settings)

    # -- what really happens

    def add_job(self, job: JobSpec, nodes: Iterable[str], spares: Iterable[str]) -> None:
        """Start a job: one rank a node, and spares that wait."""
        self.trainings[job.name] = Training(world=job.world)
        for rank, node in enumerate(nodes):
            self.machines[node] = Machine(self, node, job, rank)
        for node in spares:
            self.machines[node] = Machine(self, node, job, None)

    def running(self, job: str) -> list[tuple[str, Process]]:
        """The ranks of a job that live, with the node of each."""
        return [(node, one) for (node, _), one in self.processes.items() if one.job == job]

    def train(self, job: str) -> None:
        """The job makes progress if all its ranks are there and none hangs; each tells its cluster agent."""
        training = self.trainings[job]
        running = [(node, one) for node, one in self.running(job) if one.world == training.world]
        if {one.rank for _, one in running} != set(range(training.world)) or any(one.hung for _, one in running):
            return
        training.step += STEPS_A_GO
        for node, _ in running:
            self.machines[node].progressed(training.step)

    def open_commands(self) -> list[Command]:
        """What some cluster agent has accepted and not ended."""
        protocols = (one.protocol for one in self.machines.values() if one.protocol is not None)
        return [command for protocol in protocols for command in protocol.open_commands()]

    def durable_everywhere(self, command: Command) -> bool:
        """Whether every rank that a CHECKPOINT was for has really saved one and the same step for it."""
        saved = self.saved.get(command.id, {})
        return set(saved) >= set(command.ranks) and len(set(saved.values())) == 1


def tick(cluster: Cluster, seconds: float = 0.0) -> list[Command]:
    """Let time pass and have the owner of the partition say so."""
    cluster.now += seconds
    return cluster.put(Tick(at=cluster.now))
