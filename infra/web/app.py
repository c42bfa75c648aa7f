"""The HTTP side of the live page: it only reads, for this machine or for who shows the token."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from infra.metrics.serving import EXPOSITION
from infra.web.access import LOOPBACK, Doorkeeper, Terms
from infra.web.charts import RELEASED, chart_file
from infra.web.feed import INTERVAL_S, Feed, Frame
from infra.web.inquiries import Inquiries, Inquiry
from infra.web.login import LOGIN, add_login, cookie_of

PAGE = Path(__file__).parent / "page"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FILES = {"/": "index.html"} | {
    f"/{path.name}": path.name for path in sorted(PAGE.iterdir()) if path.suffix in KINDS and path.name != "index.html"
}
#: What is served to anybody, so that the login form can be shown.
PUBLIC = frozenset({LOGIN, "/style.css", "/icon.svg"})
READERS_MAX = 32
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FEED: web.AppKey[Feed] = web.AppKey("feed", Feed)
INQUIRIES: web.AppKey[Inquiries] = web.AppKey("inquiries", Inquiries)
TERMS: web.AppKey[Terms] = web.AppKey("terms", Terms)
DOOR: web.AppKey[Doorkeeper] = web.AppKey("door", Doorkeeper)
SCRAPED: web.AppKey[Callable[[], bytes]] = web.AppKey("scraped")
STOPPING: web.AppKey[asyncio.Event] = web.AppKey("stopping", asyncio.Event)
#: Frames are made in a thread of their own, so that no other question can hold up the event stream.
FRAMES: web.AppKey[ThreadPoolExecutor] = web.AppKey("frames", ThreadPoolExecutor)
READERS: web.AppKey[set[web.StreamResponse]] = web.AppKey("readers", set)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_encode = msgspec.json.Encoder().encode


def build_page(
    feed: Feed,
    scraped: Callable[[], bytes] | None = None,
    inquiries: Inquiries | None = None,
    terms: Terms | None = None,
) -> web.Application:
    """The application that serves the page, its files and its feed, and at ``/metrics`` what ``scraped`` says."""
    app = web.Application(middlewares=[_guard], client_max_size=8_192)
    app[FEED], app[STOPPING], app[READERS] = feed, asyncio.Event(), set()
    app[FRAMES] = ThreadPoolExecutor(1, "frames")
    app[INQUIRIES], app[TERMS] = inquiries or Inquiries(), terms or Terms("127.0.0.1")
    for path in FILES:
        app.router.add_get(path, _file)
    for name in RELEASED:
        app.router.add_get(f"/charts/{name}", _chart)
    app.router.add_get("/events", _events)
    app.router.add_get("/api/overview", _overview)
    app.router.add_get("/api/node/{name}", _told(Feed.node, "node"))
    app.router.add_get("/api/job/{name}", _told(Feed.job, "job"))
    app.router.add_get("/api/decision/{name}", _told(Feed.decision, "command or incident"))
    app.router.add_get("/api/savings", _savings)
    app.router.add_get("/api/node/{name}/metrics", _asked(lambda asked: asked.metrics))
    app.router.add_get("/api/decision/{name}/explanation", _asked(lambda asked: asked.explanation))
    app.router.add_get("/api/pipeline", _asked(lambda asked: asked.pipeline))
    if app[TERMS].token is not None:
        app[DOOR] = Doorkeeper(app[TERMS].token or "", time.monotonic)
        add_login(app, app[DOOR], secure=app[TERMS].tls is not None)
    if scraped is not None:
        app[SCRAPED] = scraped
        app.router.add_get("/metrics", _metrics)
    app.on_shutdown.append(_end_streams)
    app.on_cleanup.append(_end_frames)
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may, and set the security headers on whatever is answered."""
    try:
        _judge(request)
        response = await handler(request)
    except web.HTTPException as refused:
        refused.headers.update(HEADERS)
        raise
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


def _judge(request: web.Request) -> None:
    """Refuse what is no GET, what was asked by a foreign name, and who shows no token where one is needed."""
    login = request.path == LOGIN and DOOR in request.app
    allowed = ["GET", "HEAD", "POST"] if login else ["GET", "HEAD"]
    if request.method not in allowed:
        raise web.HTTPMethodNotAllowed(request.method, allowed)
    if request.app[TERMS].local and (request.url.raw_host or "").strip("[]") not in LOOPBACK:
        raise web.HTTPForbidden(text="this page is for this machine only: ask for it as 127.0.0.1\n")
    if DOOR not in request.app or request.path in PUBLIC:
        return
    if request.app[DOOR].knows(request.headers.get("Authorization"), cookie_of(request)):
        return
    if request.path == "/" and request.headers.get("Authorization") is None:
        raise web.HTTPSeeOther(LOGIN)
    raise web.HTTPUnauthorized(
        text="show the token: Authorization: Bearer TOKEN\n", headers={"WWW-Authenticate": 'Bearer realm="forestall"'}
    )


async def _file(request: web.Request) -> web.StreamResponse:
    path = PAGE / FILES[request.path]
    return web.Response(body=path.read_bytes(), content_type=KINDS[path.suffix], charset="utf-8")


async def _chart(request: web.Request) -> web.StreamResponse:
    name = request.path.rsplit("/", 1)[1]
    return web.Response(body=chart_file(name), content_type=KINDS[Path(name).suffix], charset="utf-8")


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json")


async def _overview(request: web.Request) -> web.StreamResponse:
    return _json(await asyncio.to_thread(request.app[FEED].overview))


async def _savings(request: web.Request) -> web.StreamResponse:
    return _json(await asyncio.to_thread(request.app[FEED].savings))


def _told(of: Callable[[Feed, str], bytes | None], what: str) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        payload = await asyncio.to_thread(of, request.app[FEED], name)
        if payload is None:
            raise web.HTTPNotFound(text=f"no {what} {name!r} was heard of\n")
        return _json(payload)

    return handler


def _asked(of: Callable[[Inquiries], Inquiry[dict[str, Any]] | None]) -> Handler:
    """Answers ``{"found", "lacking"}``: why something is not there is for the page to show."""

    async def handler(request: web.Request) -> web.StreamResponse:
        inquiry = of(request.app[INQUIRIES])
        if inquiry is None:
            return _json(_encode({"found": None, "lacking": "there is no broker to read it from"}))
        answer = await inquiry.about(request.match_info.get("name", ""))
        return _json(_encode({"found": answer.found, "lacking": answer.lacking}))

    return handler


async def _metrics(request: web.Request) -> web.StreamResponse:
    body = await asyncio.to_thread(request.app[SCRAPED])
    return web.Response(body=body, headers={"Content-Type": EXPOSITION})


async def _events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: what changed, at most every ``INTERVAL_S``; the digest always, so that silence is told."""
    app = request.app
    if len(app[READERS]) >= READERS_MAX:
        raise web.HTTPServiceUnavailable(text=f"{READERS_MAX} pages are open already\n")
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    app[READERS].add(response)
    try:
        with contextlib.suppress(ConnectionResetError):
            await response.write(b"retry: 1000\n\n")
            sent: Frame | None = None
            loop = asyncio.get_running_loop()
            while not app[STOPPING].is_set():
                frame = await loop.run_in_executor(app[FRAMES], app[FEED].frame)
                await response.write(news(frame, sent))
                sent = frame
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(app[STOPPING].wait(), INTERVAL_S)
    finally:
        app[READERS].discard(response)
    return response


def news(frame: Frame, sent: Frame | None) -> bytes:
    """The events that a page lacks which was sent ``sent``."""
    events = b""
    if sent is None or sent.named != frame.named:
        events += b"event: names\ndata: " + frame.names + b"\n\n"
    if sent is None or sent.packed != frame.packed:
        events += b"event: cells\ndata: " + frame.cells + b"\n\n"
    if sent is None or sent.made != frame.made:
        events += b"event: digest\ndata: " + frame.digest + b"\n\n"
    return events


async def _end_streams(app: web.Application) -> None:
    app[STOPPING].set()


async def _end_frames(app: web.Application) -> None:
    app[FRAMES].shutdown(wait=False)
