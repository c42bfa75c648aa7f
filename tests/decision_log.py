"""A decision log written by hand: what happens to one job, and what the decide fold answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.decisions import DecisionState, PolicySettings, decide, from_bytes, initial_state, to_bytes
from models.job import Job
from models.records import (
    BreakerReset,
    Cause,
    Command,
    Event,
    Incident,
    Membership,
    NodeFate,
    OptOut,
    Outcome,
    Pause,
    Progress,
    Stage,
    Tick,
)

BEGAN = 1_763_942_400.0
JOB = "gpt"
STEP_S = 0.5
HORIZON_S = 600.0
#: What leaves the brakes out of it: a node may be moved as soon as it is known, and as many as wished.
UNBRAKED: dict[str, Any] = {"warm_up_s": 0.0, "breaker_share": 1.0, "storm_incidents": 1000}


class DecisionLog:
    """One partition of the decision log and the fold over it; ``at`` is the time of the next record."""

    def __init__(self, settings: PolicySettings | None = None, **set_to: Any) -> None:
        self.settings = settings or PolicySettings(
            **{"level": "migrate", "checkpoint": "young", "migration": "paper", **UNBRAKED, **set_to}
        )
        self.state: DecisionState = initial_state(self.settings)
        self.at = BEGAN
        self.declared: dict[str, int] = {}
        self.events: list[Event] = []
        self.commands: list[Command] = []

    @property
    def job(self) -> Job:
        return self.state.jobs[JOB]

    def put(self, *events: Event) -> list[Command]:
        """Put events on the log and return the commands that the fold answers with."""
        answered: list[Command] = []
        for event in events:
            cause = Cause(partition=0, offset=len(self.events))
            self.events.append(event)
            self.state, commands = decide(self.state, event, cause)
            answered += commands
        self.commands += answered
        return answered

    def restart(self) -> None:
        """Go on from the encoded state, as after a crash."""
        self.state = from_bytes(to_bytes(self.state), self.settings)

    def tick(self, seconds: float = 1.0, *, history: bool = False) -> list[Command]:
        self.at += seconds
        return self.put(Tick(at=self.at, history=history))

    def ticks(self, seconds: int) -> list[Command]:
        """Let time pass, a tick a second, no rank telling anything."""
        return [command for _ in range(seconds) for command in self.tick()]

    def train(self, seconds: int, step_s: float = STEP_S, load: float = 0.0) -> list[Command]:
        """Let the job train: each second every rank tells its progress, and a tick follows."""
        answered = []
        for _ in range(seconds):
            saved = self.job.saved
            step = (self.job.step or (saved.step if saved is not None else 0)) + round(1.0 / step_s)
            self.at += 0.9
            answered += self.progress(step, step_s=step_s, load=load)
            answered += self.tick(0.1)
        return answered

    def progress(self, step: int, step_s: float = STEP_S, load: float = 0.0) -> list[Command]:
        """Every rank that runs tells that it has done ``step``."""
        running = [(node, self.job.rank_on(node)) for node in self.job.places]
        return self.put(
            *(
                Progress(
                    id=f"progress-{rank}-{self.at}",
                    job=JOB,
                    node=node,
                    rank=rank,
                    at=self.at,
                    step=step,
                    loss=1.0,
                    step_s=step_s,
                    load=load,
                )
                for node, rank in running
                if rank is not None
            )
        )

    def start(self, ranks: int = 4, spares: Iterable[str] = ("s0",), step: int = 100) -> DecisionLog:
        """Bring up a job: rank r on node nr, spares beside it, every rank at ``step``."""
        self.tick(0.0)
        for rank in range(ranks):
            self.member(f"n{rank}", "running", rank=rank, world=ranks)
        for spare in spares:
            self.member(spare, "spare")
        self.at += 0.1
        self.progress(step)
        return self

    def member(self, node: str, state: Any, rank: int | None = None, world: int | None = None) -> list[Command]:
        return self.put(
            Membership(
                id=f"member-{node}-{state}-{self.at}",
                job=JOB,
                node=node,
                at=self.at,
                state=state,
                rank=rank,
                world=world,
                **self.declared,
            )
        )

    def pause(self, *, on: bool = True, job: str | None = None, why: str = "storage") -> list[Command]:
        """Somebody pauses a job (None: all), or ends the pause."""
        return self.put(Pause(id=f"pause-{len(self.events)}", at=self.at, job=job, paused=on, by="ann", why=why))

    def opt_out(self, node: str, *, out: bool = True) -> list[Command]:
        """Somebody keeps a node out of it, or takes it in again."""
        return self.put(OptOut(id=f"opt-out-{len(self.events)}", at=self.at, node=node, out=out, by="bob", why="mine"))

    def reset(self) -> list[Command]:
        """Somebody closes the breaker."""
        return self.put(BreakerReset(id=f"reset-{len(self.events)}", at=self.at, by="ann", why="looked"))

    def incident(
        self, node: str, state: Any = "opened", probability: float = 0.9, *, history: bool = False
    ) -> list[Command]:
        return self.put(
            Incident(
                id=f"incident-{node}-{state}-{self.at}",
                job=JOB,
                node=node,
                at=self.at,
                incident=f"incident-{node}",
                state=state,
                probability=probability,
                deviation=6.0,
                horizon_s=HORIZON_S,
                history=history,
                evidence=(f"telemetry.node.v1/0/{node[1:]}",),
            )
        )

    def fate(self, node: str, state: Any = "failed") -> list[Command]:
        return self.put(NodeFate(id=f"fate-{node}-{state}-{self.at}", job=JOB, node=node, at=self.at, state=state))

    def outcome(
        self, command: Command, stage: Stage, node: str, rank: int | None = None, **facts: Any
    ) -> list[Command]:
        """One cluster agent (of ``node``) tells that a command entered a stage."""
        return self.put(
            Outcome(
                id=f"{command.id}-{node}-{rank}-{stage}",
                job=JOB,
                command=command.id,
                action=command.action,
                node=node,
                stage=stage,
                at=self.at,
                rank=rank,
                **facts,
            )
        )

    def save(
        self, command: Command, step: int, ranks: Iterable[int] | None = None, cost_s: float = 0.2
    ) -> list[Command]:
        """Every rank (or those named) writes the checkpoint of ``step`` and acknowledges it as durable."""
        answered = []
        for rank in command.ranks if ranks is None else ranks:
            node = next(node for node in self.job.places if self.job.rank_on(node) == rank)
            answered += self.outcome(command, "received", node, rank)
            answered += self.outcome(command, "accepted", node, rank)
            answered += self.outcome(command, "staged", node, rank, step=step, seconds=cost_s)
            answered += self.outcome(command, "durable", node, rank, step=step, seconds=2 * cost_s)
            answered += self.outcome(command, "done", node, rank, step=step)
        return answered

    def carry_out(self, command: Command, end: Stage = "done", seconds: float = 1.0, **facts: Any) -> list[Command]:
        """The one agent that a command addresses carries it out, or not."""
        assert command.node is not None
        answered = self.outcome(command, "received", command.node)
        if end not in {"rejected", "expired"}:
            answered += self.outcome(command, "accepted", command.node)
        return answered + self.outcome(command, end, command.node, seconds=seconds, **facts)
