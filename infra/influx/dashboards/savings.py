"""Savings: what acting cost and saved, where the time went, and what another policy would have done."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from infra.influx.dashboards import flux as of
from infra.influx.dashboards.colours import ACCENT, FAILING, HEALTHY, SUSPECT, UNKNOWN
from infra.influx.dashboards.flux import kept, last_now, newest, points
from infra.influx.dashboards.job import TIME_SPENT
from infra.influx.dashboards.panel import Column, Dashboard, Panel, Place, Step, Unit
from infra.influx.dashboards.tables import JOB, ROWS_MAX, names


def _figure(title: str, about: str, field: str, column: int, steps: tuple[Step, ...], unit: Unit = "seconds") -> Panel:
    return Panel(
        title=title,
        about=about,
        kind="stat",
        place=Place(column, 0, 2, 2),
        unit=unit,
        decimals=0 if unit == "seconds" else 2,
        steps=steps,
        flux=last_now("ledger", field, of.JOB),
    )


_ANY = (Step(0, ACCENT),)
_GAIN = (Step(-1e9, FAILING), Step(0, HEALTHY))

_FIGURES: Final = (
    _figure(
        "Saved",
        "Estimate: what losing the nodes that were left would have cost, less what acting cost.",
        "saved_s",
        0,
        _GAIN,
    ),
    _figure("Saved, at least", "The lower end of the estimate.", "saved_low_s", 2, _GAIN),
    _figure("Saved, at most", "The upper end of the estimate.", "saved_high_s", 4, _GAIN),
    _figure("Acting cost", "Measured: checkpoints, moves, waiting, work done again.", "cost_s", 6, _ANY),
    _figure("Wasted in all", "Measured: wall time that was not productive.", "waste_s", 8, _ANY),
    _figure(
        "ETTR",
        "Productive time / wall time.",
        "ettr",
        10,
        (Step(0, FAILING), Step(0.8, SUSPECT), Step(0.9, HEALTHY)),
        "share",
    ),
)
_SAVED = Panel(
    title="Saved so far, with its interval",
    about="The estimate over time, its lower and its upper end. What it assumes: docs/assumptions.md.",
    kind="lines",
    place=Place(0, 2, 5, 4),
    unit="seconds",
    series="estimate",
    colours={"saved": HEALTHY, "saved_high": UNKNOWN, "saved_low": UNKNOWN},
    flux=f"""import "strings"

{points("ledger", "saved_s", "saved_low_s", "saved_high_s", where=of.JOB)}
  |> aggregateWindow(every: v.windowPeriod, fn: last, createEmpty: false)
  |> map(fn: (r) => ({{_time: r._time, _value: r._value, estimate: strings.trimSuffix(v: r._field, suffix: "_s")}}))
  |> group(columns: ["estimate"])""",
)
_LEDGER_COLUMNS = (
    JOB,
    Column("wall_s", "wall time", "seconds"),
    Column("ettr", "ETTR", "share"),
    Column("waste_s", "wasted", "seconds"),
    Column("cost_s", "acting cost", "seconds"),
    Column("nodes_left", "nodes left", "count"),
    Column("unforeseen_s", "losing them", "seconds"),
    Column("saved_s", "saved", "seconds"),
    Column("saved_low_s", "at least", "seconds"),
    Column("saved_high_s", "at most", "seconds"),
)
_LEDGERS = Panel(
    title="The ledger of each job",
    about="Of every job in the stretch that is shown, not of the chosen one alone.",
    kind="table",
    place=Place(0, 6, 12, 3),
    decimals=2,
    columns=_LEDGER_COLUMNS,
    flux=newest("ledger", *names(_LEDGER_COLUMNS)[1:], by=("job",))
    + kept(*names(_LEDGER_COLUMNS))
    + f'\n  |> sort(columns: ["job"])\n  |> limit(n: {ROWS_MAX})',
)
_SHADOW_COLUMNS = (
    Column("policy", "policy"),
    Column("commands", "commands", "count"),
    Column("differences", "of them others", "count"),
    Column("seconds", "would have saved", "seconds"),
)
_SHADOW_NOW = Panel(
    title="Policies in the shadow",
    about="What each would have commanded so far, how often otherwise than the active one, and what that would have "
    "saved the job; below 0: lost. Choose them with [shadow] policies.",
    kind="table",
    place=Place(0, 9, 5, 3),
    decimals=1,
    columns=_SHADOW_COLUMNS,
    flux=newest("shadow_policy", *names(_SHADOW_COLUMNS)[1:], by=("policy",), where=of.JOB)
    + kept(*names(_SHADOW_COLUMNS))
    + '\n  |> sort(columns: ["seconds"], desc: true)',
)
_SHADOW = Panel(
    title="What they would have saved",
    about="Above 0 the candidate would have been better than the active policy.",
    kind="lines",
    place=Place(5, 9, 7, 3),
    unit="seconds",
    series="policy",
    flux=f"""{points("shadow_policy", "seconds", where=of.JOB)}
  |> group(columns: ["policy"])
  |> aggregateWindow(every: v.windowPeriod, fn: last, createEmpty: false)"""
    + kept("_time", "_value", "policy"),
)


def _of_two_years(title: str, about: str, field: str, column: int, unit: Unit, steps: tuple[Step, ...]) -> Panel:
    return Panel(
        title=title,
        about=about,
        kind="lines",
        place=Place(column, 12, 6, 4),
        unit=unit,
        decimals=2,
        series="job",
        bounds=(0.0, 1.0) if unit == "share" else None,
        steps=steps,
        flux=f"""from(bucket: @hourly)
  |> range(start: -90d)
  |> filter(fn: (r) => r._measurement == "ledger")
  |> filter(fn: (r) => r._field == "{field}")
  |> aggregateWindow(every: 1h, fn: last, createEmpty: false)
  |> group(columns: ["job"])"""
        + kept("_time", "_value", "job"),
    )


SAVINGS: Final = Dashboard(
    name="savings",
    title="Savings",
    about="What acting cost and saved, where the time went, and what another policy would have done.",
    variables=("job",),
    since="6h",
    panels=(
        *_FIGURES,
        _SAVED,
        replace(TIME_SPENT, place=Place(5, 2, 7, 4)),
        _LEDGERS,
        _SHADOW_NOW,
        _SHADOW,
        _of_two_years(
            "ETTR of the last 90 days",
            "Hour by hour, of every job, whatever stretch is chosen; kept for two years.",
            "ettr",
            0,
            "share",
            (Step(0, FAILING), Step(0.9, HEALTHY)),
        ),
        _of_two_years(
            "Saved in the last 90 days",
            "Hour by hour, of every job: the estimate since the job began.",
            "saved_s",
            6,
            "seconds",
            (),
        ),
    ),
)
