"""Serves ``/metrics``, ``/healthz`` and ``/readyz`` from a thread of its own: it answers even where the loop hangs."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from infra.metrics.families import Fill, Scrape, exposition
from infra.metrics.health import Health, Lacking
from infra.settings import Metrics

#: The text format of Prometheus.
EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"
#: A client that says nothing for so long is let go; so many are served at once.
CLIENT_S: Final = 5.0
CLIENTS_MAX: Final = 8
RETRY_S: Final = 5.0

log = logging.getLogger(__name__)


class Page:
    """The three answers of one process.

    ``fills`` add what this process tells of itself; one that fails is said, and the others are told all the same.
    """

    def __init__(self, process: str, health: Health, fills: Sequence[Fill]) -> None:
        self._process, self._health, self._fills = process, health, fills

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        match path.partition("?")[0]:
            case "/metrics":
                return 200, EXPOSITION, exposition(self._process, self._fill_health, *map(_guarded, self._fills))
            case "/healthz":
                return _verdict("alive", self._health.ill())
            case "/readyz":
                return _verdict("ready", self._health.unready())
        return 404, "text/plain", b"there are /metrics, /healthz and /readyz\n"

    def _fill_health(self, scrape: Scrape) -> None:
        lacking = self._health.unready()
        scrape.add("forestall_ready", float(not lacking))
        for what in lacking:
            scrape.add("forestall_lacking", 1.0, what)


def _guarded(fill: Fill) -> Fill:
    def safely(scrape: Scrape) -> None:
        try:
            fill(scrape)
        except Exception:  # the rest of the page must be told
            log.exception("some metrics could not be told")

    return safely


def _verdict(word: str, lacking: Lacking) -> tuple[int, str, bytes]:
    body = json.dumps({word: not lacking, "lacking": dict(lacking)}) + "\n"
    return (503 if lacking else 200), "application/json", body.encode()


@contextmanager
def served(settings: Metrics, page: Page) -> Iterator[None]:
    """Serve a page for as long as the block lasts; with port 0 nothing is.

    A port that is taken is tried again every few seconds and said once: a process that cannot be watched works on.
    """
    if settings.port == 0:
        yield
        return
    ending = threading.Event()
    thread = threading.Thread(target=_serve, args=(settings, page, ending), name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(CLIENT_S)


def _serve(settings: Metrics, page: Page, ending: threading.Event) -> None:
    said = False
    while not ending.is_set():
        try:
            server = _Server(settings.host, settings.port, page)
        except OSError as wrong:
            if not said:
                log.warning("metrics cannot be served at %s:%d: %s; tried again", settings.host, settings.port, wrong)
            said = True
            ending.wait(RETRY_S)
            continue
        with server:
            threading.Thread(target=_end, args=(server, ending), name="metrics-end", daemon=True).start()
            log.info("metrics, healthz and readyz at http://%s:%d", settings.host, settings.port)
            server.serve_forever(poll_interval=0.2)
            return


def _end(server: ThreadingHTTPServer, ending: threading.Event) -> None:
    ending.wait()
    server.shutdown()


class _Server(ThreadingHTTPServer):
    """A small server with a bound on how many it serves at once."""

    daemon_threads = True
    request_queue_size = 16

    def __init__(self, host: str, port: int, page: Page) -> None:
        if ":" in host:
            import socket

            self.address_family = socket.AF_INET6
        self.page = page
        self._room = threading.Semaphore(CLIENTS_MAX)
        super().__init__((host.strip("[]"), port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._room.acquire(timeout=CLIENT_S):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to tell of; a page that could not be made is."""
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("a page could not be made")


class _Handler(BaseHTTPRequestHandler):
    """GET only; nothing is changed by asking."""

    server: _Server
    timeout = CLIENT_S
    server_version = "forestall"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        status, kind, body = self.server.page.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is not worth a line."""
