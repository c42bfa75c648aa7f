"""Downsampling tasks: every hour, what is kept for two years is made of what is kept for two weeks.

Each run makes the last hours anew, so that points which came late (InfluxDB or the sink was away) are in it too. The
point of an hour stands at its beginning, and made again it is the same point.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from connectors.influx.schema import LEDGER_POINT, SHADOW_POLICY_POINT
from infra.influx.as_template import PREFIX, Object, buckets_in, thing

#: last keeps the field's name; each other is part of the name that the field has then.
How = Literal["last", "max", "mean", "count"]

#: So many whole hours are made anew each time.
HOURS_AGAIN: Final = 6
#: After the full hour, that what is on its way has come.
OFFSET: Final = "5m"


@dataclass(frozen=True, slots=True)
class Kept:
    """Of a measurement, which fields are kept and how: the hour's last value, its highest, its mean, or how many."""

    measurement: str
    how: How
    fields: tuple[str, ...]

    def named(self, field: str) -> str:
        """The field's name in the bucket of hours."""
        return field if self.how == "last" else f"{field}_{self.how}"


_VERDICTS = ("healthy", "warming", "unknown", "suspect", "failing")
KEPT: Final = (
    Kept("assessment", "max", ("verdict_code", "probability", "deviation", "anomaly")),
    Kept("assessment", "mean", ("probability",)),
    Kept("incident", "count", ("state_code",)),
    Kept("command", "count", ("generation",)),
    Kept("outcome", "count", ("stage_code",)),
    Kept("outcome", "max", ("seconds",)),
    Kept("ledger", "last", tuple(field.name for field in LEDGER_POINT.fields)),
    Kept("fleet", "mean", (*_VERDICTS, "health")),
    Kept("fleet", "max", ("failing", "in_incident", "worst_probability")),
    Kept("pipeline", "last", ("assessed", "history", "late", "duplicates", "dead_letters", "missing_values")),
    Kept("pipeline", "max", ("delay_s",)),
    Kept("shadow_policy", "last", tuple(field.name for field in SHADOW_POLICY_POINT.fields)),
)


def task_objects(bucket: str) -> list[Object]:
    """One task a measurement, as objects of a template."""
    measurements = dict.fromkeys(kept.measurement for kept in KEPT)
    return [
        thing(
            "Task",
            f"{PREFIX}-hourly-{name.replace('_', '-')}",
            name=f"{PREFIX}: {name}, by the hour",
            description=f"the last {HOURS_AGAIN} hours of {name} into {bucket}_hourly",
            every="1h",
            offset=OFFSET,
            query=buckets_in(_flux([kept for kept in KEPT if kept.measurement == name]), bucket),
        )
        for name in measurements
    ]


def _flux(several: list[Kept]) -> str:
    head = f"""import "date"

since = date.truncate(t: date.sub(d: {HOURS_AGAIN}h, from: now()), unit: 1h)
until = date.truncate(t: now(), unit: 1h)
"""
    return "\n".join([head, *map(_kept, several)])


def _kept(one: Kept) -> str:
    named = "" if one.how == "last" else f'\n  |> map(fn: (r) => ({{r with _field: r._field + "_{one.how}"}}))'
    fields = " or ".join(f'r._field == "{name}"' for name in one.fields)
    return f"""from(bucket: @raw)
  |> range(start: since, stop: until)
  |> filter(fn: (r) => r._measurement == "{one.measurement}")
  |> filter(fn: (r) => {fields})
  |> aggregateWindow(every: 1h, fn: {one.how}, timeSrc: "_start", createEmpty: false){named}
  |> to(bucket: @hourly)
"""
