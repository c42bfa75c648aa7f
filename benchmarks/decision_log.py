"""A decision log as a fleet writes it: jobs of many ranks that train, save, and now and then are suspected or fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from models.decision_state import DecisionState
from models.decisions import decide, initial_state
from models.policy_settings import PolicySettings
from models.records import Action, Cause, Command, Event, Incident, Membership, NodeFate, Outcome, Progress, Stage, Tick

RANKS = 20
SPARES = 2
STEP_S = 0.5
START = 1_763_942_400.0
#: One node of a job is suspected each so many seconds, another fails.
SUSPECTED_EACH_S, FAILED_EACH_S = 120, 300
HORIZON_S = 600.0


class Partition:
    """One partition of the log as it is written, and the commands that its own policy gives.

    Each rank tells its progress once a second; a command is answered at once, by every rank that it is for.
    """

    def __init__(self, number: int, jobs: Sequence[str], policy: PolicySettings) -> None:
        self.events: list[Event] = []
        self.commands: list[Command] = []
        self._number, self._jobs = number, jobs
        self._state: DecisionState = initial_state(policy)
        self._told = 0

    def live(self, seconds: int) -> None:
        """Let so much time pass."""
        self._put(Tick(at=START))
        for job in self._jobs:
            for rank in range(RANKS + SPARES):
                self._put(_member(job, rank, RANKS))
        for second in range(1, seconds + 1):
            for index, job in enumerate(self._jobs):
                self._train(job, START + second)
                self._trouble(job, index, second)
            self._put(Tick(at=START + second))

    def _train(self, job: str, at: float) -> None:
        known = self._state.jobs[job]
        step = (known.step or (known.saved.step if known.saved else 0)) + round(1.0 / STEP_S)
        for node, place in list(known.places.items()):
            if place.state == "running" and place.rank is not None:
                told = {"loss": 2.0, "step_s": STEP_S, "load": 0.4}
                self._put(Progress(id=self._id(), job=job, node=node, rank=place.rank, at=at - 0.2, step=step, **told))

    def _trouble(self, job: str, index: int, second: int) -> None:
        at, node = START + second - 0.1, f"{job}-n{second * 7 % RANKS:02d}"
        if (second + 13 * index) % SUSPECTED_EACH_S == 0:
            self._incident(job, node, at, "opened")
        if (second + 13 * index) % SUSPECTED_EACH_S == 40:
            self._incident(job, f"{job}-n{(second - 40) * 7 % RANKS:02d}", at, "closed")
        if (second + 29 * index) % FAILED_EACH_S == 0:
            self._put(NodeFate(id=self._id(), job=job, node=node, at=at, state="failed"))
        if (second + 29 * index) % FAILED_EACH_S == 60:
            back = f"{job}-n{(second - 60) * 7 % RANKS:02d}"
            self._put(NodeFate(id=self._id(), job=job, node=back, at=at, state="recovered"))
            self._put(Membership(id=self._id(), job=job, node=back, at=at, state="spare"))

    def _incident(self, job: str, node: str, at: float, state: str) -> None:
        told = {"probability": 0.9 if state == "opened" else 0.1, "deviation": 6.0, "horizon_s": HORIZON_S}
        self._put(Incident(id=self._id(), job=job, node=node, at=at, incident=f"i-{node}", state=state, **told))

    def _id(self) -> str:
        self._told += 1
        return f"{self._number}-{self._told}"

    def _put(self, event: Event) -> None:
        self._state, commands = decide(self._state, event, Cause(self._number, len(self.events)))
        self.events.append(event)
        self.commands += commands
        for command in commands:
            for outcome in self._answers(command, event.at):
                self._put(outcome)

    def _answers(self, command: Command, at: float) -> Iterator[Outcome]:
        job = self._state.jobs[command.job]
        runs = {place.rank: node for node, place in job.places.items() if place.state == "running"}
        for rank in command.ranks:
            node = command.node or runs.get(rank, "")
            for stage, seconds in _STAGES[command.action]:
                step = (job.step or 0) if command.step is None else command.step
                yield Outcome(
                    id=self._id(),
                    job=command.job,
                    command=command.id,
                    action=command.action,
                    node=node,
                    stage=stage,
                    at=at,
                    rank=rank,
                    step=step,
                    seconds=seconds,
                )


_STAGES: dict[Action, tuple[tuple[Stage, float | None], ...]] = {
    "CHECKPOINT": (("accepted", None), ("staged", 2.0), ("durable", 8.0), ("done", None)),
    "MIGRATE": (("accepted", None), ("done", 5.0)),
    "RESTORE": (("accepted", None), ("done", 40.0)),
}


def _member(job: str, rank: int, ranks: int) -> Membership:
    node = f"{job}-n{rank:02d}"
    runs = rank < ranks
    return Membership(
        id=f"m-{node}",
        job=job,
        node=node,
        at=START,
        state="running" if runs else "spare",
        rank=rank if runs else None,
        world=ranks if runs else None,
    )
