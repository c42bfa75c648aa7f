"""Alertmanager's webhook payload, version 4: alerts of one name go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from infra.alerts.book import Alert

VERSION: Final = "4"
RECEIVER: Final = "forestall"
#: So many alerts a payload holds.
ALERTS_MAX: Final = 50
#: What Alertmanager writes for an end that has not come.
NEVER: Final = "0001-01-01T00:00:00Z"


def groups(alerts: Sequence[Alert]) -> Iterator[list[Alert]]:
    """The alerts of each name, at most ``ALERTS_MAX`` together, those that page first."""
    order = {"page": 0, "ticket": 1, "info": 2}
    by_name = sorted(alerts, key=lambda one: (order[one.kind.severity], one.kind.name, one.starts_at))
    for _, group in groupby(by_name, key=lambda one: one.kind.name):
        several = list(group)
        for first in range(0, len(several), ALERTS_MAX):
            yield several[first : first + ALERTS_MAX]


def payload(alerts: Sequence[Alert], runbooks: str, external: str) -> dict[str, Any]:
    """What is sent of alerts of one name; ``external`` is where a person finds more."""
    name = alerts[0].kind.name
    told = [_alert(one, runbooks, external) for one in alerts]
    return {
        "version": VERSION,
        "groupKey": f'{{}}:{{alertname="{name}"}}',
        "truncatedAlerts": 0,
        "status": "firing" if any(one.ends_at is None for one in alerts) else "resolved",
        "receiver": RECEIVER,
        "groupLabels": {"alertname": name},
        "commonLabels": _common([one["labels"] for one in told]),
        "commonAnnotations": _common([one["annotations"] for one in told]),
        "externalURL": external,
        "alerts": told,
    }


def _alert(alert: Alert, runbooks: str, external: str) -> dict[str, Any]:
    page = f"{runbooks.rstrip('/')}/{alert.kind.runbook}.md"
    return {
        "status": alert.status,
        "labels": dict(alert.labels),
        "annotations": {**alert.annotations, "runbook_url": page},
        "startsAt": _time(alert.starts_at),
        "endsAt": NEVER if alert.ends_at is None else _time(alert.ends_at),
        "generatorURL": external,
        "fingerprint": alert.fingerprint,
    }


def _common(several: Sequence[Mapping[str, str]]) -> dict[str, str]:
    return {name: value for name, value in several[0].items() if all(one.get(name) == value for one in several)}


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
