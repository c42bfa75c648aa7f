"""The HTTP side of the live page: GET only, loopback only, nothing from elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from infra.web.feed import INTERVAL_S, Feed

PAGE = Path(__file__).parent / "page"
FILES = {
    "/": ("index.html", "text/html"),
    "/style.css": ("style.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/fleet.js": ("fleet.js", "text/javascript"),
    "/job.js": ("job.js", "text/javascript"),
    "/chart.js": ("chart.js", "text/javascript"),
    "/text.js": ("text.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
READERS_MAX = 32
#: The text format of Prometheus.
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FEED: web.AppKey[Feed] = web.AppKey("feed", Feed)
SCRAPED: web.AppKey[Callable[[], bytes]] = web.AppKey("scraped")
STOPPING: web.AppKey[asyncio.Event] = web.AppKey("stopping", asyncio.Event)
READERS: web.AppKey[set[web.StreamResponse]] = web.AppKey("readers", set)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_page(feed: Feed, scraped: Callable[[], bytes] | None = None) -> web.Application:
    """The application that serves the page, its files and its feed, and at ``/metrics`` what ``scraped`` says."""
    app = web.Application(middlewares=[_guard])
    app[FEED], app[STOPPING], app[READERS] = feed, asyncio.Event(), set()
    for path in FILES:
        app.router.add_get(path, _file)
    app.router.add_get("/events", _events)
    app.router.add_get("/api/overview", _overview)
    app.router.add_get("/api/node/{name}", _node)
    if scraped is not None:
        app[SCRAPED] = scraped
        app.router.add_get("/metrics", _metrics)
    app.on_shutdown.append(_end_streams)
    return app


@web.middleware
async def _guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what is no GET or was not asked of this machine by its own name, and set the security headers."""
    try:
        if request.method not in {"GET", "HEAD"}:
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "HEAD"])
        if (request.url.raw_host or "").strip("[]") not in {name.strip("[]") for name in LOOPBACK}:
            raise web.HTTPForbidden(text="this page is for this machine only: ask for it as 127.0.0.1\n")
        response = await handler(request)
    except web.HTTPException as refused:
        refused.headers.update(HEADERS)
        raise
    if not response.prepared:
        response.headers.update(HEADERS)
    return response


async def _file(request: web.Request) -> web.StreamResponse:
    name, kind = FILES[request.path]
    return web.Response(body=(PAGE / name).read_bytes(), content_type=kind, charset="utf-8")


async def _overview(request: web.Request) -> web.StreamResponse:
    return web.Response(body=request.app[FEED].overview(), content_type="application/json")


async def _node(request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    payload = request.app[FEED].node(name)
    if payload is None:
        raise web.HTTPNotFound(text=f"no node {name!r} was heard of\n")
    return web.Response(body=payload, content_type="application/json")


async def _metrics(request: web.Request) -> web.StreamResponse:
    body = await asyncio.to_thread(request.app[SCRAPED])
    return web.Response(body=body, headers={"Content-Type": EXPOSITION})


async def _events(request: web.Request) -> web.StreamResponse:
    """Server-sent events: the whole overview when it changed, at most every ``INTERVAL_S``."""
    app = request.app
    if len(app[READERS]) >= READERS_MAX:
        raise web.HTTPServiceUnavailable(text=f"{READERS_MAX} pages are open already\n")
    response = web.StreamResponse(headers={**HEADERS, "Content-Type": "text/event-stream"})
    await response.prepare(request)
    app[READERS].add(response)
    try:
        with contextlib.suppress(ConnectionResetError):
            await response.write(b"retry: 1000\n\n")
            while not app[STOPPING].is_set():
                await response.write(b"data: " + app[FEED].overview() + b"\n\n")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(app[STOPPING].wait(), INTERVAL_S)
    finally:
        app[READERS].discard(response)
    return response


async def _end_streams(app: web.Application) -> None:
    app[STOPPING].set()
