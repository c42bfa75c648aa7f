"""The client of a training job against the real server of a cluster agent, line by line."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import forestall_client
import pytest

from infra.agent.rank_server import RankServer, socket_path


class Agent:
    """A cluster agent's ear: what the rank said, and a way to order."""

    def __init__(self, path: Path) -> None:
        self.heard: list[Mapping[str, Any]] = []
        self.server = RankServer(path, lambda _life, message: self.heard.append(message))

    def order(self, command: str, order: int, **more: Any) -> None:
        self.server.push({"type": "checkpoint", "command": command, "order": order, "step": None, **more})

    def of(self, *types: str) -> list[Mapping[str, Any]]:
        return [one for one in self.heard if one["type"] in types]


def wait(look: Callable[[], Any], seconds: float = 10.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.002)
    raise AssertionError("waited in vain")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return socket_path(tmp_path)


@pytest.fixture
def agent(path: Path) -> Iterator[Agent]:
    made = Agent(path)
    yield made
    made.server.close()


@pytest.fixture
def client(path: Path, agent: Agent) -> Iterator[forestall_client.Client]:
    made = forestall_client.connect({"FORESTALL_SOCKET": str(path), "FORESTALL_RANK": "3"})
    wait(lambda: agent.of("hello"))
    yield made
    made.close()


def test_without_a_cluster_agent_every_call_does_nothing() -> None:
    client = forestall_client.connect({})
    assert client.due(1) == 0
    client.ack_staged(1, 0.1, 10)
    client.ack_durable(1, "file:///x", "d")
    client.progress(1, 0.5, 0.1)
    client.resumed(1)
    client.finished(2)
    client.close()


def test_a_client_whose_agent_is_not_there_yet_never_raises_and_calls_until_it_is(path: Path) -> None:
    client = forestall_client.connect({"FORESTALL_SOCKET": str(path), "FORESTALL_RANK": "1"})
    client.progress(1, 0.5, 0.1)
    client.resumed(40)
    agent = Agent(path)
    wait(lambda: agent.of("resumed"))
    assert agent.heard[0]["type"] == "hello"
    assert agent.heard[0]["rank"] == 1
    assert agent.of("resumed")[0]["step"] == 40
    client.close()
    agent.server.close()


def test_an_order_is_due_and_its_acknowledgements_name_the_command(
    client: forestall_client.Client, agent: Agent
) -> None:
    assert client.due(10) == 0
    agent.order("c1", 7)
    assert wait(lambda: client.due(11)) == 7
    client.ack_staged(11, 0.25, 4096)
    assert client.due(12) == 0
    client.ack_durable(11, "file:///c", "abc")
    staged, durable = wait(lambda: len(agent.of("staged", "durable")) == 2 and agent.of("staged", "durable"))
    assert (staged["command"], staged["step"], staged["seconds"], staged["bytes"]) == ("c1", 11, 0.25, 4096)
    assert (durable["command"], durable["uri"], durable["digest"]) == ("c1", "file:///c", "abc")
    assert durable["seconds"] >= 0.25


def test_an_order_for_a_later_step_is_not_due_before(client: forestall_client.Client, agent: Agent) -> None:
    agent.order("c1", 7, step=20)
    assert wait(lambda: client.due(20)) == 7
    assert client.due(19) == 0


def test_a_rank_that_checkpointed_by_agreement_answers_its_own_later_order(
    client: forestall_client.Client, agent: Agent
) -> None:
    client.ack_staged(30, 0.1, 99, order=7)  # another rank's order was 7; ours is still on its way
    client.ack_durable(30, "file:///c", "abc")
    agent.order("c1", 7)
    answers = wait(lambda: len(agent.of("staged", "durable")) == 2 and agent.of("staged", "durable"))
    assert [(one["type"], one["command"], one["step"]) for one in answers] == [
        ("staged", "c1", 30),
        ("durable", "c1", 30),
    ]
    assert client.due(31) == 0


def test_a_late_order_is_answered_by_the_checkpoint_that_the_other_ranks_made_for_it(
    client: forestall_client.Client, agent: Agent
) -> None:
    for step, number in ((30, 7), (40, 8)):
        client.ack_staged(step, 0.1, 99, order=number)
        client.ack_durable(step, f"file:///{step}", "abc")
    agent.order("c1", 7)
    agent.order("c2", 8)
    answers = wait(lambda: len(agent.of("durable")) == 2 and agent.of("durable"))
    assert [(one["command"], one["step"]) for one in answers] == [("c1", 30), ("c2", 40)]


def test_a_newer_checkpoint_fulfils_every_older_order_and_no_newer_one(
    client: forestall_client.Client, agent: Agent
) -> None:
    agent.order("c1", 7)
    agent.order("c2", 8)
    assert wait(lambda: client.due(5) == 8)
    agent.order("c3", 9)
    wait(lambda: client.due(5) == 9)
    client.ack_staged(5, 0.1, 99, order=8)
    assert wait(lambda: len(agent.of("staged")) == 2)
    assert {one["command"] for one in agent.of("staged")} == {"c1", "c2"}
    assert client.due(6) == 9


def test_the_job_s_own_checkpoint_fulfils_no_order(client: forestall_client.Client, agent: Agent) -> None:
    agent.order("c1", 7)
    wait(lambda: client.due(5))
    client.ack_staged(5, 0.1, 99, order=0)
    assert client.due(6) == 7


def test_an_agent_that_comes_back_hears_what_it_missed(path: Path) -> None:
    agent = Agent(path)
    client = forestall_client.connect({"FORESTALL_SOCKET": str(path)})
    wait(lambda: agent.of("hello"))
    agent.order("c1", 7)
    wait(lambda: client.due(5))
    agent.server.close()
    client.ack_staged(5, 0.1, 99)
    client.ack_durable(5, "file:///c", "abc")
    again = Agent(path)
    wait(lambda: again.of("hello"))
    again.order("c1", 7)
    answers = wait(lambda: len(again.of("staged", "durable")) == 2 and again.of("staged", "durable"))
    assert {one["command"] for one in answers} == {"c1"}
    client.close()
    again.server.close()


def test_an_order_that_is_only_looked_for_begins_nothing(client: forestall_client.Client, agent: Agent) -> None:
    agent.order("c1", 7, find=True)
    (answer,) = wait(lambda: agent.of("unknown"))
    assert answer["command"] == "c1"
    assert client.due(5) == 0


def test_a_cancelled_order_is_not_due(client: forestall_client.Client, agent: Agent) -> None:
    agent.order("c1", 7)
    wait(lambda: client.due(5))
    agent.server.push({"type": "cancel", "command": "c1"})
    wait(lambda: client.due(5) == 0)


def test_what_the_agent_says_and_nobody_understands_does_no_harm(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    listener.settimeout(10)
    client = forestall_client.connect({"FORESTALL_SOCKET": str(path)})
    for line in (b'{"type":"news","v":1}\n', b"[1,2]\n", b"garbage\n", b'{"type":"checkpoint"}\n', b"\xff\xfe\n"):
        rank, _ = listener.accept()
        with rank, rank.makefile("rb") as said:
            assert json.loads(said.readline())["type"] == "hello"
            rank.sendall(line + b'{"type":"checkpoint","command":"c","order":3,"step":null}\n')
    assert client.due(1) in {0, 3}
    client.close()
    listener.close()


def test_what_a_rank_says_and_nobody_understands_does_no_harm(path: Path, agent: Agent) -> None:
    for junk in (b"garbage\n", b"[]\n", b"{}\n", b"\xff\n", b"x" * 70_000, b"[" * 60_000 + b"\n"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.connect(str(path))
            line.sendall(b'{"type":"hello","rank":0,"pid":1}\n' + junk)
            line.shutdown(socket.SHUT_WR)
            assert line.recv(10) == b""
    assert len(agent.of("hello")) == 6


def test_an_agent_that_does_not_read_holds_training_up_only_briefly(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    client = forestall_client.connect({"FORESTALL_SOCKET": str(path)})
    rank, _ = listener.accept()
    assert rank.recv(5)
    began = time.monotonic()
    with client._lock:
        while client._socket is not None:
            client._send({"type": "progress", "step": 1, "loss": 0.0, "step_s": 0.1, "pad": "x" * 10_000})
            assert time.monotonic() - began < 30
    client.close()
    rank.close()
    listener.close()


def test_the_socket_is_for_its_user_alone_and_its_path_fits_everywhere(
    tmp_path: Path, agent: Agent, path: Path
) -> None:
    assert path.stat().st_mode & 0o077 == 0
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    assert len(str(socket_path(deep))) <= 100
    assert socket_path(deep) == socket_path(deep)
    assert socket_path(deep) != socket_path(deep / "z")
