"""The client: orders are pushed by the cluster agent and read by one background thread, so asking costs nothing.

No call of it waits for the cluster agent or raises because of it: training goes on whatever happens to the agent. What
was acknowledged is kept and told again when the cluster agent comes back.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

VERSION = 1
SOCKET = "FORESTALL_SOCKET"
RANK = "FORESTALL_RANK"
#: Checkpoints whose acknowledgements are kept for a cluster agent that comes back.
CHECKPOINTS_MAX = 8
#: Progress is told at most this often; the first step always is.
PROGRESS_SECONDS_MIN = 0.05
RECONNECT_SECONDS_MIN = 0.05
RECONNECT_SECONDS_MAX = 1.0
#: A cluster agent that reads nothing may hold training up for this long, once a full socket buffer.
SEND_SECONDS_MAX = 0.25
LINE_BYTES_MAX = 65536

Message = dict[str, Any]


def connect(environment: Mapping[str, str] | None = None) -> Client:
    """Return a client for the cluster agent named by ``FORESTALL_SOCKET``, or one that does nothing without it."""
    given = os.environ if environment is None else environment
    return Client(given.get(SOCKET), int(given.get(RANK, "0")))


class _Checkpoint:
    """One checkpoint of this process: the orders it fulfils and what was acknowledged of it so far."""

    def __init__(self, order: int) -> None:
        self.order = order
        self.began = time.monotonic()
        self.commands: list[str] = []
        self.acks: list[Message] = []


class Client:
    """Speaks for one rank. Safe to call from several threads."""

    def __init__(self, path: str | None, rank: int) -> None:
        self.rank = rank
        self._path = path
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._wanted: dict[int, Message] = {}
        self._told = 0
        self._checkpoints: OrderedDict[int, _Checkpoint] = OrderedDict()
        self._last_progress = 0.0
        self._notes: dict[str, Message] = {}
        self._closed = path is None
        if path is not None:
            threading.Thread(target=self._listen, name="forestall-client", daemon=True).start()

    def due(self, step: int) -> int:
        """Return the number of the newest checkpoint order to be fulfilled at ``step`` or later; 0 when none.

        It looks at memory only. Ranks learn of an order at different moments, so let them agree on the step by the
        maximum of this number over all ranks, and pass that to :meth:`ack_staged`.
        """
        if not self._wanted:
            return 0
        with self._lock:
            now = [order for order, one in self._wanted.items() if step >= (one.get("step") or 0)]
            self._told = max(now, default=0)
            return self._told

    def ack_staged(self, step: int, seconds: float, bytes: int, order: int | None = None) -> None:
        """Tell that the state of ``step`` is copied; training stood still for ``seconds``.

        ``order`` is the number that the ranks agreed upon; left out, it is what :meth:`due` told last; 0 says that the
        job makes this checkpoint of its own accord.
        """
        with self._lock:
            checkpoint = self._begin(step, order)
            checkpoint.began -= seconds
            self._ack(checkpoint, {"type": "staged", "step": step, "seconds": seconds, "bytes": bytes})

    def ack_durable(self, step: int, uri: str, digest: str) -> None:
        """Tell that the checkpoint of ``step`` is safe at ``uri`` and has this ``digest``."""
        with self._lock:
            checkpoint = self._checkpoints.get(step)
            if checkpoint is not None:
                seconds = time.monotonic() - checkpoint.began
                message = {"type": "durable", "step": step, "seconds": seconds, "uri": uri, "digest": digest}
                self._ack(checkpoint, message)

    def ack_failed(self, step: int, reason: str, order: int | None = None) -> None:
        """Tell that the checkpoint of ``step`` came to nothing, before it was staged or after.

        Its orders are due no more: whoever gave them chooses again. ``order`` is as in :meth:`ack_staged`.
        """
        with self._lock:
            checkpoint = self._checkpoints.get(step) if order is None else None
            message = {"type": "failed", "step": step, "reason": reason}
            self._ack(checkpoint or self._begin(step, order), message)

    def progress(self, step: int, loss: float, step_s: float) -> None:
        """Tell the step that was just done, its loss and how long it took. Dropped while no cluster agent listens."""
        now = time.monotonic()
        if self._closed or now - self._last_progress < PROGRESS_SECONDS_MIN:
            return
        message = {"type": "progress", "step": step, "loss": loss, "step_s": step_s}
        with self._lock:
            if self._socket is not None:
                self._last_progress = now
                self._send(message)

    def resumed(self, step: int) -> None:
        """Tell that this process goes on from the checkpoint of ``step``."""
        self._note({"type": "resumed", "step": step})

    def finished(self, step: int) -> None:
        """Tell that training has come to its end at ``step``, so that this process may exit."""
        self._note({"type": "finished", "step": step})

    def close(self) -> None:
        """Hang up; afterwards every call does nothing."""
        with self._lock:
            self._closed = True
            self._path = None
            self._hang_up()

    def _note(self, message: Message) -> None:
        with self._lock:
            self._notes[message["type"]] = message
            self._send(message)

    def _begin(self, step: int, order: int | None) -> _Checkpoint:
        """Begin the checkpoint of ``step``, holding the lock; it takes over what it was ordered by."""
        checkpoint = _Checkpoint(self._told if order is None else order)
        self._told = 0
        self._checkpoints[step] = checkpoint
        while len(self._checkpoints) > CHECKPOINTS_MAX:
            self._checkpoints.popitem(last=False)
        for number in sorted(self._wanted):
            if number <= checkpoint.order:
                checkpoint.commands.append(self._wanted.pop(number)["command"])
        return checkpoint

    def _ack(self, checkpoint: _Checkpoint, message: Message) -> None:
        checkpoint.acks.append(message)
        for command in checkpoint.commands:
            self._send({**message, "command": command})

    def _send(self, message: Message) -> None:
        """Write one line, holding the lock; a cluster agent that does not read is hung up on."""
        if self._socket is None:
            return
        try:
            self._socket.sendall(json.dumps({"v": VERSION, **message}).encode() + b"\n")
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()
            self._socket = None

    def _listen(self) -> None:
        pause = RECONNECT_SECONDS_MIN
        while not self._closed:
            if self._call():
                pause = RECONNECT_SECONDS_MIN
                self._read()
            time.sleep(pause)
            pause = min(2 * pause, RECONNECT_SECONDS_MAX)

    def _call(self) -> bool:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, int(SEND_SECONDS_MAX * 1e6)))
        try:
            line.connect(self._path or "")
        except OSError:
            line.close()
            return False
        with self._lock:
            if self._closed:
                line.close()
                return False
            self._socket = line
            self._reader = line.dup()
            self._send({"type": "hello", "rank": self.rank, "pid": os.getpid()})
            for note in self._notes.values():
                self._send(note)
        return True

    def _read(self) -> None:
        """Take orders until the cluster agent hangs up."""
        with self._reader as line, line.makefile("rb") as lines:
            try:
                for raw in iter(lambda: lines.readline(LINE_BYTES_MAX), b""):
                    self._take(json.loads(raw))
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                pass  # a broken line ends the connection, and the next one begins anew
        with self._lock:
            self._hang_up()

    def _take(self, message: Message) -> None:
        with self._lock:
            if message["type"] == "checkpoint":
                self._ordered(message)
            elif message["type"] == "cancel":
                self._wanted = {n: one for n, one in self._wanted.items() if one["command"] != message["command"]}

    def _ordered(self, message: Message) -> None:
        """Answer an order that a checkpoint here has fulfilled already; else it is due, or unknown when only asked.

        The oldest such checkpoint answers: it is the one that the other ranks made for this order.
        """
        order, command = int(message["order"]), str(message["command"])
        for checkpoint in self._checkpoints.values():
            if checkpoint.order >= order:
                if command not in checkpoint.commands:
                    checkpoint.commands.append(command)
                for ack in checkpoint.acks:
                    self._send({**ack, "command": command})
                return
        if message.get("find"):
            self._send({"type": "unknown", "command": command})
        else:
            self._wanted[order] = {"command": command, "step": message.get("step")}
