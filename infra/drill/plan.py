"""What an arm of a drill is to do, and what it leaves behind for its account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from infra.drill.accounting import Start
from infra.drill.jobs import Work
from infra.drill.script import Strike
from infra.settings import Settings
from models.records import Command, Event, Outcome

ArmName = Literal["young", "forestall"]


@dataclass(frozen=True, slots=True)
class ArmPlan:
    """What one arm is to do.

    ``names`` are the nodes, of which the first ``ranks`` run one each and the others wait. ``placed`` are the job steps
    at which the strikes begin; None under Young, whose own checkpoints decide it. ``interval_steps`` is Young's
    interval in steps, as declared. ``worlds`` are the sizes that a job which may shrink (to ``min_nodes``) has to take
    after the last kill, one after the other; its nodes are repaired once it has trained for an interval in the first.
    """

    name: ArmName
    job: str
    settings: Settings
    script: tuple[Strike, ...]
    work: Work
    names: tuple[str, ...]
    ranks: int
    repair_s: float
    interval_steps: float
    placed: tuple[int, ...] | None
    min_nodes: int | None = None
    worlds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Struck:
    """One kill as it happened; ``passed`` is the share of the checkpoint interval that had passed, ``hit`` whether a
    rank died with the node.
    """

    strike: Strike
    node: str
    begun_at_step: int
    killed_at_step: int
    passed: float
    hit: bool


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """Everything an arm leaves behind for its account."""

    struck: tuple[Struck, ...]
    commands: Sequence[Command]
    events: Sequence[Event]
    starts: Sequence[Start]
    checkpoints: int
    lost_checkpoints: int
    weights: str | None
    repeated_steps: int
    losses: Mapping[int, float]
    logs: Path

    @property
    def outcomes(self) -> list[Outcome]:
        """What the agents told of the commands."""
        return [one for one in self.events if isinstance(one, Outcome)]
