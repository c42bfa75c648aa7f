"""The writer on a real InfluxDB: each kind of line comes back as it was, and each refusal is found."""

from __future__ import annotations

import json
import time
from contextlib import closing

import pytest
from influx_process import Process
from influx_story import story_lines

from connectors.influx.lines import line
from connectors.influx.schema import OUTCOME_POINT
from connectors.influx.writer import Address, Delivered, InfluxWriter, NotNow, deliver
from infra.influx.api import InfluxApi
from infra.influx.server import ORG
from infra.sink.reckoning import held


@pytest.fixture
def bucket(influx: Process, request: pytest.FixtureRequest) -> str:
    """A bucket of the test's own, that keeps a day."""
    api, name = InfluxApi(influx.server.url, influx.server.token()), request.node.name[:60]
    org_id = api.ask("GET", "/api/v2/orgs", org=ORG)["orgs"][0]["id"]
    rules = [{"type": "expire", "everySeconds": 86_400}]
    api.ask("POST", "/api/v2/buckets", {"orgID": org_id, "name": name, "retentionRules": rules})
    return str(name)


def write(influx: Process, bucket: str, told: list[str], token: str | None = None) -> Delivered:
    address = Address(influx.server.url, ORG, bucket)
    with closing(InfluxWriter(address, lambda: token or influx.server.token(), time.time)) as writer:
        return deliver(told, writer.post)


def count(influx: Process, bucket: str) -> dict[str, int]:
    return held(InfluxApi(influx.server.url, influx.server.token()), ORG, bucket)


def test_the_story_is_held_once_however_often_it_is_written(influx: Process, bucket: str) -> None:
    told = story_lines(time.time() - 600)
    for _ in range(2):
        assert write(influx, bucket, told) == Delivered(len(told))
        found = count(influx, bucket)
        assert sum(found.values()) == len(told)
        assert all(found.values())


def test_nasty_names_and_texts_come_back(influx: Process, bucket: str) -> None:
    node, reason, at = 'rack 4, "n=17" \\', 'said "no", \\ twice', time.time_ns()
    told = line(OUTCOME_POINT, {"job": "j", "node": node}, {"stage": "failed", "reason": reason}, at)
    assert write(influx, bucket, [told]) == Delivered(1)
    flux = f'from(bucket: "{bucket}") |> range(start: -1h) |> filter(fn: (r) => r._field == "reason")'
    answer = answer_to(InfluxApi(influx.server.url, influx.server.token()), flux)
    assert '"said ""no"", \\ twice"' in answer
    assert '"rack 4, ""n=17"" %5C"' in answer


def answer_to(api: InfluxApi, flux: str) -> str:
    """The rows as the server writes them."""
    status, answer = api.try_to("POST", "/api/v2/query", json.dumps({"query": flux}).encode(), {"org": ORG})
    assert status == 200
    return answer.decode()


def test_bad_lines_are_found_among_good_ones(influx: Process, bucket: str) -> None:
    now = time.time_ns()
    good = [f'outcome,node=n{n} stage="done" {now}' for n in range(50)]
    write(influx, bucket, good[:1])
    other_type, no_line, too_old = f"outcome,node=n1 stage=3 {now + 1}", "no line", 'outcome,node=n1 stage="x" 5'
    found = write(influx, bucket, [*good[:20], other_type, *good[20:30], no_line, too_old, *good[30:]])
    assert [refused.lines for refused in found.refused] == [(other_type,), (no_line,), (too_old,)]
    assert found.written == 50
    assert count(influx, bucket)["outcome"] == 50


def test_a_bucket_or_a_token_that_is_wrong_is_told_with_its_cure(influx: Process, bucket: str) -> None:
    told = [f"outcome,node=n stage=1 {time.time_ns()}"]
    with pytest.raises(NotNow, match=r"influx\.bucket"):
        write(influx, "no-such-bucket", told)
    with pytest.raises(NotNow, match=r"influx\.token_file"):
        write(influx, bucket, told, "wrong")
