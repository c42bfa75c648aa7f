"""Job and decisions: what was decided for a job, by which rule, and what came of each command at each rank."""

from __future__ import annotations

from typing import Final

from infra.influx.dashboards import flux as of
from infra.influx.dashboards.colours import ACCENT, BUCKETS, FAILING, HEALTHY, SUSPECT
from infra.influx.dashboards.flux import kept, last_now, points, rows
from infra.influx.dashboards.panel import Dashboard, Panel, Place, Step
from infra.influx.dashboards.tables import commands, incidents, outcomes

_ETTR = Panel(
    title="ETTR",
    about="Effective training time ratio: productive time / wall time, since the job began.",
    kind="stat",
    place=Place(0, 0, 2, 2),
    unit="share",
    decimals=2,
    steps=(Step(0, FAILING), Step(0.8, SUSPECT), Step(0.9, HEALTHY)),
    flux=last_now("ledger", "ettr", of.JOB),
)
_DURABLE = Panel(
    title="Last durable step",
    about="The step of the newest checkpoint that a rank called durable: what a loss now would go back to.",
    kind="stat",
    place=Place(2, 0, 2, 2),
    unit="count",
    steps=(Step(0, ACCENT),),
    flux=f"""{rows("outcome", "stage", "step", where=of.JOB)}
  |> filter(fn: (r) => r.stage == "durable")
  |> sort(columns: ["at"])
  |> tail(n: 1)
  |> rename(columns: {{step: "_value"}})
  |> keep(columns: ["_value"])""",
)
_STILL = Panel(
    title="Stood still for checkpoints",
    about="Seconds since the job began.",
    kind="stat",
    place=Place(4, 0, 2, 2),
    unit="seconds",
    decimals=1,
    steps=(Step(0, ACCENT),),
    flux=last_now("ledger", "checkpoint_s", of.JOB),
)
_LEFT = Panel(
    title="Nodes left in time",
    about="Nodes that the job left before they failed, since it began.",
    kind="stat",
    place=Place(6, 0, 2, 2),
    unit="count",
    steps=(Step(0, ACCENT),),
    flux=last_now("ledger", "nodes_left", of.JOB),
)
_GIVEN = Panel(
    title="Commands",
    about="How many were given for this job in the stretch that is shown.",
    kind="stat",
    place=Place(8, 0, 2, 2),
    unit="count",
    steps=(Step(0, ACCENT),),
    flux=f"""{points("command", "generation", where=of.JOB)}
  |> group()
  |> count()
  |> keep(columns: ["_value"])""",
)
_BADLY = Panel(
    title="Ended badly",
    about="Outcomes failed, expired or rejected in the stretch that is shown; command-refused is the runbook.",
    kind="stat",
    place=Place(10, 0, 2, 2),
    unit="count",
    steps=(Step(0, HEALTHY), Step(1, FAILING)),
    flux=f"""{points("outcome", "stage_code", where=of.JOB)}
  |> group()
  |> filter(fn: (r) => r._value < 0, onEmpty: "keep")
  |> count()
  |> keep(columns: ["_value"])""",
)
_SECONDS = Panel(
    title="How long checkpoints take",
    about="staged: the job stands still for it; durable: from then on it outlives the node. Where the first rises, see "
    "the runbook checkpoint-overhead.",
    kind="lines",
    place=Place(8, 6, 4, 5),
    unit="seconds",
    decimals=2,
    series="stage",
    colours={"durable": HEALTHY, "staged": SUSPECT},
    flux=f"""{rows("outcome", "stage", "seconds", where=of.JOB)}
  |> filter(fn: (r) => exists r.seconds and (r.stage == "staged" or r.stage == "durable"))
  |> rename(columns: {{at: "_time", seconds: "_value"}})
  |> group(columns: ["stage"])
  |> sort(columns: ["_time"])"""
    + kept("_time", "_value", "stage"),
)
TIME_SPENT: Final = Panel(
    title="Where the time goes",
    about="Each second of the job is in one bucket; the shares add up to 1.",
    kind="area",
    place=Place(5, 11, 7, 4),
    unit="share",
    decimals=2,
    series="bucket",
    colours=BUCKETS,
    bounds=(0.0, 1.0),
    flux=f"""import "strings"

{points("ledger", *(f"{name}_s" for name in BUCKETS), where=of.JOB)}
  |> derivative(unit: 1s, nonNegative: true)
  |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)
  |> map(fn: (r) => ({{_time: r._time, _value: r._value, bucket: strings.trimSuffix(v: r._field, suffix: "_s")}}))
  |> group(columns: ["bucket"])""",
)

JOB: Final = Dashboard(
    name="job",
    title="Job and decisions",
    about="What was decided for a job, by which rule, and what came of each command at each rank.",
    variables=("job",),
    panels=(
        _ETTR,
        _DURABLE,
        _STILL,
        _LEFT,
        _GIVEN,
        _BADLY,
        commands(Place(0, 2, 12, 4), where=of.JOB),
        outcomes(Place(0, 6, 8, 5), where=of.JOB),
        _SECONDS,
        incidents(Place(0, 11, 5, 4), where=of.JOB),
        TIME_SPENT,
    ),
)
