"""One input record of the decision log being decided on: its time, its cause, and the commands given so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.decision_state import DecisionState
from models.job import InFlight, Job
from models.records import Action, Cause, Command, Reason, command_id

EVENT_TOPIC = "control.event.v1"


def position(cause: Cause) -> str:
    """Return the place of an input record on the decision log, as evidence names it.

    >>> position(Cause(partition=1, offset=7))
    'control.event.v1/1/7'
    """
    return f"{EVENT_TOPIC}/{cause.partition}/{cause.offset}"


@dataclass(slots=True, kw_only=True)
class Turn:
    """What came in (``at``: its source time), and what goes out because of it. ``tick`` says that it is a tick."""

    state: DecisionState
    at: float
    cause: Cause
    tick: bool
    commands: list[Command] = field(default_factory=list)

    @property
    def clock(self) -> float:
        """The time by which brakes and waits are counted: that of the newest tick, which no other record can turn."""
        return self.at if self.state.now is None else self.state.now

    @property
    def may_act(self) -> bool:
        """Whether commands may be given at all: not while history is loaded, and from level ``checkpoint`` on."""
        return not self.state.loading and self.state.settings.allows("checkpoint")

    def issue(
        self,
        job: Job,
        action: Action,
        rule: str,
        numbers: Mapping[str, float],
        *,
        evidence: tuple[str, ...] = (),
        incident: str | None = None,
        node: str | None = None,
        spare: str | None = None,
        ranks: tuple[int, ...] = (),
        step: int | None = None,
        world: int | None = None,
        nodes: tuple[str, ...] = (),
    ) -> str:
        """Give a command, await its end, and return its id; ``nodes`` are those of ranks that a RESIZE renumbers."""
        job.generation += 1
        command = Command(
            id=command_id(job.name, node, action, incident, job.generation),
            action=action,
            job=job.name,
            generation=job.generation,
            issued_at=self.at,
            expires_at=self.at + self.state.settings.command_ttl_s,
            reason=Reason(rule=rule, numbers=_rounded(numbers), evidence=self._evidence(evidence)),
            cause=Cause(self.cause.partition, self.cause.offset, self.cause.index + len(self.commands)),
            incident=incident,
            node=node,
            spare=spare,
            ranks=ranks,
            step=step,
            world=world,
        )
        job.in_flight[command.id] = _in_flight(command, nodes)
        self.commands.append(command)
        return command.id

    def _evidence(self, before: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*before, position(self.cause))))


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    """Return numbers to 12 digits: the last ones of exp and erfc differ between machines, and so would the commands."""
    return {name: float(f"{value:.12g}") for name, value in numbers.items()}


def _in_flight(command: Command, nodes: tuple[str, ...]) -> InFlight:
    return InFlight(
        id=command.id,
        action=command.action,
        generation=command.generation,
        incident=command.incident,
        node=command.node,
        ranks=command.ranks,
        issued_at=command.issued_at,
        expires_at=command.expires_at,
        nodes=nodes,
        world=command.world,
    )
