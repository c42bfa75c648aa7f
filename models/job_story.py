"""A job's events put in order: its commands with their stages, the words of its ranks, and what became of its nodes.

Whatever order events came in, however often, the story is the same: each id counts once, and time is source time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from models.records import (
    TERMINAL_STAGES,
    Action,
    Event,
    Incident,
    JobEvent,
    Membership,
    NodeFate,
    Outcome,
    Progress,
)


@dataclass(slots=True)
class CommandStory:
    """The outcomes of one command, by time."""

    action: Action
    outcomes: list[Outcome] = field(default_factory=list)

    def at(self, *stages: str) -> float | None:
        """Return when one of these stages was first entered."""
        return next((one.at for one in self.outcomes if one.stage in stages), None)

    @property
    def accepted_at(self) -> float | None:
        """When an agent took it on; an acceptance that was never told is that of the next stage told."""
        return self.at("accepted", "staged", "durable", "done", "failed")

    @property
    def ended_at(self) -> float | None:
        """When it ended, whatever the end."""
        return self.at(*TERMINAL_STAGES)

    @property
    def done(self) -> Outcome | None:
        """The outcome that tells that the whole effect is there."""
        return next((one for one in self.outcomes if one.stage == "done"), None)


@dataclass(slots=True)
class JobStory:
    """One job's events by kind, each by time."""

    progress: list[Progress] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    memberships: list[Membership] = field(default_factory=list)
    fates: list[NodeFate] = field(default_factory=list)
    commands: dict[str, CommandStory] = field(default_factory=dict)
    first_at: float | None = None
    last_at: float | None = None

    def of(self, action: Action) -> list[CommandStory]:
        """Return the commands of one action, by the time of their first outcome."""
        return [story for story in self.commands.values() if story.action == action]

    def running_at(self, node: str, at: float) -> int | None:
        """Return the rank that ``node`` ran at a time."""
        words = [one for one in self.memberships if one.node == node and one.at <= at]
        return words[-1].rank if words and words[-1].state == "running" else None


def job_story(events: Iterable[Event], job: str) -> JobStory:
    """Return the story of ``job`` from events of any jobs in any order."""
    distinct: dict[str, JobEvent] = {}
    for event in events:
        if isinstance(event, JobEvent):
            distinct.setdefault(event.id, event)
    nodes = {event.node for event in distinct.values() if isinstance(event, Membership) and event.job == job}
    story = JobStory()
    for key in sorted(distinct, key=lambda one: (distinct[one].at, one)):
        event = distinct[key]
        if _concerns(event, job, nodes):
            _tell(story, event)
    return story


def _concerns(event: JobEvent, job: str, nodes: set[str]) -> bool:
    if isinstance(event, NodeFate) and event.job is None:
        return event.node in nodes
    return event.job == job


def _tell(story: JobStory, event: JobEvent) -> None:
    match event:
        case Progress():
            story.progress.append(event)
        case Incident():
            story.incidents.append(event)
        case Membership():
            story.memberships.append(event)
        case NodeFate():
            story.fates.append(event)
        case Outcome():
            story.commands.setdefault(event.command, CommandStory(event.action)).outcomes.append(event)
    begins = isinstance(event, Progress) or (isinstance(event, Membership) and event.state == "running")
    if story.first_at is None and begins:
        story.first_at = event.at
    if story.first_at is not None and not (isinstance(event, Incident) and event.history):
        story.last_at = event.at
