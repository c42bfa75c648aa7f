"""Fleet: is anything wrong, where, and what is being done about it?"""

from __future__ import annotations

from typing import Final

from infra.influx.dashboards.colours import ACCENT, FAILING, HEALTHY, SUSPECT, UNKNOWN, VERDICTS
from infra.influx.dashboards.flux import kept, newest, points, sum_now
from infra.influx.dashboards.panel import Column, Dashboard, Panel, Place, Step
from infra.influx.dashboards.tables import (
    DEVIATION,
    JOB,
    NODE,
    PROBABILITY,
    ROWS_MAX,
    VERDICT,
    commands,
    incidents,
    names,
)

WORST: Final = 10

_FIRST = Panel(
    title="At three in the morning",
    about="**Red number?** See *Nodes to look at*, and choose the node on the Node dashboard. **What was done?** "
    "*Commands, and why*; `forestall explain ID` tells of one. **Stop it all:** `forestall pause`. Runbooks: "
    "`docs/runbooks`.",
    kind="text",
    place=Place(0, 0, 12, 1),
)


def _count(title: str, about: str, field: str, column: int, colour: str) -> Panel:
    return Panel(
        title=title,
        about=about,
        kind="stat",
        place=Place(column, 1, 2, 2),
        unit="count",
        steps=(Step(0, HEALTHY), Step(1, colour)),
        flux=sum_now("fleet", field),
    )


_HEALTH = Panel(
    title="Fleet health",
    about="Of 100: how much of the fleet is known to be fit for work over the predictor's horizon (docs/glossary.md).",
    kind="stat",
    place=Place(0, 1, 2, 2),
    decimals=1,
    steps=(Step(0, FAILING), Step(90, SUSPECT), Step(97, HEALTHY)),
    flux=f"""{points("fleet", "health", "nodes")}
  |> last()
  |> toFloat()
  |> pivot(rowKey: ["partition"], columnKey: ["_field"], valueColumn: "_value")
  |> filter(fn: (r) => exists r.health and exists r.nodes)
  |> group()
  |> reduce(
      identity: {{nodes: 0.0, sum: 0.0}},
      fn: (r, accumulator) => ({{nodes: accumulator.nodes + r.nodes, sum: accumulator.sum + r.nodes * r.health}}),
  )
  |> filter(fn: (r) => r.nodes > 0.0)
  |> map(fn: (r) => ({{_value: r.sum / r.nodes}}))""",
)
_COMMANDS = Panel(
    title="Commands",
    about="How many were given in the stretch that is shown.",
    kind="stat",
    place=Place(10, 1, 2, 2),
    unit="count",
    steps=(Step(0, ACCENT),),
    flux=f"""{points("command", "generation")}
  |> group()
  |> count()
  |> keep(columns: ["_value"])""",
)
_VERDICTS = Panel(
    title="Nodes by verdict",
    about="How many nodes have which verdict. Unknown: no data, which is never taken for health.",
    kind="area",
    place=Place(0, 3, 6, 4),
    unit="count",
    series="verdict",
    colours=VERDICTS,
    flux=f"""{points("fleet", *sorted(VERDICTS))}
  |> aggregateWindow(every: v.windowPeriod, fn: last, createEmpty: false)
  |> group(columns: ["_field", "_time"])
  |> sum()
  |> group(columns: ["_field"])
  |> rename(columns: {{_field: "verdict"}})"""
    + kept("_time", "_value", "verdict")
    + '\n  |> sort(columns: ["_time"])',
)
_PROBABILITIES = Panel(
    title=f"Fault probability, the {WORST} worst nodes",
    about="Calibrated P(the node fails within the model's horizon). From .5 on for three frames an incident opens.",
    kind="lines",
    place=Place(6, 3, 6, 4),
    unit="share",
    decimals=2,
    series="node",
    bounds=(0.0, 1.0),
    steps=(Step(0, HEALTHY), Step(0.5, FAILING)),
    flux=f"""worst = {points("assessment", "probability")}
  |> max()
  |> group(columns: ["node"])
  |> max()
  |> group()
  |> top(n: {WORST})
  |> findColumn(fn: (key) => true, column: "node")

{points("assessment", "probability")}
  |> aggregateWindow(every: v.windowPeriod, fn: max, createEmpty: false)
  |> filter(fn: (r) => contains(value: r.node, set: worst))
  |> group(columns: ["node"])"""
    + kept("_time", "_value", "node")
    + '\n  |> sort(columns: ["_time"])',
)
_LOOK_COLUMNS = (
    NODE,
    VERDICT,
    PROBABILITY,
    DEVIATION,
    Column("worst", "unusual, in robust z"),
    JOB,
    Column("incident", "incident"),
)
_LOOK = Panel(
    title="Nodes to look at",
    about="Each node whose newest verdict is not healthy, the worst first, and its most unusual metrics.",
    kind="table",
    place=Place(0, 7, 12, 4),
    decimals=2,
    columns=_LOOK_COLUMNS,
    flux=newest(
        "assessment",
        "verdict",
        "verdict_code",
        "probability",
        "deviation",
        "worst",
        "incident",
        by=("node",),
    )
    + f"""
  |> filter(fn: (r) => r.verdict_code > 0)
  |> sort(columns: ["verdict_code", "probability"], desc: true)
  |> limit(n: {ROWS_MAX})"""
    + kept(*names(_LOOK_COLUMNS)),
)

FLEET: Final = Dashboard(
    name="fleet",
    title="Fleet",
    about="Is anything wrong, where, and what is being done about it?",
    panels=(
        _FIRST,
        _HEALTH,
        _count("Failing", "Nodes with an open incident of the predictor.", "failing", 2, FAILING),
        _count("Suspect", "Nodes with P at or above θ, without an incident yet.", "suspect", 4, SUSPECT),
        _count("Unknown", "Nodes that have sent nothing for more than three intervals.", "unknown", 6, UNKNOWN),
        _count(
            "In an incident",
            "Nodes with an open incident, of the predictor or the detector.",
            "in_incident",
            8,
            FAILING,
        ),
        _COMMANDS,
        _VERDICTS,
        _PROBABILITIES,
        _LOOK,
        incidents(Place(0, 11, 5, 4)),
        commands(Place(5, 11, 7, 4)),
    ),
)
