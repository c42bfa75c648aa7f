"""Pipeline: does the telemetry arrive, is all of it assessed, and how soon?"""

from __future__ import annotations

from typing import Final

from infra.influx.dashboards.colours import ACCENT, FAILING, HEALTHY, SUSPECT
from infra.influx.dashboards.flux import kept, newest, points
from infra.influx.dashboards.panel import Column, Dashboard, Panel, Place, Step
from infra.influx.dashboards.tables import ROWS_MAX, names

_LOST: Final = ("dead_letters", "duplicates", "late")


def _grown(title: str, about: str, field: str, column: int, *steps: Step) -> Panel:
    return Panel(
        title=title,
        about=about,
        kind="stat",
        place=Place(column, 0, 2, 2),
        unit="count",
        steps=steps or (Step(0, HEALTHY), Step(1, SUSPECT)),
        flux=f"""{points("pipeline", field)}
  |> group(columns: ["partition"])
  |> sort(columns: ["_time"])
  |> increase()
  |> last()
  |> group()
  |> sum()
  |> keep(columns: ["_value"])""",
    )


def _delay(title: str, about: str, measurement: str, place: Place) -> Panel:
    return Panel(
        title=title,
        about=about,
        kind="lines",
        place=place,
        unit="seconds",
        decimals=3,
        series="of",
        colours={"mean": ACCENT, "worst": SUSPECT},
        flux=f"""delays = {points(measurement, "delay_s")}

worst = delays
  |> aggregateWindow(every: v.windowPeriod, fn: max, createEmpty: false)
  |> group(columns: ["_time"])
  |> max()
  |> map(fn: (r) => ({{_time: r._time, _value: r._value, of: "worst"}}))
mean = delays
  |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)
  |> group(columns: ["_time"])
  |> mean()
  |> map(fn: (r) => ({{_time: r._time, _value: r._value, of: "mean"}}))

union(tables: [worst, mean])
  |> group(columns: ["of"])
  |> sort(columns: ["_time"])""",
    )


_FRAMES_NOW = Panel(
    title="Frames a second",
    about="Assessed over the stretch that is shown, all partitions together.",
    kind="stat",
    place=Place(0, 0, 2, 2),
    unit="per second",
    decimals=1,
    steps=(Step(0, FAILING), Step(0.001, HEALTHY)),
    flux=f"""{points("pipeline", "assessed")}
  |> group(columns: ["partition"])
  |> sort(columns: ["_time"])
  |> derivative(unit: 1s, nonNegative: true)
  |> mean()
  |> group()
  |> sum()
  |> keep(columns: ["_value"])""",
)
_FRAMES = Panel(
    title="Frames assessed, by partition",
    about="A partition that stands still while the others go on has no worker, or one that hangs.",
    kind="lines",
    place=Place(0, 2, 6, 4),
    unit="per second",
    decimals=1,
    series="partition",
    flux=f"""{points("pipeline", "assessed")}
  |> group(columns: ["partition"])
  |> sort(columns: ["_time"])
  |> derivative(unit: 1s, nonNegative: true)
  |> aggregateWindow(every: v.windowPeriod, fn: mean, createEmpty: false)"""
    + kept("_time", "_value", "partition"),
)
_PASSED_OVER = Panel(
    title="What was passed over",
    about="Frames that came too late or twice, and records that could not be read. None is lost uncounted; "
    "dead-letters-rise is the runbook.",
    kind="lines",
    place=Place(6, 2, 6, 4),
    unit="count",
    series="what",
    colours={"dead_letters": FAILING, "duplicates": ACCENT, "late": SUSPECT},
    flux=f"""{points("pipeline", *_LOST)}
  |> group(columns: ["partition", "_field"])
  |> sort(columns: ["_time"])
  |> difference(nonNegative: true)
  |> aggregateWindow(every: v.windowPeriod, fn: sum, createEmpty: false)
  |> group(columns: ["_field", "_time"])
  |> sum()
  |> group(columns: ["_field"])
  |> rename(columns: {{_field: "what"}})"""
    + kept("_time", "_value", "what")
    + '\n  |> sort(columns: ["_time"])',
)
_MODELS = Panel(
    title="Models in use",
    about="How many models the partitions use; more than one for long: a choice was not taken everywhere.",
    kind="stat",
    place=Place(8, 0, 2, 2),
    unit="count",
    steps=(Step(0, HEALTHY), Step(2, SUSPECT)),
    flux=newest("pipeline", "assessed", by=("partition",))
    + """
  |> distinct(column: "model")
  |> count()
  |> keep(columns: ["_value"])""",
)
_MISSING = _grown(
    "Values missing",
    "Values that frames lacked: text, NaN, blanks. A few are usual; the frames are assessed without them.",
    "missing_values",
    10,
    Step(0, ACCENT),
)
_PARTITION_COLUMNS = (
    Column("partition", "partition"),
    Column("at", "newest tick"),
    Column("model", "model"),
    Column("assessed", "assessed", "count"),
    Column("history", "of the past", "count"),
    Column("late", "late", "count"),
    Column("duplicates", "twice", "count"),
    Column("dead_letters", "dead letters", "count"),
)
_PARTITIONS = Panel(
    title="Partitions",
    about="What each has seen since its log began, and the model in use.",
    kind="table",
    place=Place(0, 10, 7, 4),
    columns=_PARTITION_COLUMNS,
    flux=newest("pipeline", "assessed", "history", "late", "duplicates", "dead_letters", by=("partition",))
    + '\n  |> rename(columns: {_time: "at"})'
    + kept(*names(_PARTITION_COLUMNS))
    + f'\n  |> sort(columns: ["partition"])\n  |> limit(n: {ROWS_MAX})',
)
_SHADOW_COLUMNS = (
    Column("partition", "partition"),
    Column("shadow_model", "model in the shadow"),
    Column("shadow_compared", "compared", "count"),
    Column("shadow_difference", "mean difference of P", "share"),
    Column("shadow_active_only", "alarms of the active alone", "count"),
    Column("shadow_only", "alarms of the shadow alone", "count"),
)
_SHADOW = Panel(
    title="Model in the shadow",
    about="A second model that commands nothing, beside the active one; empty where none was chosen.",
    kind="table",
    place=Place(7, 10, 5, 4),
    decimals=3,
    columns=_SHADOW_COLUMNS,
    flux=newest(
        "pipeline",
        "shadow_model",
        "shadow_compared",
        "shadow_difference",
        "shadow_active_only",
        "shadow_only",
        by=("partition",),
    )
    + kept(*names(_SHADOW_COLUMNS))
    + '\n  |> sort(columns: ["partition"])',
)

PIPELINE: Final = Dashboard(
    name="pipeline",
    title="Pipeline",
    about="Does the telemetry arrive, is all of it assessed, and how soon?",
    panels=(
        _FRAMES_NOW,
        _grown("Dead letters", "Records that could not be read; dead-letters-rise is the runbook.", "dead_letters", 2),
        _grown("Too late", "Frames older than the window.", "late", 4),
        _grown("Twice", "Frames that came twice.", "duplicates", 6),
        _MODELS,
        _MISSING,
        _FRAMES,
        _PASSED_OVER,
        _delay(
            "From frame to assessment",
            "From source time to the broker's append time: clocks, network, queue and model together.",
            "assessment",
            Place(0, 6, 6, 4),
        ),
        _delay(
            "From cause to command",
            "From the source time of what caused a command to the broker's append time of it.",
            "command",
            Place(6, 6, 6, 4),
        ),
        _PARTITIONS,
        _SHADOW,
    ),
)
