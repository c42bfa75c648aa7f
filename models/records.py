"""The records that travel: what forestall reads, concludes and orders.

Each is frozen, holds source times in Unix seconds, and knows nothing of its encoding (see ``connectors/codecs``).
Everything on the decision log (``control.event.v1``) is one of :data:`Event`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

IncidentReason = Literal["probability", "anomaly"]
Verdict = Literal["warming", "healthy", "suspect", "failing", "unknown"]
Action = Literal["CHECKPOINT", "QUARANTINE", "DRAIN", "MIGRATE", "RESIZE", "RESTORE"]
Stage = Literal["received", "accepted", "staged", "durable", "done", "failed", "expired", "rejected"]
ModelRole = Literal["active", "shadow"]
TERMINAL_STAGES: frozenset[Stage] = frozenset({"done", "failed", "expired", "rejected"})


@dataclass(frozen=True, slots=True)
class Frame:
    """One node's metrics at one source timestamp; a missing value is NaN."""

    node: str
    ts: float
    seq: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cause:
    """The input record, and the how-manieth output of it, that an output stands for."""

    partition: int
    offset: int
    index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What forestall holds of a node at ``ts``.

    ``probability`` is the calibrated P(failure within the artefact's horizon), ``deviation`` the transition deviation
    in standard deviations; both are None where the verdict is ``unknown`` or ``warming``. ``anomaly`` is the anomaly
    score over the node's own threshold, 1 an alarm; None until a day was learned. ``worst`` names the metrics of
    largest robust z with that z.
    """

    node: str
    ts: float
    verdict: Verdict
    cause: Cause
    job: str | None = None
    probability: float | None = None
    deviation: float | None = None
    anomaly: float | None = None
    incident: str | None = None
    worst: tuple[tuple[str, float], ...] = ()
    history: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowCounts:
    """How a second model, which commands nothing, compares with the active one since either was chosen.

    ``difference`` is the sum of |ΔP| over the ``compared`` assessments; ``active_only`` and ``shadow_only`` are those
    of them in which just one of the two said P ≥ θ.
    """

    digest: str
    compared: int
    difference: float
    active_only: int
    shadow_only: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Everything that one telemetry partition has seen, put out at each tick; nothing is dropped uncounted.

    ``model`` is the digest of the model in use, ``refused`` why the newest choice of one was not taken.
    """

    ts: float
    cause: Cause
    assessed: int = 0
    history: int = 0
    late: int = 0
    duplicates: int = 0
    dead_letters: int = 0
    ticks: int = 0
    members: int = 0
    models: int = 0
    missing_values: Mapping[str, int] = field(default_factory=dict)
    model: str = ""
    refused: str | None = None
    shadow: ShadowCounts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a command was given: the rule, its numbers, and the records it rests on (``topic/partition/offset``)."""

    rule: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a cluster agent is told to do.

    ``node`` is the node whose agent carries it out; None addresses the agents of every rank of the job. MIGRATE vacates
    ``node`` in favour of ``spare``, or of nobody where the job goes on smaller; RESTORE starts ``ranks`` on ``node``
    from the checkpoint at ``step``. RESIZE is for the agents of ``ranks``, ascending: each ends its rank and starts it
    again, from ``step``, as the rank of its index there. ``world`` is how many ranks there are from then on.
    """

    id: str
    action: Action
    job: str
    generation: int
    issued_at: float
    expires_at: float
    reason: Reason
    cause: Cause
    incident: str | None = None
    node: str | None = None
    spare: str | None = None
    ranks: tuple[int, ...] = ()
    step: int | None = None
    world: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One continuous episode of suspicion on one node, as it opens, changes or closes.

    ``reason`` says what holds it open: the fault probability, or an anomaly alone, which moves nothing by itself.
    """

    id: str
    job: str | None
    node: str
    at: float
    incident: str
    state: Literal["opened", "changed", "closed"]
    probability: float
    deviation: float
    horizon_s: float
    reason: IncidentReason = "probability"
    anomaly: float | None = None
    history: bool = False
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a command at one cluster agent, one for each stage entered (and rank).

    ``seconds`` is how long the stage took (staged: the blocking time; durable: until safe; done: the whole effect).
    """

    id: str
    job: str
    command: str
    action: Action
    node: str
    stage: Stage
    at: float
    rank: int | None = None
    step: int | None = None
    seconds: float | None = None
    bytes: int | None = None
    uri: str | None = None
    digest: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Where a node stands with a job: it runs a rank, waits as a spare, or was vacated.

    A job that declares both ``min_nodes`` and ``replica_nodes`` may go on smaller: with whole replicas of so many
    nodes, and never with fewer nodes than the first.
    """

    id: str
    job: str
    node: str
    at: float
    state: Literal["running", "spare", "vacated"]
    rank: int | None = None
    world: int | None = None
    min_nodes: int | None = None
    replica_nodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A rank's step, loss and pace (seconds a step), and the load of its machine in 0…1.

    ``loss`` is None where it is no number: training that has diverged goes on, and so must what is told of it.
    """

    id: str
    job: str
    node: str
    rank: int
    at: float
    step: int
    loss: float | None
    step_s: float
    load: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFate:
    """A real failure or recovery of a node; these become labels."""

    id: str
    job: str | None
    node: str
    at: float
    state: Literal["failed", "recovered"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """Source time as a record.

    ``history`` is told by who loads a past: True, what comes is not acted upon; False, the present begins. The owner of
    a partition tells the time alone (None), and is not heard while a past is loaded.
    """

    at: float
    history: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Somebody has forestall do nothing more for a job (None: for any), or go on; the newest word on each holds."""

    id: str
    at: float
    job: str | None
    paused: bool
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """Somebody keeps a node out of what forestall does: it is never moved and never a spare; or takes that back."""

    id: str
    at: float
    node: str
    out: bool
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerReset:
    """Somebody has looked at why the breaker tripped, and closes it."""

    id: str
    at: float
    by: str
    why: str


JobEvent = Incident | Outcome | Membership | Progress | NodeFate
Brake = Pause | OptOut | BreakerReset
Event = JobEvent | Tick | Brake


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryNode:
    """Who runs what, as told on ``cluster.inventory.v1`` by the node's cluster agent or the user's scheduler.

    ``min_nodes`` and ``replica_nodes`` are what the job declares (see :class:`Membership`).
    """

    node: str
    at: float
    state: Literal["running", "spare", "vacated"]
    job: str
    rank: int | None = None
    world: int | None = None
    min_nodes: int | None = None
    replica_nodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryModel:
    """Which model workers use in a role, by digest, as told on ``cluster.inventory.v1``; None: no shadow."""

    role: ModelRole
    digest: str | None
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryPause:
    """A pause of a job (None: of all), or its end, as an operator tells it; see :class:`Pause`."""

    job: str | None
    at: float
    paused: bool
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryOptOut:
    """A node kept out of what forestall does, or no more, as an operator tells it; see :class:`OptOut`."""

    node: str
    at: float
    out: bool
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryBreaker:
    """The breaker is closed by an operator; see :class:`BreakerReset`."""

    at: float
    by: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InventorySettings:
    """What a worker decides with from ``at`` on, as it tells at its start on ``cluster.inventory.v1``.

    ``policy`` and ``incident`` hold every field of :class:`models.policy_settings.PolicySettings` and
    :class:`models.incident.IncidentSettings`, ``model`` the digest of the artefact in the worker's settings.
    """

    at: float
    policy: Mapping[str, bool | int | float | str]
    incident: Mapping[str, bool | int | float | str]
    model: str


def digest_id(*parts: object) -> str:
    """A deterministic identifier of 16 hexadecimal digits for an ordered tuple of parts.

    >>> digest_id("incident", "n17", "telemetry.node.v1", 0, 812)
    '96ffe0ce8e12c488'
    """
    text = "\x1f".join("" if part is None else str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def command_id(job: str, target: str | None, action: Action, incident: str | None, generation: int) -> str:
    """The deterministic identifier of a command (design, section 6)."""
    return digest_id(job, target, action, incident, generation)
