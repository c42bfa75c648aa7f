"""What is known of one job: its ranks, its incidents, and each command with every acknowledgement."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from models.job_account import JobAccount
from models.records import (
    TERMINAL_STAGES,
    Command,
    Event,
    Incident,
    InventoryNode,
    Membership,
    NodeFate,
    Outcome,
    Progress,
)

LOSSES_MAX = 900
COMMANDS_MAX = 500
INCIDENTS_MAX = 500
#: Events kept for what looks back a little: over an hour of four ranks. The ledger keeps its own account.
EVENTS_MAX = 20_000
FATES_MAX = 200


@dataclass(slots=True)
class CommandView:
    """A command, how long it took from its cause (ms), and the stages that each agent and rank entered."""

    command: Command
    latency_ms: float | None = None
    acknowledged: dict[tuple[str, int | None], list[Outcome]] = field(default_factory=dict)

    def note(self, outcome: Outcome) -> None:
        """A stage that was entered; the same outcome told again changes nothing."""
        stages = self.acknowledged.setdefault((outcome.node, outcome.rank), [])
        if all(known.stage != outcome.stage for known in stages):
            stages.append(outcome)

    def ended(self, stage: str) -> list[Outcome]:
        """Every outcome of that stage."""
        return [outcome for stages in self.acknowledged.values() for outcome in stages if outcome.stage == stage]

    def to_json(self) -> dict[str, Any]:
        """For the page and the summary."""
        command = self.command
        rows = sorted(self.acknowledged.items(), key=lambda row: (row[0][1] is not None, row[0][1] or 0, row[0][0]))
        return {
            "id": command.id,
            "action": command.action,
            "job": command.job,
            "node": command.node,
            "spare": command.spare,
            "ranks": list(command.ranks),
            "step": command.step,
            "incident": command.incident,
            "issued_at": command.issued_at,
            "latency_ms": self.latency_ms,
            "reason": {
                "rule": command.reason.rule,
                "numbers": dict(command.reason.numbers),
                "evidence": list(command.reason.evidence),
            },
            "acknowledged": [
                {"node": node, "rank": rank, "stages": [_stage(outcome) for outcome in stages]}
                for (node, rank), stages in rows
            ],
        }


def _stage(outcome: Outcome) -> dict[str, Any]:
    return {
        "stage": outcome.stage,
        "at": outcome.at,
        "step": outcome.step,
        "seconds": outcome.seconds,
        "bytes": outcome.bytes,
        "reason": outcome.reason,
        "terminal": outcome.stage in TERMINAL_STAGES,
    }


class JobView:
    """One job, folded from the decision log, the command topic and the inventory, in whatever order they arrive."""

    def __init__(self, job: str, told: JobAccount | None = None) -> None:
        self.job = job
        self.members: dict[str, InventoryNode | Membership] = {}
        self.ranks: dict[int, Progress] = {}
        self.losses: deque[tuple[float, int, float]] = deque(maxlen=LOSSES_MAX)
        self.commands: dict[str, CommandView] = {}
        self.incidents: dict[str, Incident] = {}
        self.opened_at: dict[str, float] = {}
        self.step_max = 0
        self.events: deque[Event] = deque(maxlen=EVENTS_MAX)
        self.told = told or JobAccount(job)
        self.fates: deque[NodeFate] = deque(maxlen=FATES_MAX)
        self._early: dict[str, list[Outcome]] = {}

    def note_command(self, command: Command, latency_ms: float | None) -> bool:
        """A command; False when its id is known already."""
        if command.id in self.commands:
            return False
        view = self.commands[command.id] = CommandView(command, latency_ms)
        for outcome in self._early.pop(command.id, []):
            view.note(outcome)
        _forget_oldest(self.commands, COMMANDS_MAX)
        return True

    def note_outcome(self, outcome: Outcome) -> None:
        """A stage of a command; one whose command was not read yet waits for it."""
        view = self.commands.get(outcome.command)
        if view is not None:
            view.note(outcome)
            return
        self._early.setdefault(outcome.command, []).append(outcome)
        _forget_oldest(self._early, COMMANDS_MAX)

    def note_incident(self, incident: Incident) -> None:
        """An incident opened, changed or closed."""
        if incident.state == "opened":
            self.opened_at.setdefault(incident.incident, incident.at)
        self.incidents[incident.incident] = incident
        _forget_oldest(self.incidents, INCIDENTS_MAX)
        _forget_oldest(self.opened_at, INCIDENTS_MAX)

    def note_progress(self, progress: Progress) -> None:
        """A rank's step and loss; the loss curve is that of the lowest rank."""
        self.ranks[progress.rank] = progress
        self.step_max = max(self.step_max, progress.step)
        if progress.rank == min(self.ranks) and progress.loss is not None:
            self.losses.append((progress.at, progress.step, progress.loss))

    def note_member(self, member: InventoryNode | Membership) -> None:
        """Where a node stands with the job; the newest word counts."""
        known = self.members.get(member.node)
        if known is None or member.at >= known.at:
            self.members[member.node] = member

    def note_fate(self, fate: NodeFate) -> None:
        """A node that really failed or came back runs nothing of this job until it says so."""
        member = self.members.get(fate.node)
        if fate.job == self.job or member is not None:
            self.fates.append(fate)
        if member is not None and fate.state == "failed" and fate.at >= member.at:
            self.members[fate.node] = Membership(id=fate.id, job=self.job, node=fate.node, at=fate.at, state="vacated")

    def node_of(self, rank: int) -> str | None:
        """The node that runs a rank, by the newest membership."""
        running = [m for m in self.members.values() if m.state == "running" and m.rank == rank]
        return max(running, key=lambda member: member.at).node if running else None

    def to_json(self) -> dict[str, Any]:
        """For the page."""
        return {
            "job": self.job,
            "step": self.step_max,
            "ranks": [self._rank(rank) for rank in self._all_ranks()],
            "spares": sorted(m.node for m in self.members.values() if m.state == "spare"),
            "vacated": sorted(m.node for m in self.members.values() if m.state == "vacated"),
            "losses": [[round(at, 2), step, float(f"{loss:.6g}")] for at, step, loss in self.losses],
            "commands": [view.to_json() for view in self.commands.values()],
            "incidents": [self._incident(incident) for incident in self.incidents.values()],
            "fates": [{"node": fate.node, "at": fate.at, "state": fate.state} for fate in self.fates],
        }

    def _all_ranks(self) -> list[int]:
        told = {m.rank for m in self.members.values() if m.state == "running" and m.rank is not None}
        return sorted(told | set(self.ranks))

    def _rank(self, rank: int) -> dict[str, Any]:
        progress = self.ranks.get(rank)
        row: dict[str, Any] = {"rank": rank, "node": self.node_of(rank)}
        if progress is not None:
            row |= {
                "step": progress.step,
                "loss": progress.loss,
                "step_s": progress.step_s,
                "load": progress.load,
                "at": progress.at,
            }
        return row

    def _incident(self, incident: Incident) -> dict[str, Any]:
        return {
            "id": incident.incident,
            "node": incident.node,
            "state": incident.state,
            "opened_at": self.opened_at.get(incident.incident),
            "at": incident.at,
            "probability": incident.probability,
            "deviation": incident.deviation,
            "horizon_s": incident.horizon_s,
            "history": incident.history,
        }


def _forget_oldest(kept: dict[str, Any], most: int) -> None:
    while len(kept) > most:
        del kept[next(iter(kept))]
