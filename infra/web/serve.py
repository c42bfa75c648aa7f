"""Binds the live page to a loopback port."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from connectors.errors import WrongUse
from infra.web.app import build_page
from infra.web.feed import Feed

STOP_S = 2.0
ADDRESSES = {"127.0.0.1": socket.AF_INET, "localhost": socket.AF_INET, "::1": socket.AF_INET6}


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


def require_loopback(host: str, port: int) -> None:
    """Refuse an address that is not this machine's own; raises :class:`WrongUse`."""
    if host not in ADDRESSES:
        raise WrongUse(
            f"web.host={host!r} is refused: the page has no login, so it is served on this machine only "
            f"({', '.join(ADDRESSES)}); reach it from elsewhere through a tunnel, for example "
            f"ssh -L {port}:127.0.0.1:{port}"
        )


def listen(host: str, port: int) -> tuple[socket.socket, bool]:
    """A socket on that loopback port, or on a free one when it is taken (then True is told with it)."""
    require_loopback(host, port)
    bound = socket.socket(ADDRESSES[host], socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    moved = False
    try:
        bound.bind((host, port))
    except OSError as wrong:
        if wrong.errno not in {errno.EADDRINUSE, errno.EACCES}:
            bound.close()
            raise
        bound.bind((host, 0))
        moved = True
    return bound, moved


async def serve(feed: Feed, host: str, port: int, scraped: Callable[[], bytes] | None = None) -> Served:
    """Serve the page, and metrics where ``scraped`` tells them, until :meth:`Served.stop`."""
    bound, moved = listen(host, port)
    runner = web.AppRunner(build_page(feed, scraped), access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    await web.SockSite(runner, bound).start()
    actual = int(bound.getsockname()[1])
    shown = "127.0.0.1" if host != "::1" else "[::1]"
    return Served(f"http://{shown}:{actual}", actual, moved, runner)
