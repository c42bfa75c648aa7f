"""Node: what is known of one node, why it is suspected, and what was done with it."""

from __future__ import annotations

from typing import Final

from infra.influx.dashboards import flux as of
from infra.influx.dashboards.colours import ACCENT, FAILING, HEALTHY, SUSPECT, UNKNOWN, VERDICTS, WARMING
from infra.influx.dashboards.flux import kept, last_now, points, rows
from infra.influx.dashboards.panel import Column, Dashboard, Panel, Place, Step
from infra.influx.dashboards.tables import (
    AT,
    DEVIATION,
    PROBABILITY,
    ROWS_MAX,
    VERDICT,
    commands,
    incidents,
    names,
    outcomes,
)

#: As ``verdict_code`` has them.
WORDS: Final = {
    0: ("healthy", HEALTHY),
    1: ("warming", WARMING),
    2: ("unknown", UNKNOWN),
    3: ("suspect", SUSPECT),
    4: ("failing", FAILING),
}

_VERDICT = Panel(
    title="Verdict",
    about="The newest verdict; unknown is not healthy.",
    kind="stat",
    place=Place(0, 0, 2, 2),
    colours=VERDICTS,
    flux=last_now("assessment", "verdict", of.NODE),
)
_PROBABILITY = Panel(
    title="P(failure)",
    about="Calibrated P(the node fails within the model's horizon).",
    kind="stat",
    place=Place(2, 0, 2, 2),
    unit="share",
    decimals=2,
    steps=(Step(0, HEALTHY), Step(0.25, SUSPECT), Step(0.5, FAILING)),
    flux=last_now("assessment", "probability", of.NODE),
)
_DEVIATION = Panel(
    title="Transition deviation",
    about="How improbable its recent state transitions are under its own chain, in standard deviations.",
    kind="stat",
    place=Place(4, 0, 2, 2),
    unit="deviations",
    decimals=1,
    steps=(Step(0, HEALTHY), Step(3, SUSPECT), Step(6, FAILING)),
    flux=last_now("assessment", "deviation", of.NODE),
)
_WORST = Panel(
    title="Most unusual now",
    about="The metrics that lie farthest from the node's own baseline, each with its robust z.",
    kind="stat",
    place=Place(6, 0, 6, 2),
    colours={"": ACCENT},
    flux=last_now("assessment", "worst", of.NODE),
)
_STATES = Panel(
    title="Verdict over time",
    about="0 healthy, 1 warming, 2 unknown, 3 suspect, 4 failing.",
    kind="states",
    place=Place(0, 2, 12, 2),
    series="node",
    words=WORDS,
    flux=f"""{points("assessment", "verdict_code", where=of.NODE)}
  |> group(columns: ["node"])
  |> aggregateWindow(every: v.windowPeriod, fn: max, createEmpty: false)"""
    + kept("_time", "_value", "node"),
)
_OVER_TIME = Panel(
    title="Fault probability",
    about="From the line on, for three frames in a row, an incident opens; thirty below half of it close it.",
    kind="lines",
    place=Place(0, 4, 6, 4),
    unit="share",
    decimals=2,
    series="node",
    bounds=(0.0, 1.0),
    steps=(Step(0, HEALTHY), Step(0.5, FAILING)),
    flux=f"""{points("assessment", "probability", where=of.NODE)}
  |> group(columns: ["node"])
  |> aggregateWindow(every: v.windowPeriod, fn: max, createEmpty: false)"""
    + kept("_time", "_value", "node"),
)
_SIGNS = Panel(
    title="Deviation and anomaly",
    about="The transition deviation in standard deviations, and the anomaly score over the node's own threshold: 1 is "
    "an alarm. Neither needs a label; the second begins once a day was learned.",
    kind="lines",
    place=Place(6, 4, 6, 4),
    decimals=1,
    series="sign",
    colours={"anomaly": SUSPECT, "deviation": ACCENT},
    flux=f"""{points("assessment", "deviation", "anomaly", where=of.NODE)}
  |> group(columns: ["_field"])
  |> aggregateWindow(every: v.windowPeriod, fn: max, createEmpty: false)
  |> rename(columns: {{_field: "sign"}})"""
    + kept("_time", "_value", "sign"),
)
_WHY_COLUMNS = (
    AT,
    VERDICT,
    PROBABILITY,
    DEVIATION,
    Column("worst_metric", "most unusual"),
    Column("worst_z", "its robust z"),
    Column("frame", "the frame"),
)
_WHY = Panel(
    title="Assessments that were not healthy",
    about="Newest first: what stood out, and the frame that it rests on (topic/partition/offset), from which it can be "
    "recomputed.",
    kind="table",
    place=Place(0, 8, 7, 4),
    decimals=2,
    columns=_WHY_COLUMNS,
    flux=rows(
        "assessment",
        "verdict",
        "verdict_code",
        "probability",
        "deviation",
        "worst_metric",
        "worst_z",
        "frame",
        where=of.NODE,
    )
    + "\n  |> filter(fn: (r) => r.verdict_code > 0)"
    + kept(*names(_WHY_COLUMNS), newest_first="at", most=ROWS_MAX),
)

NODE: Final = Dashboard(
    name="node",
    title="Node",
    about="What is known of one node, why it is suspected, and what was done with it.",
    variables=("node",),
    panels=(
        _VERDICT,
        _PROBABILITY,
        _DEVIATION,
        _WORST,
        _STATES,
        _OVER_TIME,
        _SIGNS,
        _WHY,
        incidents(Place(7, 8, 5, 4), where=of.NODE),
        commands(Place(0, 12, 6, 4), where=of.NODE),
        outcomes(Place(6, 12, 6, 4), where=of.NODE),
    ),
)
