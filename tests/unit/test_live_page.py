"""The live page by HTTP: what it serves, to whom, and with which headers."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from observed_story import BAD, BEGAN, JOB, Clock, Watched

from connectors.errors import WrongUse
from infra.observer.reader import LogState
from infra.settings import Web
from infra.web import feed as feeding
from infra.web.access import Terms, terms_of
from infra.web.app import FILES, READERS_MAX, build_page
from infra.web.feed import INTERVAL_S, LEDGER_S, Feed
from infra.web.packed import BYTES_A_NODE
from infra.web.serve import serve
from models.job_account import Folds, JobAccount
from models.policy_settings import PolicySettings


@pytest.fixture
def told() -> Watched:
    return Watched()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def feed(told: Watched, clock: Clock) -> Feed:
    return Feed(told, lambda: {"title": "a story", "phase": "live"}, PolicySettings(), lambda: BEGAN + 60, clock)


@pytest.fixture
async def client(feed: Feed) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(build_page(feed))) as client:
        yield client


@pytest.mark.parametrize("path", [*FILES, "/api/overview", f"/api/node/{BAD}"])
async def test_everything_comes_with_a_strict_policy(client: TestClient[Any, Any], path: str) -> None:
    answer = await client.get(path)
    assert answer.status == 200
    policy = dict(rule.split(" ", 1) for rule in answer.headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert {policy[key] for key in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert policy["frame-ancestors"] == "'none'"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", FILES)
async def test_no_file_names_anything_from_elsewhere_or_writes_inline(client: TestClient[Any, Any], path: str) -> None:
    text = (await (await client.get(path)).text()).replace("http://www.w3.org/", "")
    assert "http:" not in text
    assert "https:" not in text
    assert "innerHTML" not in text
    if path == "/":
        assert " style=" not in text
        assert "<script>" not in text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_get_only(client: TestClient[Any, Any], method: str) -> None:
    answer = await client.request(method, "/api/overview")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"
    assert "Content-Security-Policy" in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8088", "127.0.0.1.evil.example", "192.168.1.4"])
async def test_a_name_that_was_bound_to_this_machine_by_others_is_refused(
    client: TestClient[Any, Any], host: str
) -> None:
    answer = await client.get("/api/overview", headers={"Host": host})
    assert answer.status == 403
    assert "127.0.0.1" in await answer.text()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8088", "[::1]:8088"])
async def test_this_machine_by_its_own_names(client: TestClient[Any, Any], host: str) -> None:
    assert (await client.get("/", headers={"Host": host})).status == 200


async def test_the_overview_holds_fleet_job_ledger_and_counts(client: TestClient[Any, Any]) -> None:
    told = await (await client.get("/api/overview")).json()
    assert len(told["nodes"]) == 16
    (job,) = told["jobs"]
    assert job["job"] == JOB
    assert sum(job["ledger"]["buckets"].values()) == pytest.approx(job["ledger"]["wall_s"], rel=1e-9)
    assert told["counts"]["assessed"] == 960
    assert told["log"] == {"condition": "live", "silent_s": 0.2}
    assert told["about"] == {"title": "a story", "phase": "live"}


async def test_an_unknown_node_is_not_found(client: TestClient[Any, Any]) -> None:
    answer = await client.get("/api/node/%3Cscript%3E")
    assert answer.status == 404
    assert answer.content_type == "text/plain"


@pytest.mark.parametrize(
    ("state", "condition"),
    [
        (LogState(away=False, silent_s=0.1), "live"),
        (LogState(away=False, silent_s=9.0), "stale"),
        (LogState(away=False, silent_s=None), "stale"),
        (LogState(away=True, silent_s=9.0), "away"),
        (LogState(away=False, silent_s=0.1, fault="KeyError: 'n1'"), "broken"),
    ],
)
async def test_the_page_is_told_how_old_it_is(
    client: TestClient[Any, Any], told: Watched, state: LogState, condition: str
) -> None:
    told.log = state
    assert (await (await client.get("/api/overview")).json())["log"]["condition"] == condition


async def test_a_page_that_listens_is_told_names_cells_and_digest(client: TestClient[Any, Any]) -> None:
    answer = await client.get("/events")
    assert answer.content_type == "text/event-stream"
    assert await answer.content.readline() == b"retry: 1000\n"
    await answer.content.readline()
    told = {}
    while "digest" not in told:
        kind = (await answer.content.readline()).removeprefix(b"event: ").strip().decode()
        told[kind] = json.loads((await answer.content.readline()).removeprefix(b"data: "))
        await answer.content.readline()
    assert told["digest"]["about"]["title"] == "a story"
    assert len(told["names"]["names"]) == 16
    assert len(base64.b64decode(told["cells"]["cells"])) == 16 * BYTES_A_NODE
    answer.close()


async def test_a_ledger_that_takes_long_holds_up_no_page_that_listens(
    client: TestClient[Any, Any], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, told = threading.Event(), threading.Event()
    in_time = []

    def slow(*_: Any) -> None:
        begun.set()
        in_time.append(told.wait(20))

    monkeypatch.setattr(feeding, "account_from", slow)
    savings = asyncio.create_task(client.get("/api/savings"))
    assert await asyncio.to_thread(begun.wait, 20)
    answer = await client.get("/events")
    while await answer.content.readline() != b"event: digest\n":
        clock.now += INTERVAL_S
    told.set()
    assert (await savings).status == 200
    assert in_time == [True]
    answer.close()


def test_jobs_are_folded_while_the_view_goes_on(feed: Feed, told: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    folded_while_looking, looking = [], []
    take, look = Folds.take, told.look

    def looked(at: Any) -> Any:
        looking.append(at)
        try:
            return look(at)
        finally:
            looking.pop()

    def folded(folds: Folds, event: Any) -> None:
        folded_while_looking.append(bool(looking))
        take(folds, event)

    monkeypatch.setattr(told, "look", looked)
    monkeypatch.setattr(Folds, "take", folded)
    feed.savings()
    assert folded_while_looking
    assert not any(folded_while_looking)


async def test_more_readers_than_the_bound_are_refused(client: TestClient[Any, Any]) -> None:
    answers = [await client.get("/events") for _ in range(READERS_MAX)]
    for answer in answers:
        await answer.content.readline()
    refused = await client.get("/events")
    assert refused.status == 503
    for answer in answers:
        answer.close()


def test_a_payload_is_made_at_most_twice_a_second_whoever_asks(feed: Feed, told: Watched, clock: Clock) -> None:
    first = feed.overview()
    looks = told.looks
    clock.now += INTERVAL_S * 0.9
    assert feed.overview() is first
    assert told.looks == looks
    clock.now += INTERVAL_S * 0.2
    assert feed.overview() is not first


def test_a_ledger_is_made_anew_less_often(feed: Feed, told: Watched, clock: Clock) -> None:
    feed.overview()
    told.view.jobs[JOB].told = JobAccount(JOB)
    clock.now += LEDGER_S * 0.9
    assert json.loads(feed.overview())["jobs"][0]["ledger"] is not None
    clock.now += LEDGER_S * 0.2 + INTERVAL_S
    assert json.loads(feed.overview())["jobs"][0]["ledger"] is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "example.org"])
def test_any_other_address_is_refused_with_a_way_out(host: str) -> None:
    with pytest.raises(WrongUse, match="ssh -L 8088") as refused:
        terms_of(Web(host=host))
    assert repr(host) in str(refused.value)


async def test_a_taken_port_gives_a_free_one_and_says_so(feed: Feed) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        page = await serve(feed, Terms("127.0.0.1"), wanted)
        assert page.moved
        assert page.port != wanted
        async with ClientSession() as session, session.get(page.url) as answer:
            assert answer.status == 200
        await page.stop()


async def test_stopping_ends_open_streams(feed: Feed) -> None:
    page = await serve(feed, Terms("127.0.0.1"), 0)
    async with ClientSession() as session, session.get(page.url + "/events") as answer:
        await answer.content.readline()
        async with asyncio.timeout(10):
            await page.stop()
            while await answer.content.readline():
                pass
