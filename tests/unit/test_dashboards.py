"""Dashboards as data: nothing overlaps, colours are those of the page, and both forms say the same as the panels."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from grafana_schema import faults

from connectors.influx.schema import BUCKETS, MEASUREMENTS, STAGE_CODES, VERDICT_CODES
from infra.influx import files
from infra.influx.as_grafana import FINER, grafana_dashboard, grafana_flux
from infra.influx.as_template import dashboard_object, influx_flux
from infra.influx.checks import CHECKS, RUNBOOKS, check_objects
from infra.influx.dashboards import DASHBOARDS, colours
from infra.influx.dashboards.node import WORDS
from infra.influx.dashboards.panel import GRID_COLUMNS, Dashboard, Panel
from infra.influx.dashboards.tables import ACTIONS, STAGES
from infra.influx.tasks import KEPT, task_objects
from infra.influx.variables import VARIABLES
from models.records import Action
from models.spans import PRECEDENCE

ROOT = Path(__file__).parents[2]
STYLE = (ROOT / "infra" / "web" / "page" / "style.css").read_text(encoding="utf-8")
PANELS = [pytest.param(one, panel, id=f"{one.name}: {panel.title}") for one in DASHBOARDS for panel in one.panels]
FIELDS = {f'"{field.name}"' for one in MEASUREMENTS for field in one.fields}


def test_there_are_five_of_them() -> None:
    assert [one.title for one in DASHBOARDS] == ["Fleet", "Node", "Job and decisions", "Pipeline", "Savings"]


def test_the_files_are_what_the_code_says() -> None:
    """If this fails, a panel has changed: run ``python -m infra.influx.files`` and commit what it writes."""
    folders = (files.TEMPLATES, files.GRAFANA)
    there = {
        f"{folder}/{path.name}": path.read_text(encoding="utf-8")
        for folder in folders
        for path in (files.FOLDER / folder).glob("*.json")
    }
    assert there == files.texts()


def test_writing_them_removes_what_is_no_more(tmp_path: Path) -> None:
    (tmp_path / "grafana").mkdir()
    (tmp_path / "grafana" / "old.json").touch()
    files.write(tmp_path)
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*")} == set(files.texts())


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_no_panel_lies_on_another_or_beyond_the_grid(dashboard: Dashboard) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard.panels:
        place = panel.place
        assert 0 <= place.x < place.x + place.width <= GRID_COLUMNS
        assert place.height > 0
        for cell in (
            (x, y) for x in range(place.x, place.x + place.width) for y in range(place.y, place.y + place.height)
        ):
            assert cell not in taken, f"{panel.title} lies on {taken[cell]}"
            taken[cell] = panel.title
    rows = {y for _, y in taken}
    assert rows == set(range(max(rows) + 1)), "a row is empty"
    assert len(taken) == len(rows) * GRID_COLUMNS, "there are holes"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_the_same_layout_stands_in_both_forms(dashboard: Dashboard) -> None:
    cells = [
        (one["xPos"], one["yPos"], one["width"], one["height"])
        for one in dashboard_object(dashboard, "forestall")["spec"]["charts"]
    ]
    panels = grafana_dashboard(dashboard, "forestall")["panels"]
    finer = [tuple(one["gridPos"][key] for key in "xywh") for one in panels]
    assert finer == [tuple(FINER * number for number in cell) for cell in cells]
    assert len({one["id"] for one in panels}) == len(panels)
    assert all(x + width <= 24 for x, _, width, _ in finer)


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_titles_are_told_apart(dashboard: Dashboard) -> None:
    titles = [panel.title for panel in dashboard.panels]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_a_panel_says_what_it_is_and_asks_only_for_what_there_is(dashboard: Dashboard, panel: Panel) -> None:
    assert panel.about.endswith((".", "`"))
    if panel.kind == "text":
        assert not panel.flux
        return
    measured = set(re.findall(r'r\._measurement == "(\w+)"', panel.flux))
    assert measured <= {one.name for one in MEASUREMENTS}
    assert {f'"{name}"' for name in re.findall(r'r\._field == "(\w+)"', panel.flux)} <= FIELDS
    assert {name for name in ("job", "node") if f"@{name}" in panel.flux} <= set(dashboard.variables)
    assert not re.search("@(?!raw|hourly|job|node)", panel.flux)
    assert [step.above for step in panel.steps] == sorted(step.above for step in panel.steps)


@pytest.mark.parametrize(("dashboard", "panel"), PANELS)
def test_each_product_gets_its_own_words_for_what_was_chosen(dashboard: Dashboard, panel: Panel) -> None:
    ours, theirs = influx_flux(panel.flux, "points"), grafana_flux(panel.flux, "points")
    assert "@" not in ours + theirs
    assert "v.forestall_" not in theirs
    assert "${" not in ours
    if dashboard.variables and panel.flux and "hourly" not in panel.flux and "@" in panel.flux.replace("@raw", ""):
        assert f"v.forestall_{dashboard.variables[0]}" in ours
        assert f'"${{{dashboard.variables[0]}}}"' in theirs
    assert '"forestall"' not in ours


def test_every_variable_is_used() -> None:
    assert {name for one in DASHBOARDS for name in one.variables} == set(VARIABLES)
    for one in DASHBOARDS:
        for name in one.variables:
            assert any(f"@{name}" in panel.flux for panel in one.panels)


def test_colours_are_those_of_the_page_in_the_dark() -> None:
    dark = STYLE.split("prefers-color-scheme: dark")[1].split("}")[0]
    page = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))
    assert {name: page[name] for name in VERDICT_CODES} == colours.VERDICTS
    assert page["accent"] == colours.ACCENT
    bars = dict(re.findall(r'data-bucket="(\w+)"\] \{ background: var\(--(b\d)\)', STYLE))
    assert {bucket: page[name] for bucket, name in bars.items()} == colours.BUCKETS
    assert set(colours.BUCKETS) == set(PRECEDENCE)


def test_words_of_codes_are_those_of_the_schema() -> None:
    assert {word: code for code, (word, _) in WORDS.items()} == VERDICT_CODES
    assert dict(WORDS.values()) == colours.VERDICTS
    assert set(STAGES) < set(STAGE_CODES)
    assert set(ACTIONS) == set(Action.__args__)  # type: ignore[attr-defined]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.name)
def test_grafana_s_files_hold_to_its_schema(dashboard: Dashboard) -> None:
    assert faults(grafana_dashboard(dashboard, "forestall")) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("panels", 1, "gridPos", "w"), "wide", "/panels/1/grid_pos/w"),
        (("panels", 1, "fieldConfig", "defaults", "unitt"), "s", "unitt: no such key"),
        (("panels", 7, "fieldConfig", "defaults", "custom", "drawStyle"), "lines", "draw_style"),
        (("panels", 7, "options", "legend", "placement"), "top", "placement"),
        (("templating", "list", 0, "type"), "source", "type_val"),
        (("refresh",), 10, "refresh"),
    ],
)
def test_the_schema_would_tell(path: tuple[str | int, ...], value: object, said: str) -> None:
    wrong: Any = copy.deepcopy(grafana_dashboard(DASHBOARDS[0], "forestall"))
    inner = wrong
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    assert any(said in fault for fault in faults(wrong)), faults(wrong)


def test_grafana_is_provisioned_with_what_is_there() -> None:
    folder = files.FOLDER / files.GRAFANA / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "forestall.yaml").read_text(encoding="utf-8"))["datasources"]
    assert (source["type"], source["jsonData"]["version"]) == ("influxdb", "Flux")
    (provider,) = yaml.safe_load((folder / "dashboards" / "forestall.yaml").read_text(encoding="utf-8"))["providers"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    grafana = services["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"])
    assert mounted["./infra/influx/grafana"] == provider["options"]["path"]
    token = re.fullmatch(r"\$__file\{(.+)\}", source["secureJsonData"]["token"])
    assert token is not None
    assert str(Path(token[1]).parent) == mounted["tokens"]
    assert str(Path(services["sink"]["environment"]["FORESTALL_INFLUX__TOKEN_FILE"]).parent) == mounted["tokens"]
    named = set(re.findall(r"\$\{(\w+)\}", json.dumps(source)))
    assert named <= set(grafana["environment"])


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.name)
def test_each_check_has_its_runbook_and_asks_for_what_there_is(check: Any) -> None:
    assert (ROOT / RUNBOOKS / f"{check.runbook}.md").exists()
    (measurement,) = [one for one in MEASUREMENTS if one.name == check.measurement]
    assert check.field in {field.name for field in measurement.fields}
    (made,) = [
        one for one in check_objects("forestall", "https://wiki/") if one["metadata"]["name"].endswith(check.name)
    ]
    assert f"Runbook: https://wiki/{check.runbook}.md" in made["spec"]["statusMessageTemplate"]


def test_the_page_tells_of_every_check_and_dashboard() -> None:
    page = (ROOT / "docs" / "how-to" / "dashboards.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `([\w-]+)` \| (\w+) \|.*runbooks/([\w-]+)\.md", page, re.MULTILINE)
    assert sorted(told) == sorted((one.name, one.level, one.runbook) for one in CHECKS)
    for one in DASHBOARDS:
        assert f"**{one.title}**" in page


def test_tasks_keep_fields_that_there_are_of_every_measurement() -> None:
    fields = {one.name: {field.name for field in one.fields} for one in MEASUREMENTS}
    for kept in KEPT:
        assert set(kept.fields) <= fields[kept.measurement]
    assert {kept.measurement for kept in KEPT} == set(fields)
    assert len(task_objects("forestall")) == len(fields)
    (_, hourly) = BUCKETS
    assert hourly.name in task_objects("forestall")[0]["spec"]["query"]


def test_names_in_a_template_are_such_as_a_stack_takes() -> None:
    objects = [*files.texts().values()]
    names = [one["metadata"]["name"] for text in objects if text.startswith("[") for one in json.loads(text)]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"forestall-[a-z0-9-]+", name) for name in names)
