"""Columns that tables of several dashboards have in common: a thing is called and coloured alike everywhere."""

from __future__ import annotations

from typing import Final

from infra.influx.dashboards.colours import ACCENT, FAILING, HEALTHY, SUSPECT, VERDICTS
from infra.influx.dashboards.flux import kept, rows
from infra.influx.dashboards.panel import Column, Panel, Place

ACTIONS: Final = {
    "CHECKPOINT": ACCENT,
    "QUARANTINE": SUSPECT,
    "DRAIN": SUSPECT,
    "MIGRATE": SUSPECT,
    "RESIZE": SUSPECT,
    "RESTORE": HEALTHY,
}
STAGES: Final = {"durable": HEALTHY, "done": HEALTHY, "failed": FAILING, "expired": FAILING, "rejected": FAILING}
STATES: Final = {"opened": FAILING, "changed": SUSPECT, "closed": HEALTHY}

AT: Final = Column("at", "when")
NODE: Final = Column("node", "node")
JOB: Final = Column("job", "job")
VERDICT: Final = Column("verdict", "verdict", colours=VERDICTS)
PROBABILITY: Final = Column("probability", "P(failure)", "share")
DEVIATION: Final = Column("deviation", "deviation", "deviations")
ACTION: Final = Column("action", "command", colours=ACTIONS)
#: A table holds no more rows than can be read.
ROWS_MAX: Final = 50


def names(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """The columns as a query calls them."""
    return tuple(column.name for column in columns)


def incidents(place: Place, where: str = "") -> Panel:
    """Incidents as they open, change and close."""
    columns = (AT, NODE, Column("state", "incident", colours=STATES), PROBABILITY, DEVIATION, Column("incident", "id"))
    query = rows("incident", "state", "probability", "deviation", "incident", where=where)
    return Panel(
        title="Incidents",
        about="An episode of suspicion opens, changes, closes. `forestall explain ID` says what it rests on.",
        kind="table",
        place=place,
        columns=columns,
        decimals=2,
        flux=query + kept(*names(columns), newest_first="at", most=ROWS_MAX),
    )


def commands(place: Place, where: str = "") -> Panel:
    """Commands with the rule and the numbers that each was given by."""
    columns = (
        AT,
        JOB,
        ACTION,
        NODE,
        Column("rule", "rule"),
        Column("numbers", "its numbers"),
        Column("id", "id"),
    )
    query = rows("command", "id", "rule", "numbers", where=where)
    return Panel(
        title="Commands, and why",
        about="What cluster agents were told, the rule and its numbers. No node: every rank of the job is meant. "
        "`forestall explain ID --replay` recomputes one from the log.",
        kind="table",
        place=place,
        columns=columns,
        flux=query + _without_a_node + kept(*names(columns), newest_first="at", most=ROWS_MAX),
    )


#: A command to every rank has no tag of a node, and a stretch with only such has no column.
_without_a_node: Final = '\n  |> map(fn: (r) => ({r with node: if exists r.node then r.node else ""}))'


def outcomes(place: Place, where: str = "") -> Panel:
    """What agents and ranks told of their commands."""
    columns = (
        AT,
        ACTION,
        Column("stage", "stage", colours=STAGES),
        NODE,
        Column("step", "step"),
        Column("seconds", "took", "seconds"),
        Column("reason", "why not"),
        Column("command", "of command"),
    )
    query = rows("outcome", "stage", "step", "seconds", "reason", "command", where=where)
    return Panel(
        title="What came of them",
        about="Every stage that an agent or a rank entered. staged: the job stood still for so long; durable: from "
        "then on the checkpoint outlives the node; only then is a node left.",
        kind="table",
        place=place,
        columns=columns,
        decimals=2,
        flux=query + kept(*names(columns), newest_first="at", most=ROWS_MAX),
    )
