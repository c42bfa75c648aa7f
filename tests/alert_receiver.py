"""A real receiver of webhooks: it keeps what it was sent, and may refuse or be away for a while."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class AlertReceiver:
    """Answers with ``status``; what it said 200 to is in ``taken``, every request in ``requests``."""

    def __init__(self) -> None:
        self.status = 200
        self.retry_after: str | None = None
        self.requests = 0
        self.taken: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver._take(body)
                self.send_response(status)
                if receiver.retry_after is not None:
                    self.send_header("Retry-After", receiver.retry_after)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook?token=s3cr3t"

    def _take(self, body: bytes) -> int:
        with self._lock:
            self.requests += 1
            if self.status == 200:
                self.taken.append(json.loads(body))
            return self.status

    def alerts(self, status: str) -> list[dict[str, Any]]:
        """Every alert that came with this status."""
        with self._lock:
            return [one for told in self.taken for one in told["alerts"] if one["status"] == status]

    def nodes(self, status: str) -> set[str]:
        """The nodes of those alerts."""
        return {one["labels"]["node"] for one in self.alerts(status) if "node" in one["labels"]}

    @contextmanager
    def serving(self) -> Iterator[AlertReceiver]:
        """Answer for as long as the block lasts."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join(10)
            self._server.server_close()
