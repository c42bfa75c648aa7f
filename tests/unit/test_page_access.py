"""Who may see the page elsewhere than on this machine, and what is asked on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from observed_story import BEGAN, Clock, Watched

from connectors.errors import Failed, Unreachable, WrongUse
from infra.settings import Web
from infra.web.access import SESSION_S, SESSIONS_MAX, Doorkeeper, Terms, Tls, read_token, terms_of
from infra.web.app import build_page
from infra.web.charts import RELEASED, chart_file
from infra.web.feed import Feed
from infra.web.inquiries import Inquiries, Inquiry
from infra.web.login import PLAIN_COOKIE, SECURE_COOKIE
from infra.web.serve import serve
from models.policy_settings import PolicySettings

TOKEN = "t" * 32


def feed() -> Feed:
    return Feed(Watched(), lambda: {"title": "a story", "phase": ""}, PolicySettings(), lambda: BEGAN, Clock())


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    page = build_page(feed(), lambda: b"up 1\n", terms=Terms("127.0.0.1", TOKEN))
    async with TestClient(TestServer(page)) as client:
        yield client


def token_file(folder: Path, token: str = TOKEN, mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(token + "\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("path", ["/api/overview", "/events", "/metrics", "/page.js", "/api/savings"])
async def test_without_the_token_nothing_is_told(client: TestClient[Any, Any], path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Cookie": "forestall=x"},
    ):
        answer = await client.get(path, headers=headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "Content-Security-Policy" in answer.headers


async def test_the_header_lets_a_program_in(client: TestClient[Any, Any]) -> None:
    answer = await client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert await answer.text() == "up 1\n"


async def test_the_form_gives_a_cookie_that_is_not_the_token_and_no_script_reads(client: TestClient[Any, Any]) -> None:
    first = await client.get("/", allow_redirects=False)
    assert (first.status, first.headers["Location"]) == (303, "/login")
    assert 'name="token"' in await (await client.get("/login")).text()
    answer = await client.post("/login", data={"token": TOKEN}, allow_redirects=False)
    assert answer.status == 303
    cookie = answer.cookies[PLAIN_COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert TOKEN not in cookie.value
    assert (await client.get("/api/overview")).status == 200


async def test_a_wrong_token_is_told_and_makes_the_next_try_wait(client: TestClient[Any, Any]) -> None:
    wrong = await client.post("/login", data={"token": "wrong"})
    assert wrong.status == 401
    assert "not the token" in await wrong.text()
    again = await client.post("/login", data={"token": TOKEN})
    assert again.status == 429


async def test_the_form_of_another_site_is_not_taken(client: TestClient[Any, Any]) -> None:
    answer = await client.post("/login", data={"token": TOKEN}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status == 403


@pytest.mark.parametrize("path", ["/", "/api/overview", "/events", "/metrics"])
async def test_nothing_else_is_posted(client: TestClient[Any, Any], path: str) -> None:
    answer = await client.post(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status == 405


def certificate(folder: Path) -> Tls:
    """A certificate of its own for this machine, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forestall")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    tls = Tls(folder / "page.crt", folder / "page.key")
    tls.cert.write_bytes(made.public_bytes(Encoding.PEM))
    tls.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return tls


async def test_with_tls_the_page_is_served_by_any_name_and_its_cookie_is_of_this_host_alone(tmp_path: Path) -> None:
    page = await serve(feed(), Terms("0.0.0.0", TOKEN, certificate(tmp_path)), 0)
    assert page.url == f"https://0.0.0.0:{page.port}"
    url, headers = f"https://127.0.0.1:{page.port}", {"Host": f"page.example:{page.port}"}
    try:
        async with ClientSession() as session:
            async with session.post(
                f"{url}/login", data={"token": TOKEN}, headers=headers, ssl=False, allow_redirects=False
            ) as answer:
                cookie = answer.cookies[SECURE_COOKIE]
            assert cookie["secure"]
            assert cookie["path"] == "/"
            held = {**headers, "Cookie": f"{SECURE_COOKIE}={cookie.value}"}
            async with session.get(f"{url}/api/overview", headers=held, ssl=False) as answer:
                assert answer.status == 200
    finally:
        await page.stop()


async def test_a_key_that_does_not_fit_is_told(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    tls.key.write_text("no key")
    with pytest.raises(WrongUse, match="tls_key"):
        await serve(feed(), Terms("127.0.0.1", TOKEN, tls), 0)


def test_a_session_ends_by_itself_and_there_are_only_so_many() -> None:
    clock = Clock()
    door = Doorkeeper(TOKEN, clock)
    first = door.admit(TOKEN)
    assert first is not None
    assert door.knows(None, first)
    clock.now += SESSION_S + 1
    assert not door.knows(None, first)
    held = [door.admit(TOKEN) for _ in range(SESSIONS_MAX + 1)]
    assert [door.knows(None, session) for session in held] == [False] + [True] * SESSIONS_MAX


@pytest.mark.parametrize("given", [{}, {"token_file": "t"}, {"tls_cert": "c", "tls_key": "k"}])
def test_another_address_names_all_that_it_lacks(given: dict[str, str]) -> None:
    with pytest.raises(WrongUse) as refused:
        terms_of(Web(host="0.0.0.0", **{name: Path(path) for name, path in given.items()}))
    named = {name for name in ("token_file", "tls_cert", "tls_key") if f"web.{name}" in str(refused.value)}
    assert named == {"token_file", "tls_cert", "tls_key"} - set(given)


def test_with_all_three_it_is_served_there(tmp_path: Path) -> None:
    web = Web(host="0.0.0.0", token_file=token_file(tmp_path), tls_cert=Path("c"), tls_key=Path("k"))
    terms = terms_of(web)
    assert terms.token == TOKEN
    assert not terms.local
    assert TOKEN not in repr(terms)


@pytest.mark.parametrize(
    ("token", "mode", "says"), [(TOKEN, 0o644, "chmod 600"), ("short", 0o600, "24"), ("", 0o600, "24")]
)
def test_a_token_that_others_can_read_or_guess_is_refused(tmp_path: Path, token: str, mode: int, says: str) -> None:
    with pytest.raises(WrongUse, match=says):
        read_token(token_file(tmp_path, token, mode))


async def test_a_question_is_asked_once_for_all_who_wait_and_kept_for_a_moment() -> None:
    asked, clock = [], Clock()
    inquiry = Inquiry(lambda name: asked.append(name) or {"of": name}, 10.0, clock)
    answers = await asyncio.gather(*(inquiry.about("n1") for _ in range(5)))
    assert [answer.found for answer in answers] == [{"of": "n1"}] * 5
    assert asked == ["n1"]
    clock.now += 11.0
    await inquiry.about("n1")
    assert asked == ["n1", "n1"]


async def test_what_cannot_be_found_is_told_with_the_reason() -> None:
    def away(_: str) -> dict[str, Any]:
        raise Unreachable("no broker answers at there:9092")

    page = build_page(feed(), inquiries=Inquiries(explanation=Inquiry(away, 10.0, Clock())))
    async with TestClient(TestServer(page)) as client:
        told = await (await client.get("/api/decision/abc/explanation")).json()
    assert told == {"found": None, "lacking": "no broker answers at there:9092"}


@pytest.mark.parametrize("name", RELEASED)
def test_the_charts_are_the_released_files(name: str) -> None:
    assert len(chart_file(name)) > 1_000


def test_an_altered_chart_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    chart_file.cache_clear()
    monkeypatch.setitem(RELEASED, "uplot.min.css", "0" * 64)
    with pytest.raises(Failed, match="not what uPlot released"):
        chart_file("uplot.min.css")
    chart_file.cache_clear()
