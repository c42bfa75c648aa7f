"""Dashboards, variables and the like as objects of an InfluxDB template (``influxdata.com/v2alpha1``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from infra.influx.dashboards.colours import ACCENT
from infra.influx.dashboards.panel import Dashboard, Panel, Unit

Object = dict[str, Any]

API_VERSION: Final = "influxdata.com/v2alpha1"
#: What stands behind a number. A share stays between 0 and 1: InfluxDB does not turn it into per cent.
SUFFIXES: Final[Mapping[Unit, str]] = {
    "seconds": " s",
    "milliseconds": " ms",
    "deviations": " sd",
    "bytes": " B",
    "per second": " /s",
}
PREFIX: Final = "forestall"


def thing(kind: str, name: str, /, **spec: object) -> Object:
    """One object of a template; ``name`` is what a stack knows it by, in letters, digits and hyphens."""
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def dashboard_object(dashboard: Dashboard, bucket: str) -> Object:
    """The dashboard with its cells."""
    charts = [_chart(panel, bucket) for panel in dashboard.panels]
    return thing(
        "Dashboard",
        f"{PREFIX}-dashboard-{dashboard.name}",
        name=f"{PREFIX}: {dashboard.title}",
        description=dashboard.about,
        charts=charts,
    )


def influx_flux(flux: str, bucket: str) -> str:
    """The query as InfluxDB is asked: its variables are global to the organisation, so they carry our name."""
    named = flux.replace("@job", f"v.{PREFIX}_job").replace("@node", f"v.{PREFIX}_node")
    return buckets_in(named, bucket)


def buckets_in(flux: str, bucket: str) -> str:
    """The query with the names of the buckets in it."""
    return flux.replace("@hourly", f'"{bucket}_hourly"').replace("@raw", f'"{bucket}"').strip() + "\n"


def _chart(panel: Panel, bucket: str) -> Object:
    place = panel.place
    base = {
        "name": panel.title,
        "note": panel.about,
        "xPos": place.x,
        "yPos": place.y,
        "width": place.width,
        "height": place.height,
    }
    if panel.kind == "text":
        return {"kind": "Markdown", **base}
    return base | {"queries": [{"query": influx_flux(panel.flux, bucket)}]} | _LOOKS[panel.kind](panel)


def _stat(panel: Panel) -> Object:
    steps = [(step.above, step.colour) for step in panel.steps] or [(0.0, ACCENT)]
    return {
        "kind": "Single_Stat",
        "decimalPlaces": panel.decimals,
        "suffix": SUFFIXES.get(panel.unit, ""),
        "colors": [
            {"id": "base" if at == 0 else f"step-{at}", "name": "step", "type": "text", "hex": hex_, "value": above}
            for at, (above, hex_) in enumerate(steps)
        ],
    }


def _over_time(panel: Panel) -> Object:
    axis: Object = {"name": "y", "base": "10", "scale": "linear", "suffix": SUFFIXES.get(panel.unit, "")}
    if panel.bounds is not None:
        axis["domain"] = list(panel.bounds)
    return {
        "kind": "Xy",
        "geom": "step" if panel.kind == "states" else "line",
        "position": "stacked" if panel.kind == "area" else "overlaid",
        "shade": panel.kind == "area",
        "hoverDimension": "x",
        "xCol": "_time",
        "yCol": "_value",
        "legendColorizeRows": True,
        "legendOpacity": 1.0,
        "axes": [{"name": "x", "base": "10", "scale": "linear"}, axis],
        "colors": _scale(panel),
    }


def _scale(panel: Panel) -> list[Object]:
    """The colours in the order of the series' names, in which InfluxDB hands them out."""
    hexes = [panel.colours[name] for name in sorted(panel.colours)] or [ACCENT, "#e3a541", "#d88fb0"]
    return [{"name": "series", "type": "scale", "hex": hex_, "value": 0} for hex_ in hexes]


def _table(panel: Panel) -> Object:
    return {
        "kind": "Table",
        "decimalPlaces": panel.decimals,
        "timeFormat": "YYYY-MM-DD HH:mm:ss",
        "tableOptions": {"verticalTimeAxis": True, "sortBy": panel.columns[0].name, "wrapping": "truncate"},
        "fieldOptions": [
            {"fieldName": column.name, "displayName": column.title, "visible": True} for column in panel.columns
        ],
        "colors": [{"id": "base", "name": "base", "type": "text", "hex": "#ffffff", "value": 0}],
    }


_LOOKS: Final[Mapping[str, Callable[[Panel], Object]]] = {
    "stat": _stat,
    "lines": _over_time,
    "area": _over_time,
    "states": _over_time,
    "table": _table,
}
