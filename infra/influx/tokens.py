"""Tokens of least privilege, and what a token may do that it should not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from infra.influx.api import InfluxApi
from infra.influx.as_template import PREFIX

#: A bucket that each organisation has, and in which a sink has no business.
MONITORING: Final = "_monitoring"

Permission = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Access:
    """What one token is for: the ids of the buckets that it may read, and of those that it may write."""

    name: str
    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """By which it is found again."""
        return f"{PREFIX}: {self.name}"

    @property
    def permissions(self) -> set[Permission]:
        """Each as (action, type, id)."""
        return {("read", "buckets", one) for one in self.read} | {("write", "buckets", one) for one in self.write}


def token_for(api: InfluxApi, org_id: str, access: Access) -> str:
    """The token that may do just that: the one that is there, or a new one in the place of any that may do else."""
    same = [one for one in _all(api, org_id) if one["description"] == access.description]
    fitting = [one for one in same if _permissions(one) == access.permissions and one["status"] == "active"]
    kept = next((one for one in fitting if one.get("token")), None)
    for one in same:
        if one is not kept:
            api.ask("DELETE", f"/api/v2/authorizations/{one['id']}")
    return str((kept or _made(api, org_id, access))["token"])


def _made(api: InfluxApi, org_id: str, access: Access) -> dict[str, Any]:
    permissions = [
        {"action": action, "resource": {"type": kind, "id": of, "orgID": org_id}}
        for action, kind, of in sorted(access.permissions)
    ]
    body = {"orgID": org_id, "description": access.description, "status": "active", "permissions": permissions}
    made: dict[str, Any] = api.ask("POST", "/api/v2/authorizations", body)
    return made


def _all(api: InfluxApi, org_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.ask("GET", "/api/v2/authorizations", orgID=org_id)["authorizations"]
    return found


def _permissions(authorization: dict[str, Any]) -> set[Permission]:
    return {
        (one["action"], one["resource"]["type"], one["resource"].get("id", "any"))
        for one in authorization["permissions"]
    }


def beyond_writing(api: InfluxApi, org: str, bucket: str) -> list[str]:
    """What the token of ``api`` may do beyond writing to one bucket, or that it may not; empty: as it should be.

    A line that no server can read tells whether it may write: who may is told that the line is wrong, and nothing is
    written.
    """
    found = []
    if api.ask("GET", "/api/v2/authorizations")["authorizations"]:
        found.append("see, and so make, other tokens: it is an all-access token")
    readable = sorted(one["name"] for one in api.ask("GET", "/api/v2/buckets")["buckets"])
    if readable:
        found.append(f"read {', '.join(readable)}")
    if _may_write(api, org, MONITORING):
        found.append(f"write to other buckets, {MONITORING} among them")
    if not _may_write(api, org, bucket):
        found.append(f"not write to {bucket} of {org}")
    return found


def _may_write(api: InfluxApi, org: str, bucket: str) -> bool:
    status, _ = api.try_to("POST", "/api/v2/write", b"?", {"org": org, "bucket": bucket})
    return status == 400
