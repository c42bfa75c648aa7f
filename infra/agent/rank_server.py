"""The unix socket on which the rank calls its cluster agent (``sdk/forestall_client/protocol.md``)."""

from __future__ import annotations

import json
import math
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

VERSION = 1
LINE_BYTES_MAX = 65_536
#: A rank that does not read is hung up on after this; its orders are told again when it calls again.
SEND_SECONDS_MAX = 1.0
#: The longest path of a unix socket that every platform takes.
PATH_BYTES_MAX = 100

#: The life of the rank that said it (:attr:`RankServer.life`), and what.
Said = Callable[[int, Mapping[str, Any]], None]


def loss_of(told: Any) -> float | None:
    """The loss that a rank tells; None where training has diverged and it is no number any more.

    >>> loss_of(0.5), loss_of(float("nan")), loss_of(None)
    (0.5, None, None)
    """
    loss = math.nan if told is None else float(told)
    return loss if math.isfinite(loss) else None


def socket_path(directory: Path) -> Path:
    """Return the socket's path: in ``directory`` where it is short enough, else at a fixed place of this user."""
    near = directory.absolute() / "agent.sock"
    if len(os.fsencode(near)) <= PATH_BYTES_MAX:
        return near
    digest = sha256(os.fsencode(near)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"forestall-{os.getuid()}" / f"{digest}.sock"


class RankServer:
    """Listens at ``path`` and calls ``said`` with each message of the rank, from threads of its own."""

    def __init__(self, path: Path, said: Said) -> None:
        self._path, self._said = path, said
        self._lock = threading.Lock()
        self._rank: socket.socket | None = None
        self.life = 0
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(before)
        self._listener.listen(8)
        threading.Thread(target=self._accept, name="rank-server", daemon=True).start()

    def next_life(self) -> None:
        """Another rank begins here: what an earlier one has said, or still says, carries an older number."""
        with self._lock:
            self.life += 1
            if self._rank is not None:
                self._hang_up(self._rank)

    def push(self, message: Mapping[str, Any]) -> None:
        """Tell the rank something; nobody there: nothing happens."""
        with self._lock:
            if self._rank is None:
                return
            try:
                self._rank.sendall(json.dumps({"v": VERSION, **message}).encode() + b"\n")
            except OSError:
                self._hang_up(self._rank)

    def close(self) -> None:
        """Stop listening and hang up."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            if self._rank is not None:
                self._hang_up(self._rank)

    def _hang_up(self, line: socket.socket) -> None:
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)
        if self._rank is line:
            self._rank = None

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(SEND_SECONDS_MAX), 0))
            threading.Thread(target=self._serve, args=(line, self.life), name="rank", daemon=True).start()

    def _serve(self, line: socket.socket, life: int) -> None:
        """Take messages until the rank hangs up or says what nobody can read."""
        with line, line.makefile("rb") as lines, suppress(OSError, ValueError, TypeError, KeyError, RecursionError):
            for raw in iter(lambda: lines.readline(LINE_BYTES_MAX), b""):
                message = json.loads(raw)
                if message["type"] == "hello":
                    with self._lock:
                        if life == self.life:
                            self._rank = line
                self._said(life, message)
        with self._lock:
            self._hang_up(line)
