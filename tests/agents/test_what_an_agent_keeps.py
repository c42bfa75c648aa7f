"""A whole cluster agent in this process, no broker to take anything: what waits is bounded, and what is taken up."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaError
from memory_executor import MemoryExecutor
from signing_keys import shared_keys

from connectors import seen_set
from connectors.executors import RankRecord
from connectors.seen_set import SeenSet
from connectors.signing import Keyring
from infra.agent import cluster_agent
from infra.agent.cluster_agent import ClusterAgent
from infra.agent.command_reader import CommandReader, Judged, Positions
from infra.agent.job_spec import JobSpec
from infra.agent.node_state import POSITIONS, SEEN
from infra.agent.place import Place
from infra.agent.publisher import PROGRESS_MAX, Publisher
from models import refusals
from models.agent_limits import AgentLimits
from models.records import Action, Cause, Command, Progress, Reason, command_id

NOWHERE = "127.0.0.1:1"
DEADLINE_S = 60.0


def until(look: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def order(generation: int, action: Action = "CHECKPOINT", **fields: Any) -> Command:
    now = time.time()
    made = Command(
        id=command_id("job", fields.get("node"), action, None, generation),
        action=action,
        job="job",
        generation=generation,
        issued_at=now,
        expires_at=now + 60.0,
        reason=Reason(rule="test"),
        cause=Cause(0, generation),
    )
    return replace(made, **fields)


class Running:
    """The agent's loop in a thread, and what is put before it as its reader would."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.said = folder, list[str]()
        self.memory: dict[str, RankRecord] = {}
        self.world: dict[int, int | None] = {}
        job = JobSpec("job", ("train",), 4, {}, 2, 1)
        limits = AgentLimits(disruptions_per_hour=1_000, checkpoints_per_hour=1_000)
        place = Place("n0", job, 2, folder, NOWHERE, 60.0, {}, limits)
        executor = MemoryExecutor(self.memory, self.world)
        self.agent = ClusterAgent(place, executor, Keyring(shared_keys().keyring, print), self.said.append)
        self.done: dict[str, Any] = {}
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        until(lambda: "rank" in self.memory)
        self.offset = 0

    def _run(self) -> None:
        self.done = self.agent.run()

    def read(self, command: Command, refused: str | None = None, digest: str = "") -> None:
        self.agent._heard(0, self.offset, Judged(command, refused, digest))
        self.offset += 1

    def rank_says(self, life: int, **message: Any) -> None:
        self.agent._items.put(cluster_agent._Said(life, message))

    def settled(self) -> None:
        """Wait until all that was put before the agent is taken in."""
        until(lambda: Positions(self.folder / POSITIONS).snapshot().get(0) == self.offset)

    def outcomes(self) -> list[dict[str, Any]]:
        events = [json.loads(line).get("event") for line in (self.folder / SEEN).read_text().splitlines()]
        return [one for one in events if one is not None and one["kind"] == "outcome"]

    def stages(self, command: Command) -> list[str]:
        return [one["stage"] for one in self.outcomes() if one["command"] == command.id]

    def stop(self) -> dict[str, Any]:
        self.agent.stop()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()
        return self.done


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no broker; kafka-python, asked to look for one, would leave a socket open at each attempt."""

    def away(_: object) -> None:
        raise KafkaError("nobody is there")

    monkeypatch.setattr(Publisher, "_connected", away)
    monkeypatch.setattr(CommandReader, "_consumer", away)


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    monkeypatch.setattr(cluster_agent, "LAST_WORDS_SECONDS", 0.1)
    made = Running(tmp_path, monkeypatch)
    yield made
    made.stop()


def test_with_too_many_outcomes_untold_nothing_new_begins_and_that_is_counted(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_set, "PENDING_MAX", 20)
    for generation in range(1, 101):
        running.read(order(generation))
    running.settled()
    assert len(running.outcomes()) == 20, "two each of ten commands"
    assert sum("no command is taken up" in line for line in running.said) == 1
    done = running.stop()
    assert done["not_taken_up"] == 90
    assert done["outcomes"] == {"received": 10, "accepted": 10, "failed": 10}
    again = SeenSet(running.folder / SEEN)
    assert len(again.pending()) == 30
    assert not again.has_room()
    again.close()


def test_progress_that_nobody_takes_is_dropped_from_its_oldest_on() -> None:
    publisher = Publisher(NOWHERE, lambda _: None, lambda _: None)
    facts: dict[str, Any] = {"job": "job", "node": "n0", "rank": 0, "at": 1.0, "loss": 0.5, "step_s": 0.1, "load": 0.1}
    for step in range(5 * PROGRESS_MAX):
        publisher.progress(Progress(id=f"p{step}", step=step, **facts))
    assert len(publisher._progress) == PROGRESS_MAX
    assert publisher._progress[-1].step == 5 * PROGRESS_MAX - 1
    publisher.close(0.1)


def test_the_reader_waits_while_too_much_is_to_be_taken_in_and_goes_on_when_the_agent_ends(running: Running) -> None:
    while running.agent._room.acquire(blocking=False):
        pass
    held = threading.Thread(target=running.read, args=(order(1),))
    held.start()
    held.join(0.5)
    assert held.is_alive()
    running.agent._room.release()
    held.join(DEADLINE_S)
    assert not held.is_alive()
    running.settled()
    stuck = threading.Thread(target=running.read, args=(order(2),))
    while running.agent._room.acquire(blocking=False):
        pass
    stuck.start()
    running.stop()
    stuck.join(DEADLINE_S)
    assert not stuck.is_alive()


def test_what_the_rank_before_a_resize_still_says_does_not_finish_it(running: Running) -> None:
    resize = order(1, "RESIZE", ranks=(0, 2, 3), world=3, step=40)
    life = running.agent._ranks.life
    running.read(resize)
    running.rank_says(life, type="resumed", step=7)
    running.rank_says(life, type="progress", step=90, loss=0.5, step_s=0.1)
    running.settled()
    until(lambda: running.memory["rank"].order == resize.id)
    assert (running.memory["rank"].rank, running.memory["rank"].world, running.memory["rank"].step) == (1, 3, 40)
    assert running.stages(resize) == ["received", "accepted"]
    assert running.agent._ranks.life == life + 1
    running.rank_says(life + 1, type="resumed", step=40)
    running.rank_says(life + 1, type="progress", step=41, loss=0.5, step_s=0.1)
    until(lambda: running.stages(resize) == ["received", "accepted", "done"])
    (done,) = [one for one in running.outcomes() if one["stage"] == "done"]
    assert (done["rank"], done["step"]) == (2, 40), "its number is the one by which the command calls it"


def test_a_rank_that_is_resized_ends_what_it_was_asked_for(running: Running) -> None:
    checkpoint, resize = order(1), order(2, "RESIZE", ranks=(0, 2, 3), world=3, step=40)
    running.read(checkpoint)
    running.read(resize)
    running.settled()
    until(lambda: running.stages(checkpoint)[-1:] == ["failed"])
    assert list(running.world.values()) == [-9, None]
    running.read(resize)
    running.settled()
    assert list(running.world.values()) == [-9, None], "one effect"


def test_a_resize_that_does_not_name_the_rank_is_no_business_of_its_agent(running: Running) -> None:
    other = order(1, "RESIZE", ranks=(0, 1, 3), world=3, step=40)
    running.read(other)
    running.settled()
    assert running.stages(other) == []
    assert running.memory["rank"].world == 4


def test_a_forgery_for_the_node_is_told_to_its_own_job_whatever_it_claims(running: Running) -> None:
    claimed = order(1, "DRAIN", node="n0", job="somebody-elses")
    running.read(claimed, "bad-signature", "abc")
    running.read(replace(claimed, node="n7"), "bad-signature", "abd")
    running.settled()
    (told,) = running.outcomes()
    assert (told["job"], told["command"], told["stage"]) == ("job", "refused-abc", "rejected")
    assert list(running.world.values()) == [None]


def test_a_flood_of_forgeries_is_told_up_to_its_bound_and_what_is_beyond_it_is_counted_at_the_end(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.agent._protocol._refusals._times = deque(maxlen=5)
    monkeypatch.setattr(refusals, "TOLD_PER_HOUR_MAX", 5)
    for number in range(40):
        running.read(order(1, "DRAIN", node="n0"), "unsigned", f"d{number}")
    running.settled()
    assert len(running.outcomes()) == 5
    done = running.stop()
    assert (done["untold"], done["outcomes"]) == (35, {"rejected": 5})


def test_of_what_nobody_can_read_the_first_are_said_and_all_are_counted(tmp_path: Path) -> None:
    said: list[str] = []
    keyring = Keyring(shared_keys().keyring, print)
    reader = CommandReader(NOWHERE, keyring, Positions(tmp_path / "p"), 60.0, lambda *_: None, said.append)
    garbage = [b"", b"{}", b"[]", b"\xff\xfe", b"[" * 60_000, b"x" * 70_000, b'{"v":1,"id":1}', b'{"v":9}'] * 250
    assert [reader._judge(raw, f"t/0/{n}") for n, raw in enumerate(garbage)] == [None] * len(garbage)
    told = [line for line in said if "is no command" in line]
    assert reader.unreadable == 2000
    assert len(told) == 12
    assert "70000 bytes are no command" in told[5]
    reader.close(1.0)
