"""The client of a training job at its bounds: what it keeps, what it drops, and that hanging up is the end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import forestall_client
import pytest
from forestall_client import client as limits

from infra.agent.rank_server import socket_path

DEADLINE_S = 10.0


class Line:
    """A cluster agent that takes one call after the other; ``heard`` is what was said on each."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(4)
        self.heard: list[list[dict[str, Any]]] = []
        self.calls: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                call, _ = self._listener.accept()
            except OSError:
                return
            self.calls.append(call)
            self.heard.append([])
            threading.Thread(target=self._hear, args=(call, self.heard[-1]), daemon=True).start()

    def _hear(self, call: socket.socket, heard: list[dict[str, Any]]) -> None:
        try:
            with call.makefile("rb") as lines:
                heard += (json.loads(raw) for raw in lines)
        except OSError:
            return

    def tell(self, message: dict[str, Any]) -> None:
        self.calls[-1].sendall(json.dumps({"v": 1, **message}).encode() + b"\n")

    def said(self, what: str) -> list[dict[str, Any]]:
        """What the newest call said of one kind."""
        return [one for one in self.heard[-1] if one["type"] == what] if self.heard else []

    def hang_up(self) -> None:
        self.calls[-1].shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for call in self.calls:
            call.close()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.002)


@pytest.fixture
def line(tmp_path: Path) -> Iterator[Line]:
    made = Line(socket_path(tmp_path))
    yield made
    made.close()


@pytest.fixture
def client(line: Line, tmp_path: Path) -> Iterator[forestall_client.Client]:
    made = forestall_client.connect({"FORESTALL_SOCKET": str(socket_path(tmp_path)), "FORESTALL_RANK": "2"})
    until(lambda: line.said("hello"))
    yield made
    made.close()


def order(number: int) -> dict[str, Any]:
    return {"type": "checkpoint", "command": f"c{number}", "order": number, "step": None}


def test_progress_is_told_so_often_and_not_more(
    client: forestall_client.Client, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PROGRESS_SECONDS_MIN", 3600.0)
    for step in range(1, 200):
        client.progress(step, 0.5, 0.1)
    client.finished(200)
    until(lambda: line.said("finished"))
    assert [one["step"] for one in line.said("progress")] == [1], "the first is told at once"


def test_progress_of_a_time_without_an_agent_is_dropped_and_later_progress_is_told(
    client: forestall_client.Client, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PROGRESS_SECONDS_MIN", 0.0)
    line.hang_up()
    until(lambda: len(line.calls) == 2 and line.said("hello"))
    client.progress(7, 0.5, 0.1)
    until(lambda: line.said("progress"))
    assert [one["step"] for one in line.said("progress")] == [7]


def test_only_the_newest_checkpoints_answer_a_late_order(client: forestall_client.Client, line: Line) -> None:
    for number in range(1, limits.CHECKPOINTS_MAX + 3):
        client.ack_staged(100 * number, 0.1, 10, order=number)
        client.ack_durable(100 * number, f"file:///{number}", "d")
    client.ack_durable(100, "file:///1", "d")  # it has been forgotten, and that is no fault
    line.tell(order(1))
    until(lambda: line.said("durable"))
    answered = line.said("durable")[0]
    assert (answered["command"], answered["step"]) == ("c1", 300), "the oldest that is kept stands for what came before"


def test_an_order_that_nobody_told_of_again_is_due_until_it_is_fulfilled(
    client: forestall_client.Client, line: Line
) -> None:
    line.tell(order(3))
    until(lambda: client.due(1) == 3)
    assert [client.due(step) for step in (2, 3)] == [3, 3]
    client.ack_staged(3, 0.1, 10)
    assert client.due(4) == 0
    until(lambda: line.said("staged"))
    assert line.said("staged")[0]["command"] == "c3"


def test_a_call_hears_who_calls_and_where_the_rank_went_on(client: forestall_client.Client, line: Line) -> None:
    client.resumed(40)
    client.resumed(50)
    client.finished(90)
    line.hang_up()
    until(lambda: len(line.calls) == 2 and line.said("finished"))
    again = line.heard[-1]
    assert [one["type"] for one in again] == ["hello", "resumed", "finished"]
    assert again[0]["rank"] == 2
    assert again[1]["step"] == 50


def test_after_hanging_up_nothing_is_said_and_nobody_calls_again(line: Line, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    client = forestall_client.connect({"FORESTALL_SOCKET": str(socket_path(tmp_path))})
    threads = [one for one in set(threading.enumerate()) - before if one.name == "forestall-client"]
    assert len(threads) == 1
    until(lambda: line.said("hello"))
    client.close()
    client.ack_staged(1, 0.1, 10, order=1)
    client.progress(2, 0.5, 0.1)
    client.finished(3)
    client.close()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()
    assert len(line.calls) == 1
    assert [one["type"] for one in line.heard[0]] == ["hello"]


def test_a_broken_order_ends_the_call_and_the_next_call_is_a_good_one(
    client: forestall_client.Client, line: Line
) -> None:
    line.calls[-1].sendall(b'{"type": "checkpoint"}\n')
    until(lambda: len(line.calls) == 2 and line.said("hello"))
    line.tell(order(5))
    until(lambda: client.due(1) == 5)


def test_progress_that_diverged_is_one_line_as_any_other(client: forestall_client.Client, line: Line) -> None:
    client.progress(8, float("nan"), 0.1)
    until(lambda: line.said("progress"))
    assert line.said("progress")[0]["loss"] != line.said("progress")[0]["loss"], "NaN is no number, not even itself"
