"""The alert book: which alerts fire, which are over, and what of each has been told. No I/O, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from infra.alerts.kinds import BY_NAME, Kind

Status = Literal["firing", "resolved"]


@dataclass(slots=True)
class Alert:
    """One alert from when it began to when it was over (Unix s), and what of it the receiver has been told, and when.

    ``labels`` name it and hold no id; ``annotations`` say what a person needs: a summary, why, what is being done.
    """

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: float
    ends_at: float | None = None
    told: Status | None = None
    told_at: float | None = None

    @property
    def status(self) -> Status:
        """Whether it fires."""
        return "firing" if self.ends_at is None else "resolved"

    @property
    def kind(self) -> Kind:
        """Which alert it is."""
        return BY_NAME[self.labels["alertname"]]

    @property
    def fingerprint(self) -> str:
        """What names it for a receiver: the digest of its labels."""
        return fingerprint(self.labels)


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits for a set of labels, whatever their order.

    >>> fingerprint({"a": "1", "b": "2"}) == fingerprint({"b": "2", "a": "1"}) != fingerprint({"a": "1"})
    True
    """
    text = "\x1f".join(f"{name}\x1e{value}" for name, value in sorted(labels.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(slots=True)
class AlertBook:
    """Every alert of which the receiver has not yet been told the last word.

    What began before ``born`` (Unix s) and was over before anybody was told of it is not told at all: it is the past of
    a log that was there before the book.
    """

    born: float
    alerts: list[Alert] = field(default_factory=list)

    def fire(self, kind: Kind, at: float, annotations: Mapping[str, str], **labels: str | None) -> None:
        """An alert fires from ``at`` on, or goes on with newer words."""
        named = _labels(kind, labels)
        known = self._firing(named)
        if known is None:
            self.alerts.append(Alert(named, dict(annotations), at))
            return
        known.annotations = {**known.annotations, **annotations}

    def resolve(self, kind: Kind, at: float, **labels: str | None) -> None:
        """An alert is over, where it fires."""
        known = self._firing(_labels(kind, labels))
        if known is None:
            return
        known.ends_at = max(at, known.starts_at)
        if known.told is None and known.starts_at < self.born:
            self.alerts.remove(known)

    def firing(self, kind: Kind | None = None) -> list[Alert]:
        """The alerts that fire, of one kind or of all."""
        return [one for one in self.alerts if one.ends_at is None and (kind is None or one.kind == kind)]

    def due(self, now: float, repeat_s: float) -> list[Alert]:
        """What the receiver does not know yet, and what it has to be told again."""
        return [one for one in self.alerts if _is_due(one, now, repeat_s)]

    def note_told(self, alerts: list[Alert], statuses: list[Status], now: float) -> None:
        """The receiver has these, each as it stood then; what is over and told is forgotten."""
        for alert, status in zip(alerts, statuses, strict=True):
            alert.told, alert.told_at = status, now
        self.alerts = [one for one in self.alerts if one.told != "resolved"]

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"born": self.born, "alerts": [asdict(one) for one in self.alerts]}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> AlertBook:
        """As it was kept; alerts that this build does not know are left out."""
        known = (one for one in kept["alerts"] if one["labels"]["alertname"] in BY_NAME)
        return cls(kept["born"], [Alert(**one) for one in known])

    def _firing(self, labels: Mapping[str, str]) -> Alert | None:
        return next((one for one in self._open() if one.labels == labels), None)

    def _open(self) -> Iterator[Alert]:
        return (one for one in self.alerts if one.ends_at is None)


def _labels(kind: Kind, labels: Mapping[str, str | None]) -> dict[str, str]:
    given = {name: value for name, value in labels.items() if value is not None}
    return {"alertname": kind.name, "severity": kind.severity, **given}


def _is_due(alert: Alert, now: float, repeat_s: float) -> bool:
    if alert.told != alert.status:
        return True
    return alert.told_at is not None and now - alert.told_at >= repeat_s
