"""What the decide fold knows of one job. Facts only: what to do about them is in the modules beside this one.

Parts that are replaced whole are frozen; :class:`Job` itself, its rescues and its commands in flight are changed in
place by the fold that owns them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from models.brakes.state import Hold, Storm
from models.checkpointing import Accrual
from models.records import Action, Stage
from models.recovery import State
from models.trust import Trust, no_trust

#: A measured price moves this far towards each new measurement.
MEASURED_SHARE = 0.3
#: So many things that went wrong a reason tells, the newest.
FAILURES_MAX = 6
#: A command is tried once more and then given up.
TRIES_MAX = 2

Phase = Literal["saving", "watching", "migrating", "quarantining", "lost", "restoring", "settled"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands with the job since ``at``.

    ``left`` says why forestall has vacated it: it was ``suspected``, or ``surplus``, the job going on with whole
    replicas. What others vacated is none of its business.
    """

    state: Literal["running", "spare", "vacated", "failed"]
    at: float
    rank: int | None = None
    world: int | None = None
    left: Literal["suspected", "surplus"] | None = None


@dataclass(frozen=True, slots=True)
class Stray:
    """What a node that did not come along in a RESIZE ran before: a rank of a numbering that is no more.

    ``due`` is from when on it is to be ended, None while its node was not heard of since.
    """

    rank: int
    world: int | None
    due: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """A rank's newest word: its step, seconds a step, and the load of its machine in 0…1."""

    node: str
    at: float
    step: int
    step_s: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIncident:
    """A suspicion that lasts.

    ``peak`` is the largest probability since ``step_from``, where the health chain's current step began; ``told`` says
    that the node's failure has been learned from it, ``alarm`` that it was counted as an alarm.
    """

    node: str
    opened_at: float
    probability: float
    peak: float
    step_from: float
    deviation: float
    horizon_s: float
    history: bool
    evidence: tuple[str, ...]
    told: bool = False
    alarm: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An incident on a node that ran a rank, until its horizon is over: a claim that comes true or does not.

    ``dense`` says that it came amid others (``models.trust``), ``left`` that the rank has left the node since.
    """

    node: str
    at: float
    horizon_s: float
    dense: bool
    left: bool = False


@dataclass(frozen=True, slots=True)
class Saved:
    """The newest checkpoint that is durable at every rank: its step, when it was, and its command's generation."""

    step: int
    at: float
    generation: int


@dataclass(slots=True, kw_only=True)
class InFlight:
    """A command whose end is awaited, with the furthest stage of each rank (a one-node command has one entry, −1).

    ``late`` says that its deadline passed and something else was chosen; what still comes of it is then only noted.
    ``nodes`` are those of ``ranks``, and ``world`` is the new one, where ranks change their numbers (RESIZE);
    ``surplus`` says that the node is vacated because it fills no whole replica.
    """

    id: str
    action: Action
    generation: int
    incident: str | None
    node: str | None
    ranks: tuple[int, ...]
    issued_at: float
    expires_at: float
    late: bool = False
    nodes: tuple[str, ...] = ()
    world: int | None = None
    surplus: bool = False
    stages: dict[int, Stage] = field(default_factory=dict)
    steps: dict[int, int] = field(default_factory=dict)
    blocking_s: dict[int, float] = field(default_factory=dict)
    durable_s: dict[int, float] = field(default_factory=dict)
    failure: str | None = None
    done_s: float | None = None


@dataclass(slots=True, kw_only=True)
class Rescue:
    """One rank being brought to safety: CHECKPOINT → durable at every rank → MIGRATE → done → RESTORE → done.

    ``command`` is the one that it waits for, ``spare`` the node that it has reserved; ``hold`` what keeps it from going
    on; ``failures`` says what went wrong or held it since its last command, and the next one's reason tells it.
    ``moved_from`` is the health state that the node was left in; ``joins`` says that the rank is one of the world that
    a RESIZE under way makes, ``called_back`` that its spare is a node that was left on a suspicion.
    """

    key: str
    incident: str | None
    node: str
    rank: int
    begun_at: float
    phase: Phase = "saving"
    command: str | None = None
    spare: str | None = None
    saves: int = 0
    migrations: int = 0
    gave_up_saving: bool = False
    tried: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    moved_from: State | None = None
    joins: bool = False
    called_back: bool = False
    hold: Hold | None = None

    def wait(self, why: str | None, at: float) -> None:
        """Wait for something from now on, or (None) for nothing any more; what was waited for before is remembered."""
        before = self.hold
        if (before.why if before is not None else None) == why:
            return
        if before is not None:
            self.failures = (*self.failures, f"held {max(0.0, at - before.since):.0f} s: {before.why}")[-FAILURES_MAX:]
        self.hold = None if why is None else Hold(why, at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resizing:
    """A RESIZE under way: the nodes of the ranks that go on, in the order of their new numbers, and the new world.

    ``surplus`` are nodes that fill no whole replica of it.
    """

    command: str
    nodes: tuple[str, ...]
    world: int
    surplus: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Job:
    """One job: who runs it, how far it is, what is suspected, what is under way, and what its prices are.

    ``seen`` says since when each node has been known, ``min_nodes`` and ``replica_nodes`` what the job declares.
    ``full_world`` is the size that it grows back to, None unless it was made smaller; ``size`` that which it had last;
    ``growing`` the CHECKPOINT that it grows from, ``grow_after`` until when it is not tried again, ``hold`` what it
    waits for as a whole; ``strays`` what a RESIZE has left behind, by node.

    ``trust`` is what its alarms have earned, ``alarmed_at`` when the newest of them came, ``horizon_s`` the newest
    one's horizon, ``failed_at`` when a node that ran a rank was last told to have failed.
    """

    name: str
    places: dict[str, Place] = field(default_factory=dict)
    paces: dict[int, Pace] = field(default_factory=dict)
    incidents: dict[str, OpenIncident] = field(default_factory=dict)
    in_flight: dict[str, InFlight] = field(default_factory=dict)
    rescues: dict[str, Rescue] = field(default_factory=dict)
    generation: int = 0
    saved: Saved | None = None
    first_step: int | None = None
    accrual: Accrual = field(default_factory=Accrual)
    last_checkpoint_at: float | None = None
    last_checkpoint_generation: int = 0
    retries: int = 0
    failures: tuple[str, ...] = ()
    cost_s: float | None = None
    durable_s: float | None = None
    migrate_s: float | None = None
    restore_s: float | None = None
    trust: Trust = field(default_factory=no_trust)
    alarms: dict[str, Alarm] = field(default_factory=dict)
    alarmed_at: tuple[float, ...] = ()
    horizon_s: float | None = None
    failed_at: float | None = None
    seen: dict[str, float] = field(default_factory=dict)
    storm: Storm = field(default_factory=Storm)
    min_nodes: int | None = None
    replica_nodes: int | None = None
    resizing: Resizing | None = None
    resizes: int = 0
    full_world: int | None = None
    size: int | None = None
    growing: str | None = None
    grow_after: float | None = None
    hold: Hold | None = None
    strays: dict[str, Stray] = field(default_factory=dict)

    @property
    def ranks(self) -> tuple[int, ...]:
        """The ranks that run somewhere, ascending."""
        found = {place.rank for place in self.places.values() if place.state == "running"}
        return tuple(sorted(rank for rank in found if rank is not None))

    @property
    def whole(self) -> bool:
        """Whether every rank runs: all of the world that the members told of, and at least one."""
        ranks = self.ranks
        world = max((place.world or 0 for place in self.places.values() if place.state == "running"), default=0)
        return bool(ranks) and len(ranks) >= world and ranks == tuple(range(len(ranks)))

    @property
    def world(self) -> int | None:
        """How many ranks there are to be, as far as anybody told."""
        if self.resizing is not None:
            return self.resizing.world
        worlds = [place.world for place in self.places.values() if place.state == "running" and place.world is not None]
        return max(worlds, default=self.size)

    def remember_size(self) -> None:
        """Keep how many ranks there are, for when none of them runs any more."""
        if self.resizing is None:
            self.size = self.world

    @property
    def step(self) -> int | None:
        """The newest step that any rank told of."""
        return max((pace.step for pace in self.paces.values()), default=None)

    @property
    def step_s(self) -> float:
        """Seconds a step: the job goes as fast as its slowest rank."""
        return max((pace.step_s for pace in self.paces.values()), default=0.0)

    @property
    def load(self) -> float:
        """I of Eq. 2: the largest load of the job's machines."""
        return max((pace.load for pace in self.paces.values()), default=0.0)

    @property
    def told_at(self) -> float | None:
        """When a rank last told of its progress."""
        return max((pace.at for pace in self.paces.values()), default=None)

    @property
    def down(self) -> bool:
        """Whether a rank is known not to run, so that the job goes back to its last durable checkpoint anyway."""
        return any(rescue.phase in {"lost", "restoring"} for rescue in self.rescues.values())

    @property
    def unsaved_steps(self) -> int:
        """Steps that would be lost if a rank died now."""
        if self.step is None or self.down:
            return 0
        return max(0, self.step - (self.saved.step if self.saved else self.first_step or 0))

    @property
    def unsaved_s(self) -> float:
        """The same as time."""
        return self.unsaved_steps * self.step_s

    @property
    def checkpoint_in_flight(self) -> InFlight | None:
        """The CHECKPOINT whose end is awaited."""
        flights = (flight for flight in self.in_flight.values() if flight.action == "CHECKPOINT")
        return next((flight for flight in flights if not flight.late), None)

    def rank_on(self, node: str) -> int | None:
        """Return the rank that runs on ``node``."""
        place = self.places.get(node)
        return place.rank if place is not None and place.state == "running" else None

    def suspects(self, node: str) -> bool:
        """Whether an incident is open on ``node``."""
        return any(incident.node == node for incident in self.incidents.values())


def measured(known: float | None, seconds: float) -> float:
    """Return a price after one more measurement: the first is believed, later ones move it by a fixed share.

    >>> measured(None, 4.0), round(measured(4.0, 5.0), 9)
    (4.0, 4.3)
    """
    return seconds if known is None else known + MEASURED_SHARE * (seconds - known)
