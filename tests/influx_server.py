"""What tests ask of a real InfluxDB: rows of a query, points written, an organisation of a test's own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from infra.influx.api import InfluxApi

Row = dict[str, str]


@dataclass(frozen=True)
class Place:
    """An organisation of a test's own on the session's server, and the token that may do everything on it."""

    url: str
    org: str
    token: str

    @property
    def api(self) -> InfluxApi:
        return InfluxApi(self.url, self.token)

    @property
    def org_id(self) -> str:
        return str(self.api.ask("GET", "/api/v2/orgs", org=self.org)["orgs"][0]["id"])

    def rows(self, flux: str, token: str | None = None) -> list[Row]:
        """Each row of each table of a query, without the columns that say which table."""
        body = json.dumps({"query": flux, "type": "flux", "dialect": {"annotations": ["datatype"]}}).encode()
        api = InfluxApi(self.url, token or self.token)
        status, answer = api.try_to("POST", "/api/v2/query", body, {"org": self.org})
        assert status == 200, answer.decode()
        return list(read_rows(answer.decode()))

    def write(self, bucket: str, lines: Iterable[str], token: str | None = None) -> int:
        """Write points; the status of the answer."""
        query = {"org": self.org, "bucket": bucket, "precision": "ns"}
        api = InfluxApi(self.url, token or self.token)
        return api.try_to("POST", "/api/v2/write", "\n".join(lines).encode(), query)[0]


def read_rows(text: str) -> Iterator[Row]:
    """The rows of annotated CSV; raises where the server broke off with an error in the middle."""
    header: list[str] = []
    fresh = True
    for cells in csv.reader(io.StringIO(text)):
        if not cells or cells[0].startswith("#"):
            fresh = True
        elif fresh:
            header, fresh = cells, False
            assert "error" not in header, text
        else:
            row = dict(zip(header, cells, strict=True))
            yield {name: value for name, value in row.items() if name not in {"", "result", "table"}}


def own_place(url: str, token: str, org: str) -> Place:
    """A fresh organisation, asked with the token of the server's operator."""
    InfluxApi(url, token).ask("POST", "/api/v2/orgs", {"name": org})
    return Place(url, org, token)
