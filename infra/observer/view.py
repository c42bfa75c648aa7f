"""Everything the topics have told so far, folded into what a person looks at. No I/O, no clock."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from connectors.codecs.records import Inventory, decode_assessment, decode_command, decode_event, decode_inventory
from connectors.errors import InvalidRecord
from connectors.kafka.topics import ASSESSMENT, COMMAND, DEAD_LETTER, EVENT, INFLUX_KEY, INVENTORY
from infra.observer.brakes import BrakesView
from infra.observer.fleet import FleetView
from infra.observer.health import health_of
from infra.observer.job import JobView
from infra.observer.latency import Latencies
from infra.observer.record import LogRecord
from models.backtest.shadow import ShadowPolicies
from models.fleet_health import Standing
from models.job_account import JobAccount, JobAccounts
from models.records import (
    Assessment,
    BreakerReset,
    Command,
    Counts,
    Event,
    Incident,
    InventoryNode,
    JobEvent,
    Membership,
    NodeFate,
    OptOut,
    Outcome,
    Pause,
    Progress,
    ShadowCounts,
)

READS = (ASSESSMENT, COMMAND, EVENT, INVENTORY, DEAD_LETTER)
#: What can become of a frame that was read, and with the ticks all that is counted.
FATES = ("assessed", "history", "late", "duplicates", "dead_letters")
COUNTED = (*FATES, "ticks")
_HISTORY = b'"history":true'
COUNTS_KEY = b"counts"
REASONS_MAX, REASON_CHARS_MAX = 20, 60
Told = Assessment | Counts | Command | Event | Inventory


class View:
    """A fold over the records of ``READS``, in the order of each partition.

    The order between topics is not fixed, so nothing here depends on it. ``shadows`` are policies that fold the
    decision log too. ``points_refused`` counts records of points that InfluxDB refused, which are no dead letters.
    """

    def __init__(self, shadows: ShadowPolicies | None = None) -> None:
        self.shadows = shadows
        self.fleet = FleetView()
        self.brakes = BrakesView()
        self.standing = Standing()
        self.jobs: dict[str, JobView] = {}
        self.counts: dict[int, Counts] = {}
        self.outcomes: dict[str, int] = {}
        self.assessment_latency = Latencies()
        self.command_latency = Latencies()
        self.dead_letters = 0
        self.points_refused = 0
        self.dead_reasons: dict[str, int] = {}
        self.unreadable = 0
        self.last_appended: float | None = None
        self._live_from = -math.inf
        self._outcome_ids: set[str] = set()
        self._accounts = JobAccounts()

    def fold(self, record: LogRecord) -> Told | None:
        """Take one record in; returns what it says, or None when it says nothing new to a person.

        A record that cannot be read is counted in ``unreadable`` and otherwise passed over.
        """
        self.last_appended = max(self.last_appended or 0.0, record.appended)
        if record.topic == DEAD_LETTER:
            if record.key == INFLUX_KEY:
                self.points_refused += 1
            else:
                self.dead_letters += 1
                self._note_reason(record)
            return None
        if record.topic == ASSESSMENT and record.key != COUNTS_KEY and _HISTORY in record.value:
            self.fleet.node((record.key or b"").decode(errors="replace")).note_past(record.value, record.appended)
            return None
        try:
            return self._fold(record)
        except InvalidRecord:
            self.unreadable += 1
            return None

    def _fold(self, record: LogRecord) -> Told | None:
        if not record.value:
            return None
        if record.topic == ASSESSMENT:
            return self._assessment(decode_assessment(record.value), record)
        if record.topic == COMMAND:
            return self._command(decode_command(record.value), record)
        if record.topic == EVENT:
            event = decode_event(record.value)
            if self.shadows is not None:
                self.shadows.take(record.partition, record.offset, event)
            return self._event(event)
        if record.topic == INVENTORY:
            told = decode_inventory(record.value)
            if isinstance(told, InventoryNode):
                self.standing.take(told)
                self.job(told.job).note_member(told)
            return told
        return None

    def _note_reason(self, record: LogRecord) -> None:
        """Why a record could not be read, as its header says: bounded, for a reason may hold anything."""
        told = next((value for name, value in record.headers if name == "reason"), b"not told")
        reason = told.decode(errors="replace").split(":", 1)[0][:REASON_CHARS_MAX]
        if reason not in self.dead_reasons and len(self.dead_reasons) >= REASONS_MAX:
            reason = "other"
        self.dead_reasons[reason] = self.dead_reasons.get(reason, 0) + 1

    def live_from(self, ts: float) -> None:
        """Measure latencies anew, and of source times from ``ts`` on: what is older was waited with on purpose."""
        self._live_from = ts
        self.assessment_latency, self.command_latency = Latencies(), Latencies()

    def job(self, name: str) -> JobView:
        """The view of a job, made when it is first heard of."""
        view = self.jobs.get(name)
        if view is None:
            view = self.jobs[name] = JobView(name, self._accounts.of(name))
        return view

    def _assessment(self, told: Assessment | Counts, record: LogRecord) -> Told:
        if isinstance(told, Counts):
            known = self.counts.get(record.partition)
            if known is None or told.cause.offset >= known.cause.offset:
                self.counts[record.partition] = told
            return told
        if told.verdict != "unknown" and told.ts >= self._live_from:
            self.assessment_latency.note(told.ts, record.appended)
        self.fleet.node(told.node).note(told, record.appended)
        return told

    def _command(self, command: Command, record: LogRecord) -> Told | None:
        job = self.job(command.job)
        if command.id in job.commands:
            return None
        job.note_command(command, self.command_latency.note(command.issued_at, record.appended))
        return command

    def _event(self, event: Event) -> Told | None:
        match event:
            case Outcome():
                if event.id in self._outcome_ids:
                    return None
                self._outcome_ids.add(event.id)
                self.outcomes[event.stage] = self.outcomes.get(event.stage, 0) + 1
                self.job(event.job).note_outcome(event)
            case Incident():
                if event.job is not None:
                    self.job(event.job).note_incident(event)
            case Membership():
                self.standing.take(event)
                self.job(event.job).note_member(event)
            case Progress():
                self.job(event.job).note_progress(event)
            case Pause() | OptOut() | BreakerReset():
                self.brakes.note(event)
            case NodeFate():
                self.standing.take(event)
                for job in self.jobs.values() if event.job is None else [self.job(event.job)]:
                    job.note_fate(event)
        self._keep(event)
        return event

    def _keep(self, event: Event) -> None:
        """Every event goes to its job; the fate of a node of no job to each, as a ledger knows which it concerns."""
        if not isinstance(event, JobEvent):
            return
        for job in self.jobs.values() if event.job is None else [self.job(event.job)]:
            job.events.append(event)
        self._accounts.take(event)

    def accounts(self) -> dict[str, JobAccount]:
        """What each job's ledger is made of, by job (``infra/observer/account.py``), to be folded by who asked."""
        return {name: job.told.copied() for name, job in self.jobs.items()}

    def total(self, count: str) -> int:
        """One of the :class:`Counts` fields, summed over the partitions."""
        return sum(int(getattr(counts, count)) for counts in self.counts.values())

    def counted(self) -> dict[str, int]:
        """Every count, summed over the partitions."""
        return {name: self.total(name) for name in COUNTED}

    def overview(self) -> dict[str, Any]:
        """What the page shows at once: fleet, jobs, counts, latencies."""
        return {
            "nodes": self.fleet.cells(),
            "jobs": [self.jobs[name].to_json() for name in sorted(self.jobs)],
            "counts": self.counted(),
            "health": self.health(),
            "models": self.models(),
            "shadow_policies": [] if self.shadows is None else [asdict(one) for one in self.shadows.compared()],
            "outcomes": dict(self.outcomes),
            "unreadable": self.unreadable,
            "latency_ms": self.latency_ms(),
        }

    def health(self) -> dict[str, Any]:
        """The fleet health number with its terms."""
        return health_of(self.fleet, self.standing)

    def models(self) -> dict[str, Any]:
        """The models in use by digest, refused choices, and how a shadow compares, over the partitions that have it."""
        counts = list(self.counts.values())
        return {
            "active": sorted({one.model for one in counts if one.model}),
            "refused": sorted({one.refused for one in counts if one.refused is not None}),
            "shadow": _shadow([one.shadow for one in counts if one.shadow is not None]),
        }

    def latency_ms(self) -> dict[str, dict[str, float | None]]:
        """Percentiles from source time to the broker's append time, live records only."""
        return {
            "assessment": self.assessment_latency.summary(),
            "command": self.command_latency.summary(),
        }


def _shadow(found: list[ShadowCounts]) -> dict[str, Any] | None:
    """The comparison of a shadow over its partitions; None without one."""
    if not found:
        return None
    compared = sum(one.compared for one in found)
    return {
        "digest": found[-1].digest,
        "compared": compared,
        "mean_difference": round(sum(one.difference for one in found) / compared, 6) if compared else None,
        "active_only": sum(one.active_only for one in found),
        "shadow_only": sum(one.shadow_only for one in found),
    }
