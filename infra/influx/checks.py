"""Checks: what InfluxDB itself watches for. Each names its runbook; who is told, and how, is the user's to choose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from infra.alerts.kinds import LETTERS_MAX, LETTERS_S
from infra.influx.as_template import PREFIX, Object, buckets_in, thing

Level = Literal["INFO", "WARN", "CRIT"]

RUNBOOKS: Final = "docs/runbooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A field that is looked at every ``every``, and the bound beyond which it is an alert.

    ``flux`` is what is made of the field's values before (InfluxDB puts the stretch of time in itself); a check without
    ``above`` and ``below`` is of silence: no value for ``silent_for``.
    """

    name: str
    says: str
    runbook: str
    level: Level
    measurement: str
    field: str
    flux: str = ""
    every: str = "1m"
    above: float | None = None
    below: float | None = None
    silent_for: str = "2m"


CHECKS: Final = (
    Check(
        name="node-failing",
        says="a node is about to fail",
        runbook="node-failing",
        level="CRIT",
        measurement="fleet",
        field="failing",
        flux="|> aggregateWindow(every: 1m, fn: max) |> toFloat()",
        above=0.5,
    ),
    Check(
        name="node-unknown",
        says="a node has sent nothing for more than three intervals",
        runbook="node-unknown",
        level="WARN",
        measurement="fleet",
        field="unknown",
        flux="|> aggregateWindow(every: 1m, fn: min) |> toFloat()",
        above=0.5,
    ),
    Check(
        name="dead-letters-rise",
        says="records cannot be read",
        runbook="dead-letters-rise",
        level="WARN",
        measurement="pipeline",
        field="dead_letters",
        flux=f"|> aggregateWindow(every: {LETTERS_S}s, fn: spread) |> toFloat()",
        every=f"{LETTERS_S}s",
        above=LETTERS_MAX,
    ),
    Check(
        name="command-refused",
        says="a command failed, expired or was refused",
        runbook="command-refused",
        level="WARN",
        measurement="outcome",
        field="stage_code",
        flux="|> aggregateWindow(every: 1m, fn: min) |> toFloat()",
        below=-0.5,
    ),
    Check(
        name="checkpoint-overhead",
        says="a job stands still for checkpoints for more than a fifth of its time",
        runbook="checkpoint-overhead",
        level="WARN",
        measurement="ledger",
        field="checkpoint_s",
        flux="|> derivative(unit: 1s, nonNegative: true) |> aggregateWindow(every: 1m, fn: mean)",
        every="10m",
        above=0.2,
    ),
    Check(
        name="worker-stale",
        says="no partition has been worked on",
        runbook="worker-stale",
        level="CRIT",
        measurement="pipeline",
        field="assessed",
    ),
)


def check_objects(bucket: str, runbooks: str) -> list[Object]:
    """The checks as objects of a template; ``runbooks`` is where the pages lie."""
    return [_object(check, bucket, f"{runbooks.rstrip('/')}/{check.runbook}.md") for check in CHECKS]


def _object(check: Check, bucket: str, page: str) -> Object:
    common = {
        "name": f"{PREFIX}: {check.name}",
        "description": f"{check.says}; runbook: {page}",
        "every": check.every,
        "offset": "15s",
        "status": "active",
        "query": buckets_in(_flux(check), bucket),
        "statusMessageTemplate": f"forestall: {check.says} (${{ r._level }}). Runbook: {page}",
        "tags": [{"key": "runbook", "value": check.runbook}],
    }
    name = f"{PREFIX}-check-{check.name}"
    if check.above is None and check.below is None:
        silence = {"timeSince": check.silent_for, "staleTime": "24h", "reportZero": False, "level": check.level}
        return thing("CheckDeadman", name, **common, **silence)
    kind, value = ("greater", check.above) if check.above is not None else ("lesser", check.below)
    threshold = {"type": kind, "level": check.level, "value": value, "allValues": False}
    return thing("CheckThreshold", name, **common, thresholds=[threshold])


def _flux(check: Check) -> str:
    return f"""from(bucket: @raw)
  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)
  |> filter(fn: (r) => r._measurement == "{check.measurement}")
  |> filter(fn: (r) => r._field == "{check.field}")
  {check.flux}
"""
