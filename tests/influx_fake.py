"""A small InfluxDB in this process: it keeps points by what names them, and answers whatever a test has it answer."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], bytes]
STORED: Reply = (204, {}, b"")


class FakeInflux:
    """``points`` by series and time; ``answers`` are given first, then lines are stored, but for bad ones."""

    def __init__(self) -> None:
        self.points: dict[tuple[str, str], str] = {}
        self.answers: list[Reply] = []
        self.requests: list[tuple[str, dict[str, str], list[str]]] = []
        self.bad: Callable[[str], bool] = lambda line: "bad" in line
        self.bad_status = 400

    def reply(self, path: str, headers: dict[str, str], lines: list[str]) -> Reply:
        """Answer one write."""
        self.requests.append((path, headers, lines))
        if self.answers:
            return self.answers.pop(0)
        good = [line for line in lines if not self.bad(line)]
        if len(good) < len(lines) and self.bad_status == 400:
            return 400, {}, b'{"code":"invalid","message":"unable to parse"}'
        for line in good:
            series, _, at = line.split(" ")[0], line, line.rsplit(" ", 1)[1]
            self.points[series, at] = line
        if len(good) < len(lines):
            told = f'{{"message":"partial write: type conflict dropped={len(lines) - len(good)}"}}'
            return 422, {}, told.encode()
        return STORED


@contextmanager
def fake_influx() -> Iterator[tuple[FakeInflux, str]]:
    """The fake and its address."""
    fake = FakeInflux()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, body = fake.reply(self.path, dict(self.headers), raw.decode().split("\n"))
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield fake, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
