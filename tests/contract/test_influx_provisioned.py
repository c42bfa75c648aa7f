"""``forestall influx apply`` on a real InfluxDB: the same again and again, least tokens, panels that answer."""

from __future__ import annotations

import json
import re
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest
from influx_process import Process
from influx_server import Place, Row, own_place
from influx_story import SECONDS, story_lines
from observed_story import BAD, JOB

from connectors.errors import Failed, Unreachable, WrongUse
from connectors.influx.token_file import write_token
from infra import diagnosis
from infra.broker.server import choose_port
from infra.cli.main import main
from infra.influx.as_grafana import grafana_flux
from infra.influx.as_template import influx_flux
from infra.influx.checks import CHECKS
from infra.influx.dashboards import DASHBOARDS
from infra.influx.dashboards.panel import Panel
from infra.influx.provision import Provisioned, provision
from infra.influx.tokens import beyond_writing
from infra.influx.variables import VARIABLES
from infra.settings import load

pytestmark = pytest.mark.influx

HOUR_S = 3600
PATIENCE_S = 60.0
PANELS = [
    pytest.param(panel, id=f"{one.name}: {panel.title}") for one in DASHBOARDS for panel in one.panels if panel.flux
]


@pytest.fixture(scope="module")
def place(influx: Process) -> Place:
    return own_place(influx.server.url, influx.server.token(), "provisioned")


@pytest.fixture(scope="module")
def made(place: Place) -> Provisioned:
    return provision(place.url, place.token, place.org)


@pytest.fixture(scope="module")
def told(place: Place, made: Provisioned) -> float:
    """The story of a rescue, which ended a moment ago, and two hours before it another; when the newer began."""
    began = time.time() - SECONDS - 5
    for ago in (2 * HOUR_S, 0):
        assert place.write("forestall", story_lines(began - ago), made.write_token) == 204
    return began


def run_task(place: Place, task: str, due: float) -> None:
    """Have a task run once, as at that time, and wait until it has; between running and having run it is nowhere."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))
    run = place.api.ask("POST", f"/api/v2/tasks/{task}/runs", {"scheduledFor": at})["id"]
    path = f"/api/v2/tasks/{task}/runs/{run}"
    deadline, status = time.monotonic() + PATIENCE_S, ""
    while status != "success" and time.monotonic() < deadline:
        time.sleep(0.1)
        with suppress(Failed):
            status = place.api.ask("GET", path)["status"]
        assert status not in {"failed", "canceled"}, place.api.ask("GET", f"{path}/logs")
    assert status == "success", f"task {task} was {status or 'nowhere'} for {PATIENCE_S:.0f} s"


def counted(place: Place) -> dict[str, int]:
    """How many things of ours there are."""
    of = {"orgID": place.org_id, "limit": "100"}
    kinds = ("dashboards", "tasks", "checks", "variables", "authorizations")
    found = {kind: place.api.ask("GET", f"/api/v2/{kind}", **of)[kind] for kind in kinds}
    return {
        kind: sum(one.get("name", one.get("description", "")).startswith("forestall") for one in several)
        for kind, several in found.items()
    }


def test_again_and_again_it_is_the_same(place: Place, made: Provisioned) -> None:
    before = counted(place)
    again = provision(place.url, place.token, place.org)
    assert again == made
    assert counted(place) == before
    assert (before["dashboards"], before["authorizations"], before["variables"]) == (5, 2, 2)
    assert len(made.dashboards) == 5
    assert len(made.checks) == len(CHECKS)
    assert set(made.buckets) == {"forestall", "forestall_hourly"}
    assert made.write_token not in repr(made)
    assert made.read_token not in repr(made)


def test_what_differs_is_put_right_and_what_is_another_s_is_left(place: Place, made: Provisioned) -> None:
    api = place.api
    fleet, node = made.dashboards["forestall: Fleet"], made.dashboards["forestall: Node"]
    api.ask("PATCH", f"/api/v2/dashboards/{fleet}", {"description": "mine now"})
    api.ask("DELETE", f"/api/v2/dashboards/{node}")
    bucket = made.buckets["forestall"]
    api.ask("PATCH", f"/api/v2/buckets/{bucket}", {"retentionRules": [{"type": "expire", "everySeconds": 30 * 86_400}]})
    own = api.ask("POST", "/api/v2/dashboards", {"orgID": place.org_id, "name": "mine"})["id"]
    again = provision(place.url, place.token, place.org)
    assert again.dashboards["forestall: Fleet"] == fleet
    assert api.ask("GET", f"/api/v2/dashboards/{fleet}")["description"] == DASHBOARDS[0].about
    assert len(api.ask("GET", f"/api/v2/dashboards/{again.dashboards['forestall: Node']}")["cells"]) == len(
        DASHBOARDS[1].panels
    )
    kept = api.ask("GET", f"/api/v2/buckets/{bucket}")["retentionRules"][0]["everySeconds"]
    assert kept == 14 * 86_400
    assert api.ask("GET", f"/api/v2/dashboards/{own}")["name"] == "mine"
    assert again.buckets == made.buckets


def test_a_bucket_that_was_there_is_taken_with_its_points(influx: Process) -> None:
    place = own_place(influx.server.url, influx.server.token(), "older")
    old = place.api.ask("POST", "/api/v2/buckets", {"orgID": place.org_id, "name": "points", "retentionRules": []})[
        "id"
    ]
    assert place.write("points", ["mine value=1"]) == 204
    made = provision(place.url, place.token, place.org, "points")
    assert made.buckets["points"] == old
    assert place.rows('from(bucket: "points") |> range(start: -1h) |> keep(columns: ["_value"])') == [{"_value": "1"}]
    assert "points_hourly" in made.buckets


def test_the_sink_s_token_may_write_to_one_bucket_and_do_nothing_else(place: Place, made: Provisioned) -> None:
    from infra.influx.api import InfluxApi

    line = [f'assessment,node=n1 verdict="healthy" {time.time_ns()}']
    assert place.write("forestall", line, made.write_token) == 204
    assert place.write("forestall_hourly", line, made.write_token) == 403
    assert place.write("forestall", line, made.read_token) == 403
    with pytest.raises(AssertionError, match="could not find bucket"):
        place.rows('from(bucket: "forestall") |> range(start: -1h)', made.write_token)
    may = {
        name: beyond_writing(InfluxApi(place.url, token), place.org, "forestall")
        for name, token in [("admin", place.token), ("write", made.write_token), ("read", made.read_token)]
    }
    assert may["write"] == []
    assert any("all-access" in said for said in may["admin"])
    assert may["read"] == ["read forestall, forestall_hourly", "not write to forestall of provisioned"]


def test_a_token_that_may_more_than_it_should_is_replaced(place: Place, made: Provisioned) -> None:
    wider = [{"action": "read", "resource": {"type": "buckets", "orgID": place.org_id}}]
    body = {"orgID": place.org_id, "description": "forestall: sink", "permissions": wider}
    extra = place.api.ask("POST", "/api/v2/authorizations", body)["token"]
    again = provision(place.url, place.token, place.org)
    assert again.write_token == made.write_token
    assert place.api.ask("GET", "/api/v2/authorizations", orgID=place.org_id)
    tokens = {
        one["token"] for one in place.api.ask("GET", "/api/v2/authorizations", orgID=place.org_id)["authorizations"]
    }
    assert extra not in tokens


def test_who_asks_wrongly_is_told(place: Place) -> None:
    with pytest.raises(WrongUse, match="does not know the token") as unknown:
        provision(place.url, "secret-of-nobody", place.org)
    assert "secret-of-nobody" not in str(unknown.value)
    with pytest.raises(Failed, match="nosuch"):
        provision(place.url, place.token, "nosuch")
    with pytest.raises(Unreachable, match="does not answer"):
        provision(f"http://127.0.0.1:{choose_port(0)}", place.token, place.org)


def asked(place: Place, panel: Panel, token: str, *, grafana: bool) -> list[Row]:
    """The rows of a panel as that product asks for them."""
    if grafana:
        flux = grafana_flux(panel.flux, "forestall").replace("${job}", JOB).replace("${node}", BAD)
        given = {"v.timeRangeStart": "-15m", "v.timeRangeStop": "now()", "v.windowPeriod": "10s"}
        for name, value in given.items():
            flux = flux.replace(name, value)
        return place.rows(flux, token)
    chosen = f'forestall_job: "{JOB}", forestall_node: "{BAD}"'
    option = f"option v = {{timeRangeStart: -15m, timeRangeStop: now(), windowPeriod: 10s, {chosen}}}\n"
    flux = influx_flux(panel.flux, "forestall")
    imports = "".join(f"{line}\n" for line in flux.splitlines() if line.startswith("import "))
    return place.rows(imports + option + re.sub("^import .*$", "", flux, flags=re.MULTILINE), token)


@pytest.fixture(scope="module")
def hourly(place: Place, made: Provisioned, told: float) -> None:
    """Every task has run once, as at a full hour after the older story."""
    for task in made.tasks.values():
        run_task(place, task, (told - HOUR_S) // HOUR_S * HOUR_S)


@pytest.mark.parametrize("panel", PANELS)
@pytest.mark.usefixtures("hourly")
def test_each_panel_answers_with_rows_of_its_columns(place: Place, made: Provisioned, panel: Panel) -> None:
    rows = asked(place, panel, made.read_token, grafana=False)
    assert rows
    assert set(rows[0]) == set(panel.returns)
    assert any(row[name] != "" for row in rows for name in panel.returns[-1:])
    assert set(asked(place, panel, made.read_token, grafana=True)[0]) == set(panel.returns)


@pytest.mark.usefixtures("told")
def test_what_may_be_chosen_is_what_there_is(place: Place, made: Provisioned) -> None:
    chosen = {
        name: {row["_value"] for row in place.rows(influx_flux(flux, "forestall"), made.read_token)}
        for name, flux in VARIABLES.items()
    }
    assert chosen["job"] == {JOB}
    assert BAD in chosen["node"]


@pytest.mark.usefixtures("hourly")
def test_an_hour_is_one_point_however_often_it_is_made(place: Place, made: Provisioned) -> None:
    query = """from(bucket: "forestall_hourly") |> range(start: -4h)
        |> filter(fn: (r) => r._measurement == "assessment" and r.node == "n03")
        |> drop(columns: ["_start", "_stop"])"""
    before = place.rows(query)
    assert {row["_field"] for row in before} >= {"probability_max", "probability_mean", "verdict_code_max"}
    assert all(re.search(r":00:00Z$", row["_time"]) for row in before)
    task = made.tasks["forestall: assessment, by the hour"]
    run_task(place, task, (time.time() - HOUR_S) // HOUR_S * HOUR_S)
    assert place.rows(query) == before


@pytest.mark.parametrize("name", ["node-failing", "command-refused", "worker-stale"])
def test_a_check_says_what_is_wrong_and_names_its_runbook(
    place: Place, made: Provisioned, told: float, name: str
) -> None:
    (check,) = [one for one in CHECKS if one.name == name]
    found = place.api.ask("GET", f"/api/v2/checks/{made.checks[f'forestall: {name}']}")
    # the last minute of the newer story, its middle, and the silence after the older one
    late_s = {"node-failing": SECONDS - 5, "command-refused": SECONDS / 2 + 10, "worker-stale": 300 - 2 * HOUR_S}[name]
    run_task(place, found["taskID"], told + late_s)
    flux = f"""from(bucket: "_monitoring") |> range(start: -4h)
        |> filter(fn: (r) => r._measurement == "statuses" and r._field == "_message")
        |> filter(fn: (r) => r._check_name == "forestall: {name}")"""
    said = [row for row in place.rows(flux) if row["_level"] != "ok"]
    assert {row["_level"] for row in said} == {check.level.lower()}
    assert f"Runbook: docs/runbooks/{check.runbook}.md" in said[0]["_value"]


@pytest.fixture
def words(place: Place, tmp_path: Path) -> list[str]:
    """The options by which the command finds the server."""
    write_token(tmp_path / "admin.token", place.token)
    return [
        *("--set", f"influx.url={place.url}", "--set", f"influx.org={place.org}"),
        *("--set", f"influx.token_file={tmp_path / 'own' / 'sink.token'}"),
    ]


def test_the_command_keeps_the_tokens_and_shows_none(
    place: Place, made: Provisioned, tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["influx", "apply", "--admin-token", str(tmp_path / "admin.token"), *words, "--json"]) == 0
    said = capsys.readouterr()
    told = json.loads(said.out)
    assert list(told["dashboards"]) == list(made.dashboards)
    for name, token in (("sink", made.write_token), ("dashboards", made.read_token)):
        file = Path(told["token_files"][name])
        assert file.read_text().strip() == token
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert main(["influx", "apply", "--admin-token", str(tmp_path / "admin.token"), *words]) == 0
    text = said.out + said.err + "".join(capsys.readouterr())
    assert not [token for token in (made.write_token, made.read_token, place.token) if token in text]


def test_doctor_warns_of_a_token_that_may_do_too_much(place: Place, made: Provisioned, words: list[str]) -> None:
    settings = load(None, words[1::2])
    file = settings.influx.token_file
    assert file is not None
    write_token(file, place.token)
    found = diagnosis._influx(settings)
    assert not found.ok
    assert "all-access" in found.detail
    assert place.token not in found.detail
    assert "forestall influx apply" in found.cure
    write_token(file, made.write_token)
    assert diagnosis._influx(settings).ok
    write_token(file, "of-nobody")
    assert "does not know the token" in diagnosis._influx(settings).detail
    away = load(None, [*words[1::2], f"influx.url=http://127.0.0.1:{choose_port(0)}"])
    assert "does not answer" in diagnosis._influx(away).detail
    assert diagnosis._influx(load(None)).ok
