"""Commands that agents did not carry out, by the reason that they gave."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from models.records import Outcome

_STAGES: Final = frozenset({"rejected", "expired", "failed"})
#: What differs from one command to the next: ids, numbers, names in quotes.
_OWN: Final = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8,}\b|\d+(?:\.\d+)?")
_CHARS_MAX: Final = 120


@dataclass(slots=True)
class Refusal:
    """How often a reason was given, and when and by whom last, in its own words."""

    count: int = 0
    at: float = 0.0
    node: str = ""
    said: str = ""


@dataclass(slots=True)
class Refusals:
    """Refusals by stage and by what their reasons have in common."""

    found: dict[tuple[str, str], Refusal] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def note(self, told: object) -> None:
        """Take in what the view heard; anything but the end of a command that was not carried out says nothing here."""
        if not isinstance(told, Outcome) or told.stage not in _STAGES or told.id in self._seen:
            return
        self._seen.add(told.id)
        one = self.found.setdefault((told.stage, kind_of(told.reason)), Refusal())
        one.count += 1
        if told.at >= one.at:
            one.at, one.node, one.said = told.at, told.node, (told.reason or "")[:_CHARS_MAX]

    def to_json(self) -> list[dict[str, Any]]:
        """The most frequent first."""
        ordered = sorted(self.found.items(), key=lambda pair: (-pair[1].count, pair[0]))
        return [
            {"stage": stage, "reason": kind, "count": one.count, "at": one.at, "node": one.node, "said": one.said}
            for (stage, kind), one in ordered
        ]


def kind_of(reason: str | None) -> str:
    """What a reason has in common with others of its kind.

    >>> kind_of("expired: 12.5 s ago"), kind_of(None)
    ('expired', 'no reason given')
    """
    head = (reason or "").partition(":")[0]
    return _OWN.sub("…", head).strip()[:_CHARS_MAX] or "no reason given"
