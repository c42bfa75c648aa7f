"""A real cluster agent and a real rank, no broker: what the rank may say, and what another run left in the folder."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from signing_keys import keyring_setting

from models.records import digest_id

DEADLINE_S = 30.0
#: A rank that says what stands in a file, a line a message, keeps its environment in a file, and lives on.
RANK = """
import json, os, socket, sys, time
folder = sys.argv[1]
line = socket.socket(socket.AF_UNIX)
line.connect(os.environ["FORESTALL_SOCKET"])
for said in open(os.path.join(folder, "words")):
    line.sendall(said.encode())
told = {name: value for name, value in os.environ.items() if name.startswith("FORESTALL_")}
with open(os.path.join(folder, "environment.new"), "w") as out:
    json.dump(told, out)
os.replace(os.path.join(folder, "environment.new"), os.path.join(folder, "environment"))
time.sleep(600)
"""
HELLO = {"type": "hello", "rank": 0, "pid": 1}
#: Not to be understood, and so it shows up in the agent's log when everything before it has been taken in.
LAST = {"type": "progress", "step": "that was all", "loss": 0.0, "step_s": 0.0}


class Node:
    """One node's folder, its job file, and the cluster agents that come and go there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.directory = folder / "n0"
        self.agents: list[subprocess.Popen[str]] = []
        self.say(HELLO)
        words = [sys.executable, "-c", RANK, str(folder)]
        sections = [f"[jobs.{name}]\ncommand = {json.dumps(words)}\nworld = 2\n" for name in ("one", "two")]
        (folder / "jobs.toml").write_text("".join(sections))

    def say(self, *messages: Any) -> None:
        (self.folder / "words").write_text("".join(json.dumps({"v": 1, **one}) + "\n" for one in messages))

    def start(self, *words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "infra.cli.main", "agent", "--node", "n0", "--json", *words]
        command += ["--job-spec", str(self.folder / "jobs.toml"), "--directory", str(self.directory)]
        command += ["--set", keyring_setting()]
        with (self.folder / f"log-{len(self.agents) + 1}").open("ab") as log:
            agent = subprocess.Popen(
                [*command, "--brokers", "127.0.0.1:1"], stdout=subprocess.PIPE, stderr=log, text=True
            )
        self.agents.append(agent)
        return agent

    @property
    def log(self) -> str:
        """What the newest agent has said."""
        return (self.folder / f"log-{len(self.agents)}").read_text()

    @property
    def rank(self) -> dict[str, Any]:
        """What the agent remembers of its rank."""
        found: dict[str, Any] = json.loads((self.directory / "rank.json").read_text())
        return found

    def environment(self) -> dict[str, str]:
        """What the newest rank was told; the next one writes it anew."""
        path = self.folder / "environment"
        self.until(path.exists)
        found: dict[str, str] = json.loads(path.read_text())
        path.unlink()
        return found

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < end, self.log
            time.sleep(0.02)

    def stop(self, agent: subprocess.Popen[str]) -> dict[str, Any]:
        agent.send_signal(signal.SIGTERM)
        out, _ = agent.communicate(timeout=DEADLINE_S)
        assert agent.returncode == 0, self.log
        told: dict[str, Any] = json.loads(out)
        return told

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()
            agent.communicate()
        for process in psutil.process_iter(["cmdline"]):
            if str(self.folder) in (process.info["cmdline"] or []):
                process.kill()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def progress(step: Any, loss: Any = 0.5, step_s: Any = 0.1) -> dict[str, Any]:
    return {"type": "progress", "step": step, "loss": loss, "step_s": step_s}


def begun(node: Node) -> Callable[[], bool]:
    """It looks for its broker, and so has seen to its rank."""
    return lambda: "commands cannot be read" in node.log


def heard_all(node: Node) -> Callable[[], bool]:
    return lambda: "that was all" in node.log


NONSENSE = [
    progress(float("inf")),
    progress(float("nan")),
    progress(None),
    progress("seven"),
    progress(7, loss="low"),
    progress(7, loss=[1.0]),
    progress(7, step_s=None),
    {"type": "progress"},
    {"type": "staged", "command": "c", "step": 7, "seconds": 0.1, "bytes": float("inf")},
    {"type": "durable", "command": ["c"], "step": 7, "seconds": 0.1, "uri": "file:///x", "digest": "d"},
]
#: These can be read, and mean nothing here.
POINTLESS = [
    {"type": "durable", "command": "nobody ordered this", "step": 7, "seconds": 0.1, "uri": "u", "digest": "d"},
    {"type": "unknown", "command": "nobody ordered this"},
    {"type": ["list"]},
    {"type": "something new"},
]


def test_no_word_of_a_rank_ends_its_cluster_agent(node: Node) -> None:
    node.say(HELLO, progress(41), *NONSENSE, *POINTLESS, progress(42), LAST)
    agent = node.start("--job", "one", "--rank", "0")
    node.until(heard_all(node))
    assert agent.poll() is None, node.log
    told = node.stop(agent)
    assert (told["last_step"], told["outcomes"]) == (42, {})
    assert node.log.count("cannot be understood") == len([*NONSENSE, LAST])
    assert "Traceback" not in node.log


def test_training_that_has_diverged_is_still_progress(node: Node) -> None:
    node.say(HELLO, progress(5, float("nan")), progress(6, float("inf")), progress(7, None), LAST)
    agent = node.start("--job", "one", "--rank", "0")
    node.until(heard_all(node))
    assert node.stop(agent)["last_step"] == 7
    assert node.log.count("cannot be understood") == 1, "only the last word was nonsense"


def test_a_rank_gets_its_place_in_the_job_and_nothing_of_a_restart(node: Node) -> None:
    node.start("--job", "one", "--rank", "1")
    told = node.environment()
    assert (told["FORESTALL_RANK"], told["FORESTALL_WORLD"]) == ("1", "2")
    assert (told["FORESTALL_JOB"], told["FORESTALL_NODE"]) == ("one", "n0")
    assert "FORESTALL_RESUME_STEP" not in told


def test_a_rank_that_ended_with_its_agent_begins_again_with_it(node: Node) -> None:
    agent = node.start("--job", "one", "--rank", "0")
    node.environment()
    node.stop(agent)
    assert node.rank["state"] == "stopped"
    node.start("--job", "one", "--rank", "1")
    assert node.environment()["FORESTALL_RANK"] == "0", "the folder knows better than the word"


def test_a_folder_in_which_another_job_has_ended_is_taken_for_an_empty_one(node: Node) -> None:
    agent = node.start("--job", "one", "--rank", "1")
    node.environment()
    node.stop(agent)
    node.start("--job", "two", "--rank", "0")
    told = node.environment()
    assert (told["FORESTALL_JOB"], told["FORESTALL_RANK"]) == ("two", "0")
    assert (node.rank["job"], node.rank["rank"]) == ("two", 0)


def test_a_spare_does_not_start_the_rank_that_another_job_left_behind(node: Node) -> None:
    agent = node.start("--job", "one", "--rank", "1")
    node.environment()
    node.stop(agent)
    before = node.rank
    agent = node.start("--job", "two", "--spare")
    node.until(begun(node))
    node.stop(agent)
    assert node.rank == before
    assert not (node.folder / "environment").exists()


def test_a_rank_of_another_job_that_still_runs_is_neither_taken_over_nor_ended(node: Node) -> None:
    agent = node.start("--job", "one", "--rank", "1")
    node.environment()
    agent.kill()
    agent.wait(DEADLINE_S)
    orphan = psutil.Process(node.rank["pid"])
    refused = node.start("--job", "two", "--rank", "0")
    assert refused.wait(DEADLINE_S) == 2
    assert f"rank 1 of one still runs on n0, process {orphan.pid}" in node.log
    assert orphan.is_running()
    agent = node.start("--job", "one", "--spare")
    node.until(lambda: f"rank 1 of one is taken over, process {orphan.pid}" in node.log)
    node.stop(agent)
    assert node.rank["state"] == "stopped"


def test_a_rank_that_died_while_no_agent_was_there_is_told_once_as_a_failure_of_the_node(node: Node) -> None:
    agent = node.start("--job", "one", "--rank", "0")
    node.environment()
    agent.kill()
    agent.wait(DEADLINE_S)
    remembered = node.rank
    psutil.Process(remembered["pid"]).kill()
    fate = digest_id("fate", "n0", "one", 0, remembered["pid"], remembered["born"])
    for _ in range(2):
        agent = node.start("--job", "one", "--rank", "0")
        node.until(begun(node))
        assert node.stop(agent)["unsent"] == 1
    assert (node.directory / "commands.jsonl").read_text().count(fate) == 1
    assert node.rank["state"] == "vacated"
    assert not (node.folder / "environment").exists(), "what failed here does not begin again here"
