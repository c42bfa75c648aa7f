"""Dashboards as Grafana's JSON (schema version 41), each panel a Flux query of an InfluxDB data source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from infra.influx.as_template import buckets_in
from infra.influx.dashboards.colours import ACCENT
from infra.influx.dashboards.panel import Column, Dashboard, Panel, Unit
from infra.influx.variables import VARIABLES

Object = dict[str, Any]

SCHEMA_VERSION: Final = 41
#: Grafana's grid has 24 columns, and rows of half the height.
FINER: Final = 2
#: The data source is chosen above the panels; the first of its kind is taken.
SOURCE: Final[Mapping[str, str]] = {"type": "influxdb", "uid": "${source}"}
UNITS: Final[Mapping[Unit, str]] = {
    "": "none",
    "count": "short",
    "share": "percentunit",
    "seconds": "s",
    "milliseconds": "ms",
    "deviations": "none",
    "bytes": "bytes",
    "per second": "cps",
}
TYPES: Final = {
    "stat": "stat",
    "lines": "timeseries",
    "area": "timeseries",
    "states": "state-timeline",
    "table": "table",
    "text": "text",
}


def grafana_dashboard(dashboard: Dashboard, bucket: str) -> Object:
    """The dashboard, ready to be imported or provisioned."""
    return {
        "uid": f"forestall-{dashboard.name}",
        "title": f"forestall: {dashboard.title}",
        "description": dashboard.about,
        "tags": ["forestall"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "10s",
        "time": {"from": f"now-{dashboard.since}", "to": "now"},
        "templating": {"list": [_source(), *(_variable(name, bucket) for name in dashboard.variables)]},
        "annotations": {"list": []},
        "links": [
            {
                "title": "forestall",
                "type": "dashboards",
                "tags": ["forestall"],
                "asDropdown": False,
                "icon": "dashboard",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "panels": [_panel(number, panel, bucket) for number, panel in enumerate(dashboard.panels, 1)],
    }


def grafana_flux(flux: str, bucket: str) -> str:
    """The query as Grafana asks it: what was chosen stands in it as text."""
    return buckets_in(flux.replace("@job", '"${job}"').replace("@node", '"${node}"'), bucket)


def _source() -> Object:
    return {"name": "source", "label": "InfluxDB", "type": "datasource", "query": "influxdb", "hide": 0}


def _variable(name: str, bucket: str) -> Object:
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": dict(SOURCE),
        "query": {"query": grafana_flux(VARIABLES[name], bucket), "refId": name},
        "refresh": 2,
        "sort": 3,
        "multi": False,
        "includeAll": False,
        "hide": 0,
    }


def _panel(number: int, panel: Panel, bucket: str) -> Object:
    place = panel.place
    shown: Object = {
        "id": number,
        "type": TYPES[panel.kind],
        "title": panel.title,
        "gridPos": {
            "x": place.x * FINER,
            "y": place.y * FINER,
            "w": place.width * FINER,
            "h": place.height * FINER,
        },
    }
    if panel.kind == "text":
        return shown | {"options": {"mode": "markdown", "content": panel.about}}
    return shown | {
        "description": panel.about,
        "datasource": dict(SOURCE),
        "targets": [{"refId": "A", "datasource": dict(SOURCE), "query": grafana_flux(panel.flux, bucket)}],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": _overrides(panel)},
        "options": _options(panel),
    }


def _defaults(panel: Panel) -> Object:
    steps = [{"color": step.colour, "value": step.above} for step in panel.steps]
    base = {"color": steps[0]["color"] if steps else ACCENT, "value": None}
    defaults: Object = {
        "unit": UNITS[panel.unit],
        "decimals": panel.decimals,
        "thresholds": {"mode": "absolute", "steps": [base, *steps[1:]]},
        "color": {"mode": "thresholds" if panel.kind in {"stat", "states"} else "palette-classic"},
        "noValue": "–",
    }
    if panel.series:
        defaults["displayName"] = f"${{__field.labels.{panel.series}}}"
    if panel.bounds is not None:
        defaults["min"], defaults["max"] = panel.bounds
    if panel.kind == "stat" and panel.colours:
        defaults["mappings"] = [_mapping({word: (word, colour) for word, colour in panel.colours.items()})]
    if panel.words:
        defaults["mappings"] = [_mapping({str(code): said for code, said in panel.words.items()})]
    if panel.kind in {"lines", "area"}:
        defaults["custom"] = _line(panel)
    return defaults


def _line(panel: Panel) -> Object:
    stacked = panel.kind == "area"
    return {
        "drawStyle": "line",
        "lineWidth": 1 if stacked else 2,
        "fillOpacity": 60 if stacked else 0,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line" if panel.steps else "off"},
    }


def _mapping(words: Mapping[str, tuple[str, str]]) -> Object:
    return {
        "type": "value",
        "options": {
            value: {"text": text, "color": colour, "index": index}
            for index, (value, (text, colour)) in enumerate(words.items())
        },
    }


def _overrides(panel: Panel) -> list[Object]:
    """A series is known by its label, however Grafana calls it; the column of times by being one."""
    columns = [{"matcher": _matcher(column), "properties": _column(column)} for column in panel.columns]
    if not panel.series:
        return columns
    return columns + [
        {
            "matcher": {"id": "byRegexp", "options": rf"/\b{name}\b/"},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in panel.colours.items()
    ]


def _matcher(column: Column) -> Object:
    if column.name == "at":
        return {"id": "byType", "options": "time"}
    return {"id": "byName", "options": column.name}


def _column(column: Column) -> list[Object]:
    properties: list[Object] = [{"id": "displayName", "value": column.title}]
    if column.unit:
        properties.append({"id": "unit", "value": UNITS[column.unit]})
    if column.colours:
        words = {value: (value, colour) for value, colour in column.colours.items()}
        properties.append({"id": "mappings", "value": [_mapping(words)]})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    return properties


def _options(panel: Panel) -> Object:
    if panel.kind == "stat":
        return {
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "auto",
            "orientation": "auto",
            "textMode": "auto",
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "/.*/" if panel.colours else "", "values": False},
        }
    if panel.kind == "states":
        return {
            "alignValue": "left",
            "mergeValues": True,
            "rowHeight": 0.9,
            "showValue": "auto",
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        }
    if panel.kind == "table":
        return {"showHeader": True, "cellHeight": "sm"}
    return {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
