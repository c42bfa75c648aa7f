"""Binds the live page to its port: on this machine plainly, elsewhere only with a token and TLS."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from connectors.errors import WrongUse
from infra.web.access import LOOPBACK, Terms, Tls
from infra.web.app import build_page
from infra.web.feed import Feed
from infra.web.inquiries import Inquiries

STOP_S = 2.0


@dataclass(frozen=True, slots=True)
class Served:
    """A page that is being served; ``moved`` when the port asked for was taken."""

    url: str
    port: int
    moved: bool
    runner: web.AppRunner

    async def stop(self) -> None:
        """End it and every stream that is open."""
        await self.runner.cleanup()


def listen(host: str, port: int) -> tuple[socket.socket, bool]:
    """A socket on that port, or on a free one when it is taken (True is told with it); raises :class:`WrongUse`."""
    family, address = _address(host, port)
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    moved = False
    try:
        bound.bind((address, port))
    except OSError as wrong:
        if wrong.errno == errno.EADDRNOTAVAIL:
            bound.close()
            raise WrongUse(f"web.host={host!r} is no address of this machine") from None
        if wrong.errno not in {errno.EADDRINUSE, errno.EACCES}:
            bound.close()
            raise
        bound.bind((address, 0))
        moved = True
    return bound, moved


def _address(host: str, port: int) -> tuple[socket.AddressFamily, str]:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as wrong:
        raise WrongUse(f"web.host={host!r} is no address of this machine: {wrong}") from None
    return family, str(address[0])


def secured(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 and later with those files; raises :class:`WrongUse`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as wrong:
        raise WrongUse(
            f"web.tls_cert={str(tls.cert)!r} and web.tls_key={str(tls.key)!r} cannot be used: {wrong}"
        ) from None
    return context


async def serve(
    feed: Feed,
    terms: Terms,
    port: int,
    scraped: Callable[[], bytes] | None = None,
    inquiries: Inquiries | None = None,
) -> Served:
    """Serve the page, and metrics where ``scraped`` tells them, until :meth:`Served.stop`."""
    context = None if terms.tls is None else secured(terms.tls)
    bound, moved = listen(terms.host, port)
    page = build_page(feed, scraped, inquiries, terms)
    runner = web.AppRunner(page, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    await web.SockSite(runner, bound, ssl_context=context).start()
    actual = int(bound.getsockname()[1])
    return Served(f"{'http' if context is None else 'https'}://{shown(terms.host)}:{actual}", actual, moved, runner)


def shown(host: str) -> str:
    """How that address is written in a URL.

    >>> shown("localhost"), shown("::1"), shown("0.0.0.0")
    ('127.0.0.1', '[::1]', '0.0.0.0')
    """
    if host == "::1" or ":" in host:
        return f"[{host}]"
    return "127.0.0.1" if host in LOOPBACK else host
