"""What the decision log and the commands make fire: incidents, commands not carried out, commands unanswered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from infra.alerts.book import AlertBook
from infra.alerts.kinds import COMMAND_REFUSED, COMMAND_UNANSWERED, NODE_SUSPECT
from models.records import TERMINAL_STAGES, Command, Incident, Outcome

#: An agent may be a little late with its first word.
GRACE_S: Final = 15.0
#: A command that was not carried out is news for so long, unless a later one of its kind is.
NEWS_S: Final = 1800.0
_FALLEN: Final = frozenset({"rejected", "failed", "expired"})


@dataclass(slots=True)
class Given:
    """A command that may still be heard of."""

    job: str
    action: str
    node: str | None
    incident: str | None
    generation: int
    expires_at: float
    answered: bool = False


@dataclass(slots=True)
class Open:
    """An incident that lasts: its node and job, and what was done for it."""

    node: str
    job: str | None
    done: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Events:
    """A fold of the records into a book; ``commands`` and ``incidents`` by id."""

    book: AlertBook
    commands: dict[str, Given] = field(default_factory=dict)
    incidents: dict[str, Open] = field(default_factory=dict)

    def take(self, told: Incident | Command | Outcome) -> None:
        """Take one record in."""
        match told:
            case Incident():
                self._incident(told)
            case Command():
                self._command(told)
            case Outcome():
                self._outcome(told)

    def pass_time(self, now: float) -> None:
        """What follows from time alone (Unix s)."""
        for given in self.commands.values():
            if not given.answered and now > given.expires_at + GRACE_S:
                self._unanswered(given)
        self.commands = {key: one for key, one in self.commands.items() if now < one.expires_at + NEWS_S}
        for kind in (COMMAND_REFUSED, COMMAND_UNANSWERED):
            for alert in self.book.firing(kind):
                if now - alert.starts_at > NEWS_S:
                    self.book.resolve(kind, now, **_own(alert.labels))

    def _incident(self, told: Incident) -> None:
        if told.history:
            return
        if told.state == "closed":
            self.incidents.pop(told.incident, None)
            self.book.resolve(NODE_SUSPECT, told.at, node=told.node, job=told.job)
            return
        known = self.incidents.setdefault(told.incident, Open(told.node, told.job))
        self.book.fire(NODE_SUSPECT, told.at, _suspect(told, known), node=told.node, job=told.job)

    def _command(self, told: Command) -> None:
        self.commands[told.id] = Given(
            told.job, told.action, told.node, told.incident, told.generation, told.expires_at
        )
        self._doing(told.incident, f"{told.action} {told.generation} was given: {told.reason.rule}")

    def _outcome(self, told: Outcome) -> None:
        given = self.commands.get(told.command)
        if given is not None:
            given.answered = True
            if told.stage in TERMINAL_STAGES or told.stage == "durable":
                self._doing(given.incident, f"{told.action} {given.generation}: {told.stage} on {told.node}")
        about = {"job": told.job, "action": told.action, "node": told.node}
        if told.stage in _FALLEN:
            why = told.reason or "no reason was given"
            self.book.fire(
                COMMAND_REFUSED,
                told.at,
                {
                    "summary": f"{told.node} has not carried out {told.action} for {told.job}: {told.stage}",
                    "description": why,
                    "doing": "forestall decides anew; a command is tried twice",
                    "command": told.command,
                },
                **about,
            )
        if told.stage == "done":
            self.book.resolve(COMMAND_REFUSED, told.at, **about)
            self.book.resolve(COMMAND_UNANSWERED, told.at, job=told.job, action=told.action)

    def _unanswered(self, given: Given) -> None:
        given.answered = True
        who = "no agent of its ranks" if given.node is None else f"the agent of {given.node}"
        self.book.fire(
            COMMAND_UNANSWERED,
            given.expires_at,
            {
                "summary": f"{given.action} for {given.job} has expired, and {who} was heard of it",
                "description": "the agents are down, cannot reach the broker, or are not there at all",
                "doing": "forestall decides anew, and cannot do anything without its agents",
            },
            job=given.job,
            action=given.action,
        )

    def _doing(self, incident: str | None, line: str) -> None:
        known = self.incidents.get(incident or "")
        if known is None:
            return
        known.done = [*known.done[-4:], line]
        for alert in self.book.firing(NODE_SUSPECT):
            if alert.labels.get("node") == known.node:
                alert.annotations["doing"] = "; ".join(known.done)

    def to_json(self) -> dict[str, Any]:
        """As it is kept, the book included."""
        return {
            "book": self.book.to_json(),
            "commands": {key: asdict(one) for key, one in self.commands.items()},
            "incidents": {key: asdict(one) for key, one in self.incidents.items()},
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Events:
        """As it was kept."""
        return cls(
            AlertBook.from_json(kept["book"]),
            {key: Given(**one) for key, one in kept["commands"].items()},
            {key: Open(**one) for key, one in kept["incidents"].items()},
        )


def _suspect(told: Incident, known: Open) -> dict[str, str]:
    whose = "of no job" if told.job is None else f"of {told.job}"
    cause = (
        f"P(failure within {told.horizon_s:.0f} s) is {told.probability:.2f}"
        if told.reason == "probability"
        else f"an anomaly of {told.anomaly or 0:.1f} times its threshold, P {told.probability:.2f}"
    )
    return {
        "summary": f"{told.node} {whose} is suspected: {cause}",
        "description": f"transition deviation {told.deviation:.1f}; forestall explain {told.incident} says why",
        "doing": "; ".join(known.done) or "nothing yet: watched",
        "incident": told.incident,
    }


def _own(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in {"alertname", "severity"}}
