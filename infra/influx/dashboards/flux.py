"""Pieces of Flux that panels are put together from."""

from __future__ import annotations

from typing import Final

JOB: Final = "r.job == @job"
NODE: Final = "r.node == @node"


def points(measurement: str, *fields: str, where: str = "", bucket: str = "@raw") -> str:
    """The points of the stretch that is looked at; ``where`` is a condition on the tags of ``r``."""
    lines = [
        f"from(bucket: {bucket})",
        "  |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
        f'  |> filter(fn: (r) => r._measurement == "{measurement}")',
        "  |> filter(fn: (r) => " + " or ".join(f'r._field == "{name}"' for name in fields) + ")",
    ]
    if where:
        lines.append(f"  |> filter(fn: (r) => {where})")
    return "\n".join(lines)


def newest(measurement: str, *fields: str, by: tuple[str, ...], where: str = "") -> str:
    """The newest point of each ``by``, its fields as columns: a field that it lacks is not taken from an older one."""
    columns = ", ".join(f'"{name}"' for name in by)
    return f"""{points(measurement, *fields, where=where)}
  |> last()
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group(columns: [{columns}])
  |> sort(columns: ["_time"])
  |> tail(n: 1)
  |> group()"""


def rows(measurement: str, *fields: str, where: str = "") -> str:
    """Every point as a row, its fields as columns, and its time as ``at``."""
    return f"""{points(measurement, *fields, where=where)}
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> rename(columns: {{_time: "at"}})"""


def sum_now(measurement: str, field: str, where: str = "") -> str:
    """The newest values of a field, added up over all series."""
    return f"""{points(measurement, field, where=where)}
  |> last()
  |> group()
  |> sum()
  |> keep(columns: ["_value"])"""


def last_now(measurement: str, field: str, where: str) -> str:
    """The newest value of a field, of whichever series has it."""
    return f"""{points(measurement, field, where=where)}
  |> last()
  |> group()
  |> sort(columns: ["_time"])
  |> tail(n: 1)
  |> keep(columns: ["_value"])"""


def kept(*columns: str, newest_first: str = "", most: int = 0) -> str:
    """Only these columns; sorted by ``newest_first`` and no more than ``most`` rows, where they are given."""
    named = ", ".join(f'"{name}"' for name in columns)
    lines = [f"  |> keep(columns: [{named}])"]
    if newest_first:
        lines.append(f'  |> sort(columns: ["{newest_first}"], desc: true)')
    if most:
        lines.append(f"  |> limit(n: {most})")
    return "\n" + "\n".join(lines)
