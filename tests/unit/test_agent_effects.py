"""Effects on a node, begun, found and finished: what a crash in between left is told from what nobody ordered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
from memory_executor import MemoryExecutor

from connectors.executors import RankRecord
from infra.agent.effects import Effects
from infra.agent.job_spec import JobSpec
from infra.agent.place import Place
from models.command_protocol import Execute, Failed, Finished, ProtocolEvent
from models.records import Action, Cause, Command, Reason

Mode = Literal["begin", "finish", "find"]


def command(action: Action = "RESIZE", **fields: Any) -> Command:
    made = Command(
        id=f"c-{action}",
        action=action,
        job="job",
        generation=1,
        issued_at=1.0,
        expires_at=61.0,
        reason=Reason(rule="test"),
        cause=Cause(0, 0),
        ranks=(0, 2, 3),
        step=40,
        world=3,
    )
    return replace(made, **fields)


class Node:
    """Rank 2 of 4 runs on it; ``again`` is what finds it after a crash."""

    def __init__(self, folder: Path) -> None:
        self.memory: dict[str, RankRecord] = {}
        self.world: dict[int, int | None] = {}
        self.lives = 0
        self.place = Place("n0", JobSpec("job", ("train",), 4, {}), 2, folder, "b:1", 60.0, {})
        self.again()
        self.effects.launch(2, order=None, step=None, world=None)

    def again(self) -> None:
        self.executor = MemoryExecutor(self.memory, self.world)
        self.effects = Effects(self.place, self.executor, lambda *_: None, self._next_life, lambda _: None)

    def _next_life(self) -> None:
        self.lives += 1

    @property
    def rank(self) -> RankRecord:
        return self.memory["rank"]

    def carry_out(self, order: Command, mode: Mode = "begin", open_commands: tuple[Command, ...] = ()) -> Any:
        events: list[ProtocolEvent] = self.effects.carry_out(Execute(order, mode), [order, *open_commands])
        return events


def why(events: list[ProtocolEvent]) -> str:
    (one,) = events
    assert isinstance(one, Failed)
    return one.reason


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_resize_ends_the_rank_and_starts_it_under_its_new_number(node: Node) -> None:
    assert node.carry_out(command()) == []
    assert (node.rank.rank, node.rank.world, node.rank.step, node.rank.order) == (1, 3, 40, "c-RESIZE")
    assert list(node.world.values()) == [-9, None]
    assert node.lives == 2


@pytest.mark.parametrize("mode", ["finish", "find"])
def test_a_resize_that_was_begun_is_waited_for_and_not_begun_again(node: Node, mode: Mode) -> None:
    node.carry_out(command())
    node.again()
    assert node.carry_out(command(), mode) == []
    assert list(node.world.values()) == [-9, None]
    node.world[2] = 1
    assert "ended before its first step" in why(node.carry_out(command(), mode))


def test_a_resize_that_was_half_done_is_finished(node: Node) -> None:
    node.executor.kill("c-RESIZE")
    node.again()
    assert node.carry_out(command(), "finish") == []
    assert (node.rank.rank, node.rank.state) == (1, "running")


def test_a_resize_that_was_half_done_when_it_expired_is_told_and_its_rank_is_no_failure_of_the_node(node: Node) -> None:
    node.memory["rank"] = replace(node.rank, ended_by="c-RESIZE")
    node.world[1] = -9  # killed, and the agent died before it could write that down
    node.again()
    assert node.executor.state() == "died"
    assert "expired before the rank was started" in why(node.carry_out(command(), "find"))
    assert node.executor.state() == "vacated"


def test_a_resize_that_was_not_begun_when_it_expired_leaves_the_rank_alone(node: Node) -> None:
    assert "expired before the rank was ended" in why(node.carry_out(command(), "find"))
    assert node.executor.state() == "running"


def test_a_rank_that_died_by_itself_is_not_resized(node: Node) -> None:
    node.world[1] = 1
    for mode in ("begin", "finish"):
        assert why(node.carry_out(command(), mode)) == "interrupted: the rank has ended"
    assert len(node.world) == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"world": 5}, "the job file has the ranks 0 to 3"),
        ({"world": 2}, "the job file has the ranks 0 to 3"),
        ({"world": 0}, "the job file has the ranks 0 to 3"),
        ({"ranks": ()}, "names no ranks"),
        ({"ranks": (0, 1)}, "does not run here"),
    ],
)
def test_a_resize_that_cannot_be_ends_nothing(node: Node, fields: dict[str, Any], words: str) -> None:
    assert words in why(node.carry_out(command(**{"world": 4, **fields})))
    assert list(node.world.values()) == [None]


def test_what_the_rank_was_asked_for_fails_with_it(node: Node) -> None:
    checkpoint = command("CHECKPOINT", id="c-open", ranks=())
    for action, said in (("RESIZE", "another size"), ("MIGRATE", "migrated"), ("DRAIN", "drained")):
        other = Node(node.place.directory)
        events = other.carry_out(command(action, ranks=(0, 2, 3)), "begin", (checkpoint,))
        failed = [one for one in events if isinstance(one, Failed)]
        assert [one.command for one in failed] == ["c-open"]
        assert said in failed[0].reason
        assert len([one for one in events if isinstance(one, Finished)]) == (action != "RESIZE")


def test_a_restore_takes_the_size_it_is_told_or_that_of_the_job_file(node: Node) -> None:
    node.executor.kill()
    assert node.carry_out(command("RESTORE", node="n0", ranks=(3,), world=None)) == []
    assert (node.rank.rank, node.rank.world) == (3, 4)
    node.executor.kill()
    assert node.carry_out(command("RESTORE", id="c2", node="n0", ranks=(1,), world=2)) == []
    assert (node.rank.rank, node.rank.world) == (1, 2)
    node.executor.kill()
    assert "cannot be" in why(node.carry_out(command("RESTORE", id="c3", node="n0", ranks=(2,), world=2)))


def test_a_drain_of_a_node_without_a_rank_is_done(node: Node) -> None:
    node.memory.clear()
    (done,) = node.carry_out(command("DRAIN", node="n0", ranks=()))
    assert isinstance(done, Finished)
