"""Sets up an InfluxDB for forestall: buckets, tasks, variables, dashboards, checks and two tokens. Again and again.

Everything but the tokens is one template, applied with a stack of our name: what is there already keeps its id, what
differs is put right, what forestall no longer has goes, and what somebody removed comes back. Nothing else is touched.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.errors import Failed
from connectors.influx.schema import HOURLY, RAW
from infra.influx.api import InfluxApi
from infra.influx.as_template import PREFIX, Object, dashboard_object, thing
from infra.influx.checks import RUNBOOKS, check_objects
from infra.influx.dashboards import DASHBOARDS
from infra.influx.tasks import task_objects
from infra.influx.tokens import Access, token_for
from infra.influx.variables import variable_objects


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What is there now: ids by name, and the tokens, which show in no text."""

    write_token: str = field(repr=False)
    read_token: str = field(repr=False)
    buckets: Mapping[str, str]
    tasks: Mapping[str, str]
    dashboards: Mapping[str, str]
    checks: Mapping[str, str]


def provision(url: str, admin_token: str, org: str, bucket: str = RAW.name, runbooks: str = RUNBOOKS) -> Provisioned:
    """Set everything up, or put it right.

    Parameters
    ----------
    url : of the server.
    admin_token : may make buckets, tasks, dashboards and tokens in ``org``; an all-access token does.
    org : the organisation's name; it has to exist.
    bucket : for the points; a second one, ``<bucket>_hourly``, is for what is kept longer.
    runbooks : where they lie, as the messages of checks say it.

    Raises
    ------
    Unreachable, WrongUse, Failed
        InfluxDB does not answer, does not know the token, or refuses.
    """
    api = InfluxApi(url, admin_token)
    org_id = _organisation(api, org)
    applied = {"orgID": org_id, "stackID": _stack(api, org_id), "template": _whole(bucket, runbooks)}
    made = api.ask("POST", "/api/v2/templates/apply", applied)["summary"]
    buckets = _ids(made["buckets"])
    return Provisioned(
        write_token=token_for(api, org_id, Access("sink", write=(buckets[bucket],))),
        read_token=token_for(api, org_id, Access("dashboards", read=tuple(buckets[name] for name in sorted(buckets)))),
        buckets=buckets,
        tasks=_ids(made["summaryTask"]),
        dashboards=_ids(made["dashboards"]),
        checks=_ids(one["check"] for one in made["checks"]),
    )


def base_objects(bucket: str, runbooks: str = RUNBOOKS) -> list[Object]:
    """All but the dashboards."""
    return [*_buckets(bucket), *variable_objects(bucket), *task_objects(bucket), *check_objects(bucket, runbooks)]


def _whole(bucket: str, runbooks: str) -> Object:
    contents = [*base_objects(bucket, runbooks), *(dashboard_object(one, bucket) for one in DASHBOARDS)]
    return {"contentType": "json", "contents": contents}


def _buckets(bucket: str) -> list[Object]:
    kept = ((bucket, RAW), (f"{bucket}_hourly", HOURLY))
    return [
        thing(
            "Bucket",
            f"{PREFIX}-bucket-{number}",
            name=name,
            description=what.what,
            retentionRules=[{"type": "expire", "everySeconds": what.retention_s}],
        )
        for number, (name, what) in enumerate(kept)
    ]


def _organisation(api: InfluxApi, org: str) -> str:
    found = api.ask("GET", "/api/v2/orgs", org=org)["orgs"]
    if not found:
        raise Failed(f"InfluxDB at {api.url} has no organisation {org!r} for this token; say another: [influx] org")
    return str(found[0]["id"])


def _stack(api: InfluxApi, org_id: str) -> str:
    """The stack of our name, made where there is none; the oldest, should there be several."""
    found = api.ask("GET", "/api/v2/stacks", orgID=org_id, name=PREFIX)["stacks"]
    live = [one for one in found if one["eventType"] != "uninstall"]
    if live:
        return str(min(live, key=lambda one: str(one["createdAt"]))["id"])
    description = "what forestall influx apply sets up; applied again, it is put right"
    made = api.ask("POST", "/api/v2/stacks", {"orgID": org_id, "name": PREFIX, "description": description, "urls": []})
    return str(made["id"])


def _ids(things: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(one["name"]): _id(one["id"]) for one in things}


def _id(told: int | str) -> str:
    """An id as every other call has it: templates tell some of them as numbers."""
    return format(told, "016x") if isinstance(told, int) else told
