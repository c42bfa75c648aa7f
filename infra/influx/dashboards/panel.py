"""What a dashboard is made of, whichever product shows it: panels, their Flux, units and colours.

In the Flux of a panel ``@raw`` and ``@hourly`` stand for the buckets, ``@job`` and ``@node`` for what was chosen above
the panels; ``v.timeRangeStart``, ``v.timeRangeStop`` and ``v.windowPeriod`` are given by InfluxDB and by Grafana alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: InfluxDB lays cells out on so many columns; one of its rows is about two of Grafana's, as is a column.
GRID_COLUMNS = 12

#: stat: the last value, large. lines, area (stacked): values over time, one series each. states: a coded value over
#: time, one row a series. table: rows as they are. text: what to read first.
Kind = Literal["stat", "lines", "area", "states", "table", "text"]
Unit = Literal["", "count", "share", "seconds", "milliseconds", "deviations", "bytes", "per second"]
Variable = Literal["job", "node"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel lies, in columns and rows of the grid of 12."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Step:
    """From this value on the number is shown in that colour."""

    above: float
    colour: str


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table, as it is called for people, its unit, and the colours of its values."""

    name: str
    title: str
    unit: Unit = ""
    colours: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Parameters
    ----------
    title, about : what it shows, and how to read it.
    flux : the query; empty for a text.
    series : the column that names a series; empty where there is one series.
    columns : of a table, in their order; any other query returns ``_time``, ``_value`` and ``series``.
    steps : colours by value, ascending; the first holds below its bound too.
    colours : by the name of a series.
    words : of a ``states`` panel: code → (word, colour).
    bounds : of the axis, where they are fixed.
    """

    title: str
    about: str
    kind: Kind
    place: Place
    flux: str = ""
    unit: Unit = ""
    decimals: int = 0
    series: str = ""
    columns: tuple[Column, ...] = ()
    steps: tuple[Step, ...] = ()
    colours: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    bounds: tuple[float, float] | None = None

    @property
    def returns(self) -> tuple[str, ...]:
        """The columns that its query has to return."""
        if self.kind == "text":
            return ()
        if self.columns:
            return tuple(column.name for column in self.columns)
        time = () if self.kind == "stat" else ("_time",)
        return (*time, "_value", *filter(None, [self.series]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Panels on one screen, what is chosen above them, and the stretch of time that it opens with."""

    name: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    variables: tuple[Variable, ...] = ()
    since: str = "1h"
