"""A checkpoint that came to nothing is told to whoever ordered it, and is due no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import forestall_client
import pytest
from rank_ear import Ear, listening, wait


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[Ear]:
    with listening(tmp_path) as made:
        yield made


@pytest.fixture
def client(ear: Ear) -> Iterator[forestall_client.Client]:
    made = forestall_client.connect({"FORESTALL_SOCKET": str(ear.path), "FORESTALL_RANK": "0"})
    wait(lambda: ear.of("hello"))
    yield made
    made.close()


def test_before_it_was_staged(client: forestall_client.Client, ear: Ear) -> None:
    ear.order("c1", 7)
    order = wait(lambda: client.due(5))
    client.ack_failed(5, "the disk is full", order)
    (failed,) = wait(lambda: ear.of("failed"))
    assert (failed["command"], failed["step"], failed["reason"]) == ("c1", 5, "the disk is full")
    assert client.due(6) == 0
    assert not ear.of("staged")


def test_after_it_was_staged(client: forestall_client.Client, ear: Ear) -> None:
    ear.order("c1", 7)
    client.ack_staged(5, 0.1, 99, wait(lambda: client.due(5)))
    client.ack_failed(5, "a peer is gone")
    assert [
        one["type"] for one in wait(lambda: len(ear.of("staged", "failed")) == 2 and ear.heard) if "command" in one
    ] == [
        "staged",
        "failed",
    ]


def test_the_job_s_own_fails_for_nobody(client: forestall_client.Client, ear: Ear) -> None:
    ear.order("c1", 7)
    wait(lambda: client.due(5))
    client.ack_failed(5, "the disk is full", order=0)
    client.finished(9)
    wait(lambda: ear.of("finished"))
    assert not ear.of("failed")
    assert client.due(6) == 7


def test_a_later_order_is_due_all_the_same(client: forestall_client.Client, ear: Ear) -> None:
    ear.order("c1", 7)
    client.ack_failed(5, "the disk is full", wait(lambda: client.due(5)))
    ear.order("c2", 8)
    assert wait(lambda: client.due(6)) == 8
    client.ack_staged(6, 0.1, 99, order=8)
    client.ack_durable(6, "file:///c", "abc")
    assert wait(lambda: ear.of("durable"))[0]["command"] == "c2"


def test_an_order_that_comes_late_hears_that_it_failed(client: forestall_client.Client, ear: Ear) -> None:
    client.ack_failed(5, "the disk is full", order=7)  # it was another rank's; ours is still on its way
    ear.order("c1", 7)
    assert wait(lambda: ear.of("failed"))[0]["command"] == "c1"
    assert client.due(6) == 0


def test_without_a_cluster_agent_it_does_nothing() -> None:
    forestall_client.connect({}).ack_failed(5, "the disk is full")
