"""What a job's own events say of the price of losing a node: what was left, what failed, what restarts took."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from models.records import Incident, JobEvent, Membership, NodeFate, Outcome


@dataclass(frozen=True, slots=True)
class Suspected:
    """The open incident of a node, and when the job's work was last saved before it opened (None: never)."""

    incident: str
    probability: float
    horizon_s: float
    saved_at: float | None


@dataclass(frozen=True, slots=True)
class Left:
    """A node that was left by a MIGRATE.

    ``failed`` says whether it failed after that, or was given back as a spare; None: nothing is known of it since.
    """

    node: str
    command: str
    at: float
    suspected: Suspected | None
    done: bool = False
    failed: bool | None = None


@dataclass(frozen=True, slots=True)
class Restarts:
    """How many restarts were done, and how long they took (s)."""

    number: int = 0
    sum_s: float = 0.0
    least_s: float = 0.0
    most_s: float = 0.0

    def with_one(self, took_s: float) -> Restarts:
        """Return them with one more."""
        least_s = took_s if not self.number else min(self.least_s, took_s)
        return Restarts(self.number + 1, self.sum_s + took_s, least_s, max(self.most_s, took_s))


@dataclass(slots=True)
class Losses:
    """The fold over one job's events."""

    suspected: dict[str, Suspected] = field(default_factory=dict)
    opened: dict[str, float | None] = field(default_factory=dict)
    saved_at: float | None = None
    lefts: dict[str, Left] = field(default_factory=dict)
    starting: dict[str, float] = field(default_factory=dict)
    restarts: Restarts = field(default_factory=Restarts)
    ranks: set[int | None] = field(default_factory=set)
    running: set[str] = field(default_factory=set)
    failed: list[tuple[str, float]] = field(default_factory=list)

    def take(self, event: JobEvent) -> None:
        """Take in the next event, none of an earlier time being to come."""
        match event:
            case Incident():
                self._incident(event)
            case Outcome():
                self._outcome(event)
            case Membership():
                self._member(event)
            case NodeFate(state="failed"):
                if event.node in self.running:
                    self.failed.append((event.node, event.at))
                self.running.discard(event.node)
                self._settle(event.node, failed=True)

    def _incident(self, event: Incident) -> None:
        if event.state == "closed":
            self.suspected.pop(event.node, None)
            self.opened.pop(event.incident, None)
            return
        saved_at = self.opened.setdefault(event.incident, self.saved_at)
        self.suspected[event.node] = Suspected(event.incident, event.probability, event.horizon_s, saved_at)

    def _outcome(self, event: Outcome) -> None:
        match event.action:
            case "CHECKPOINT" if event.stage == "durable":
                self.saved_at = event.at
            case "MIGRATE":
                self._moved(event)
            case "RESTORE":
                self._restored(event)

    def _moved(self, event: Outcome) -> None:
        known = self.lefts.get(event.command)
        if known is None:
            known = Left(event.node, event.command, event.at, self.suspected.get(event.node))
        done = known.done or event.stage == "done"
        self.lefts[event.command] = replace(known, done=done)
        if done:
            self.running.discard(event.node)

    def _restored(self, event: Outcome) -> None:
        if event.stage in {"accepted", "staged", "durable"}:
            self.starting.setdefault(event.command, event.at)
        elif event.stage == "done" and event.command in self.starting:
            self.restarts = self.restarts.with_one(event.at - self.starting.pop(event.command))

    def _member(self, event: Membership) -> None:
        if event.state == "running":
            self.ranks.add(event.rank)
            self.running.add(event.node)
        else:
            self.running.discard(event.node)
        if event.state != "vacated":
            self._settle(event.node, failed=False)

    def _settle(self, node: str, *, failed: bool) -> None:
        """What became of a node that was left: the first that is told of it."""
        for command, left in self.lefts.items():
            if left.node == node and left.done and left.failed is None:
                self.lefts[command] = replace(left, failed=failed)
