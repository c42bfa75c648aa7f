"""What a worker writes and is told, counted and put on its log as it goes by: commands, incidents, dead letters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

from connectors.codecs.records import decode_command, decode_event
from connectors.kafka import topics
from connectors.kafka.publisher import Outgoing
from infra.metrics import reasons
from models.records import Command, Event, Incident, Outcome
from streams.fold import Ordered

log = logging.getLogger("forestall.worker")


class Written:
    """Counts since the process began; the lanes' thread adds, a scrape reads.

    What an alert is made of begins at 0 and not with its first event, which no rate over time would see.
    """

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()
        self.incidents: Counter[tuple[str, str]] = Counter()
        self.dead_letters: Counter[tuple[str, str]] = Counter(
            {(topic, reason): 0 for topic in (topics.TELEMETRY, topics.EVENT) for reason in reasons.DEAD_LETTERS}
        )
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.refusals: Counter[tuple[str, str]] = Counter(
            {(stage, reason): 0 for stage in ("rejected", "expired", "failed") for reason in reasons.REFUSALS}
        )

    def assessed(self, _: Sequence[Ordered], repeatable: Sequence[Outgoing]) -> None:
        """What the assess stage writes; its assessments are too many to be looked at."""
        for one in repeatable:
            if one.topic == topics.DEAD_LETTER:
                self._dead_letter(one)
                continue
            told = decode_event(one.value)
            if isinstance(told, Incident):
                self._incident(told)

    def decided(self, ordered: Sequence[Ordered], repeatable: Sequence[Outgoing]) -> None:
        """What the decide stage writes."""
        for one in repeatable:
            if one.topic == topics.DEAD_LETTER:
                self._dead_letter(one)
        for command in ordered:
            self._command(decode_command(command.value))

    def observed(self, event: Event) -> None:
        """What the decide stage reads."""
        if not isinstance(event, Outcome):
            return
        self.outcomes[event.action, event.stage] += 1
        if event.stage in {"rejected", "expired", "failed"}:
            self.refusals[event.stage, reasons.refusal(event.reason)] += 1
            about = {"node": event.node, "job": event.job, "command": event.command, "action": event.action}
            log.warning(
                "%s %s %s on %s: %s",
                event.action,
                event.command,
                event.stage,
                event.node,
                event.reason or "no reason given",
                extra={**about, "stage": event.stage},
            )

    def _command(self, command: Command) -> None:
        self.commands[command.action] += 1
        about = {"command": command.id, "action": command.action, "job": command.job, "incident": command.incident}
        log.info(
            "%s %s for %s: %s",
            command.action,
            command.id,
            command.job if command.node is None else f"{command.job} on {command.node}",
            command.reason.rule,
            extra={**about, "node": command.node},
        )

    def _incident(self, incident: Incident) -> None:
        self.incidents[incident.state, incident.reason] += 1
        if incident.history or incident.state == "changed":
            return
        about = {"node": incident.node, "job": incident.job, "incident": incident.incident}
        log.info(
            "incident %s on %s %s: P %.2f by %s",
            incident.incident,
            incident.node,
            incident.state,
            incident.probability,
            incident.reason,
            extra=about,
        )

    def _dead_letter(self, letter: Outgoing) -> None:
        told = dict(letter.headers)
        topic, reason = told.get("topic", b"").decode(), told.get("reason", b"")
        self.dead_letters[topic, reasons.dead_letter(reason)] += 1
        if self.dead_letters.total() <= 10 or self.dead_letters.total() % 1000 == 0:
            log.warning(
                "a record of %s cannot be read: %s (%d so far)",
                topic,
                reason.decode(errors="replace"),
                self.dead_letters.total(),
                extra={"topic": topic},
            )
