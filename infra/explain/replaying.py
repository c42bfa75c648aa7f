"""Saying whether what was recomputed is what stands on the log, byte for byte, and if not in what it differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.codecs.records import encode_record
from connectors.kafka.topics import ASSESSMENT
from connectors.signing.seal import unsealed
from infra.explain.finding import CommandOnLog, IncidentOnLog
from infra.explain.subject import assessments
from infra.explain.watching import Seen
from infra.run_log import RunLog
from models.records import Command

#: An assessment is looked for so long after its frame came (s).
ASSESSED_S: Final = 600.0
DIFFERENCES_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Compared:
    """One record: what it is, where it stands, its bytes there and those recomputed (None: it does not come out)."""

    what: str
    place: str
    on_log: bytes
    recomputed: bytes | None

    @property
    def equal(self) -> bool:
        """Whether it comes out as it stands."""
        return self.on_log == self.recomputed

    def differences(self) -> Iterator[str]:
        """In what they differ, in words."""
        if self.recomputed is None:
            yield f"{self.what} ({self.place}) does not follow from the log"
            return
        for path, was, found in _differing(json.loads(self.on_log), json.loads(self.recomputed)):
            yield f"{self.what} ({self.place}): {path} is {was!r} on the log, {found!r} recomputed"


def replayed(compared: Sequence[Compared], missing: Sequence[str]) -> dict[str, Any]:
    """The verdict: ``equal`` is None where something that is needed is gone, so that nobody can tell."""
    differs = [words for one in compared for words in one.differences() if not one.equal]
    equal = False if differs else None if missing or not compared else True
    return {
        "equal": equal,
        "compared": [{"what": one.what, "place": one.place, "equal": one.equal} for one in compared],
        "differs": differs[:DIFFERENCES_TOLD],
        "not_recomputed": list(missing),
    }


def compare_command(found: CommandOnLog, commands: Sequence[Command]) -> Compared:
    """The command, without its seal, beside what the fold gave at its event."""
    again = next((one for one in commands if one.id == found.command.id), None)
    return Compared(
        f"command {found.command.action}",
        found.place,
        unsealed(found.raw),
        None if again is None else encode_record(again),
    )


def compare_incidents(records: Sequence[IncidentOnLog], seen: Seen) -> list[Compared]:
    """The records of an incident beside what the telemetry gives."""
    return [
        Compared(
            f"incident {one.incident.state}",
            one.place,
            one.raw,
            None if one.incident.id not in seen.incidents else encode_record(seen.incidents[one.incident.id]),
        )
        for one in records
    ]


def compare_assessment(log: RunLog, seen: Seen) -> list[Compared]:
    """The assessment of the frame beside what the telemetry gives; nothing where the log does not hold it."""
    for raw, told in assessments(log, seen.partition, seen.appended - 1.0, seen.appended + ASSESSED_S):
        if told.node == seen.node and told.cause.offset == seen.offset:
            again = seen.assessments.get(seen.offset)
            place = f"{ASSESSMENT}/{seen.partition}, of {seen.place}"
            return [Compared("assessment", place, raw, None if again is None else encode_record(again))]
        if told.cause.offset > seen.offset:
            break
    return []


def _differing(was: Any, found: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(was, Mapping) and isinstance(found, Mapping):
        for name in dict.fromkeys((*was, *found)):
            yield from _differing(was.get(name), found.get(name), f"{path}.{name}" if path else str(name))
    elif was != found:
        yield path, was, found
