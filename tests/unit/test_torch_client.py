"""The torch client in one process: real saves and loads, and what the cluster agent hears of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="it is the client for torch")

import forestall_client  # noqa: E402
from forestall_client import sealed  # noqa: E402
from forestall_client import torch as ours  # noqa: E402
from rank_ear import Ear, listening, wait  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning"),  # one process, by intent
]


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


@pytest.fixture
def checkpoints(client: forestall_client.Client, tmp_path: Path) -> ours.Checkpoints:
    return ours.Checkpoints(client, tmp_path / "checkpoints")


def state(value: float) -> dict[str, Any]:
    return {"model": {"weight": torch.full((40, 5), value), "bias": torch.full((7,), -value)}, "moment": torch.ones(3)}


def loaded(checkpoints: ours.Checkpoints) -> tuple[int, float]:
    """Load; return the step, and the value that all elements have."""
    empty = state(0.0)
    step = checkpoints.load(empty)
    values = {*empty["model"]["weight"].flatten().tolist(), *(-empty["model"]["bias"]).tolist()}
    assert len(values) == 1
    return step, values.pop()


def test_what_is_saved_is_loaded_and_the_newest_first(checkpoints: ours.Checkpoints) -> None:
    assert loaded(checkpoints) == (0, 0.0)
    assert checkpoints.save(1, state(1.0))
    checkpoints.save_async(2, state(2.0))
    assert checkpoints.wait()
    assert loaded(checkpoints) == (2, 2.0)


@pytest.mark.parametrize("way", ["save", "save_async"])
def test_an_order_is_acknowledged_when_staged_and_when_durable(
    checkpoints: ours.Checkpoints, ear: Ear, client: forestall_client.Client, way: str, tmp_path: Path
) -> None:
    agreement = ours.Agreement(client)
    ear.order("c1", 7)
    order = wait(lambda: agreement.due(5))
    assert order == 7
    getattr(checkpoints, way)(5, state(5.0), order)
    checkpoints.wait()
    staged, durable = wait(lambda: len(ear.of("staged", "durable")) == 2 and ear.of("staged", "durable"))
    assert (staged["type"], staged["command"], staged["step"]) == ("staged", "c1", 5)
    assert staged["bytes"] == 4 * (40 * 5 + 7 + 3)
    assert staged["seconds"] > 0
    assert (durable["type"], durable["command"], durable["step"]) == ("durable", "c1", 5)
    newest = sealed.newest_good(tmp_path / "checkpoints")
    assert newest is not None
    assert durable["uri"] == newest.path.as_uri()
    assert (newest.path / "rank-0.seal").read_text().startswith(durable["digest"])
    assert agreement.due(6) == 0


def test_an_asynchronous_save_holds_the_state_of_its_step(checkpoints: ours.Checkpoints) -> None:
    changing = state(3.0)
    checkpoints.save_async(3, changing)
    for one in (changing["model"]["weight"], changing["model"]["bias"]):
        one.fill_(99.0)
    checkpoints.wait()
    assert loaded(checkpoints) == (3, 3.0)


def test_the_ranks_look_at_orders_every_so_many_steps(client: forestall_client.Client, ear: Ear) -> None:
    agreement = ours.Agreement(client, every=4)
    ear.order("c1", 7)
    wait(lambda: client.due(1))
    assert [step for step in range(1, 13) if agreement.due(step)] == [4, 8, 12]
    with pytest.raises(ValueError, match="at least 1"):
        ours.Agreement(client, every=0)


def test_two_are_kept(checkpoints: ours.Checkpoints, tmp_path: Path) -> None:
    for step in (1, 2, 3, 4):
        checkpoints.save(step, state(step))
    assert [one.step for one in sealed.found(tmp_path / "checkpoints")] == [4, 3]


@pytest.mark.parametrize("way", ["save", "save_async"])
def test_a_full_disk_is_logged_told_of_to_nobody_and_training_goes_on(
    checkpoints: ours.Checkpoints,
    ear: Ear,
    client: forestall_client.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    way: str,
) -> None:
    checkpoints.save(1, state(1.0))

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("torch.distributed.checkpoint.filesystem.FileSystemWriter.write_data", full)
    ear.order("c1", 7)
    order = wait(lambda: client.due(2))
    with caplog.at_level(logging.WARNING, "forestall_client"):
        getattr(checkpoints, way)(2, state(2.0), order)
        assert not checkpoints.wait()
    assert "step 2 failed" in caplog.text
    monkeypatch.undo()
    (failed,) = wait(lambda: ear.of("failed"))
    assert (failed["command"], failed["step"]) == ("c1", 2)
    assert "No space left" in failed["reason"]
    assert client.due(3) == 0
    assert loaded(checkpoints) == (1, 1.0)
    ear.order("c2", 8)
    checkpoints.save(3, state(3.0), wait(lambda: client.due(3)))
    (durable,) = wait(lambda: ear.of("durable"))
    assert (durable["command"], durable["step"]) == ("c2", 3)
    assert loaded(checkpoints) == (3, 3.0)


def test_a_disk_that_is_full_for_the_seal_alone_makes_nothing_durable(
    checkpoints: ours.Checkpoints, ear: Ear, monkeypatch: pytest.MonkeyPatch, client: forestall_client.Client
) -> None:
    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ours, "seal", full)
    ear.order("c1", 7)
    order = wait(lambda: client.due(2))
    assert not checkpoints.save(2, state(2.0), order)
    wait(lambda: ear.of("staged"))
    monkeypatch.undo()
    assert loaded(checkpoints) == (0, 0.0)
    assert wait(lambda: ear.of("failed"))[0]["command"] == "c1"
    assert not ear.of("durable")


def test_cut_or_altered_at_many_places_the_last_good_one_is_loaded(
    checkpoints: ours.Checkpoints, tmp_path: Path
) -> None:
    checkpoints.save(1, state(1.0))
    checkpoints.save(2, state(2.0))
    newest = sealed.newest_good(tmp_path / "checkpoints")
    assert newest is not None
    files = sorted(newest.path.iterdir())
    assert {one.name for one in files} == {".metadata", "__0_0.distcp", "rank-0.seal"}
    tried = 0
    for file in files:
        whole = file.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 60)):
            for damaged in (whole[:place], whole[:place] + bytes([whole[place] ^ 0x20]) + whole[place + 1 :]):
                file.write_bytes(damaged)
                assert sealed.newest_good(tmp_path / "checkpoints") == (1, sealed.found(newest.path.parent)[1].path)
                tried += 1
        assert loaded(checkpoints) == (1, 1.0)
        file.write_bytes(whole)
    assert tried > 300
    assert loaded(checkpoints) == (2, 2.0)


def test_without_a_cluster_agent_it_saves_and_loads_all_the_same(tmp_path: Path) -> None:
    alone = ours.Checkpoints(forestall_client.connect({}), tmp_path / "alone")
    assert alone.save(4, state(4.0))
    assert loaded(alone) == (4, 4.0)


def test_the_bytes_of_a_state_are_those_of_its_tensors() -> None:
    assert ours.bytes_of(state(1.0)) == 4 * 210
    assert ours.bytes_of([torch.zeros(3, dtype=torch.float64), {"a": (torch.zeros(2),)}, 5, "x"]) == 24 + 8
