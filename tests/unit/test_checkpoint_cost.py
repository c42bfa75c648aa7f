"""forestall lab checkpoint-cost: what is saved is whole, what is told is what happened, C and W go to the policies."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.cli.main import main
from infra.settings import load

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.torch,
    # torch says at each checkpoint that there is one process only, which is meant here
    pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning"),
]

SIZE = 1_000_000


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Undo what ``main`` does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    from experiments.checkpoint_cost.weights import weights

    return weights(SIZE)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One quick run by the command line; what it told, and what it wrote under ``wrote``."""
    folder = tmp_path_factory.mktemp("cost")
    words = ["--quick", "--repeat", "2", "--directory", str(folder)]
    words += ["--toml", str(folder / "policy.toml"), "--plot", str(folder / "cost.png")]
    told = told_by(folder, *words)
    return told | {"wrote": folder}


def told_by(folder: Path, *words: str) -> dict[str, Any]:
    """What the command says on stdout, run in this process."""
    import contextlib
    import io

    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        assert main(["lab", "checkpoint-cost", "--json", *words]) == 0
    return dict(json.loads(out.getvalue()))


def test_every_size_and_mode_has_a_row_of_times_that_fit_together(quick: dict[str, Any]) -> None:
    rows = quick["rows"]
    assert len(rows) == 9
    assert {row["mode"] for row in rows} == {"sync", "async", "in-memory"}
    for row in rows:
        assert row["n"] == 2
        assert row["blocking_s"] > 0
        assert 0 < row["serialise_s"] <= row["durable_s"]
        assert 0 < row["write_s"] <= row["durable_s"]
        for name, (least, most) in row["spread"].items():
            assert least <= row[name] <= most
    for row in rows:
        if row["mode"] != "sync":
            assert row["blocking_s"] < row["durable_s"], "the job goes on before the checkpoint is safe"


def test_loads_and_frequencies_are_told_with_their_spread(quick: dict[str, Any]) -> None:
    assert len(quick["loads"]) == 3
    assert all(row["cold_s"] > 0 and row["warm_s"] > 0 for row in quick["loads"])
    assert {(row["mode"], row["every_steps"]) for row in quick["frequencies"]} == {
        (mode, every) for mode in ("sync", "async", "in-memory") for every in (2, 5)
    }
    for row in quick["frequencies"]:
        assert row["spread"][0] <= row["overhead"] <= row["spread"][1] < 1
        assert row["interval_s"] == pytest.approx(row["every_steps"] * row["step_s"], rel=1e-3)


def test_c_and_w_are_settings_that_the_policies_take(quick: dict[str, Any]) -> None:
    settings = load(quick["wrote"] / "policy.toml")
    assert settings.policy.checkpoint_cost_s == pytest.approx(quick["policy"]["checkpoint_cost_s"], rel=1e-3)
    assert settings.policy.durable_s == pytest.approx(quick["policy"]["durable_s"], rel=1e-3)
    assert quick["policy"]["mode"] == "sync"
    assert quick["policy"]["bytes"] == max(row["bytes"] for row in quick["rows"])
    assert quick["policies"]["async"]["durable_s"] > 0
    assert set(quick["fits"]) == set(quick["policies"])


def test_nothing_is_left_behind_but_what_was_asked_for(quick: dict[str, Any]) -> None:
    assert {path.name for path in quick["wrote"].iterdir()} == {"policy.toml", "cost.png"}
    assert (quick["wrote"] / "cost.png").read_bytes().startswith(b"\x89PNG")
    assert "fsync" in quick["about"]
    assert quick["filesystem"] in quick["about"]


@pytest.mark.parametrize(("processes", "said"), [(0.5, False), (7.0, True)])
def test_a_machine_that_was_busy_is_said_to_have_been(processes: float, said: bool) -> None:
    from infra.cli.lab.checkpoint_cost import _about

    about = _about({"filesystem": "ext4", "load_before": {"processes": processes, "cores": 2.0}}, Path("/scratch"))
    assert ("7 processes wanted its 2 cores" in about) is said


def test_what_lies_in_memory_is_not_said_to_be_durable() -> None:
    from infra.cli.lab.checkpoint_cost import _about

    idle = {"processes": 0.0, "cores": 2.0}
    assert "nothing there is durable" in _about({"filesystem": "tmpfs", "load_before": idle}, Path("/dev/shm"))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_checkpoint_on_disk_is_whole_when_it_is_said_to_be_safe(
    mode: str, state: dict[str, Any], tmp_path: Path
) -> None:
    import torch.distributed.checkpoint as distributed

    from experiments.checkpoint_cost.modes import saver

    saving = saver(mode, tmp_path / mode, SIZE)
    begun = saving.begin(state)
    begun._wait()  # type: ignore[attr-defined]
    loaded = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    distributed.load(loaded, checkpoint_id=tmp_path / mode / "1", no_dist=True)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    sample = begun.done()
    assert sample.durable_s >= sample.write_s > 0
    assert not (tmp_path / mode / "1").exists(), "it is removed as soon as it was measured"
    saving.close()
    assert not (tmp_path / mode).exists()


def test_what_changes_after_the_job_went_on_is_not_in_an_async_checkpoint(
    state: dict[str, Any], tmp_path: Path
) -> None:
    import torch.distributed.checkpoint as distributed

    from experiments.checkpoint_cost.modes import saver

    mine = {name: tensor.clone() for name, tensor in state.items()}
    saving = saver("async", tmp_path / "a", SIZE)
    begun = saving.begin(mine)
    for tensor in mine.values():
        tensor.fill_(7.0)
    begun._wait()  # type: ignore[attr-defined]
    loaded = {name: torch.zeros_like(tensor) for name, tensor in state.items()}
    distributed.load(loaded, checkpoint_id=tmp_path / "a" / "1", no_dist=True)
    assert all(torch.equal(loaded[name], tensor) for name, tensor in state.items())
    begun.done()
    saving.close()


def test_the_peer_confirms_just_what_it_was_given_and_keeps_the_last_one_whole(state: dict[str, Any]) -> None:
    import zlib

    from experiments.checkpoint_cost.peer_memory import PeerMemory
    from experiments.checkpoint_cost.weights import total_bytes

    def crc(of: dict[str, Any]) -> int:
        found = 0
        for tensor in of.values():
            found = zlib.crc32(tensor.numpy().tobytes(), found)
        return found

    other = {name: tensor + 1.0 for name, tensor in state.items()}
    size = total_bytes(state)
    peer = PeerMemory(size)
    try:
        first, second = peer.begin(state), peer.begin(other)
        second.done()
        first.done()
        assert (first.crc, second.crc) == (crc(state), crc(other)), "the second did not touch the first"
        third = peer.begin(state)
        third.done()
        assert third.crc == crc(state)
        assert peer.confirmed(size, size) == crc(other), "the one before it is still whole"
    finally:
        peer.close()


def test_a_peer_that_died_has_nothing(state: dict[str, Any]) -> None:
    from experiments.checkpoint_cost.peer_memory import PeerMemory

    peer = PeerMemory(SIZE * 2)
    begun = peer.begin(state)
    peer._peer.kill()
    peer._peer.wait()
    with pytest.raises((RuntimeError, BrokenPipeError)):
        begun.done()
    for pipe in (peer._peer.stdin, peer._peer.stdout):
        assert pipe is not None
        try:
            pipe.close()
        except BrokenPipeError:
            continue


@pytest.mark.parametrize("size", [1_000_000, 10_000_000, 100_000_000])
def test_the_weights_are_of_the_size_that_was_asked_for(size: int) -> None:
    from experiments.checkpoint_cost.weights import total_bytes, weights

    made = weights(size)
    assert total_bytes(made) == pytest.approx(size, rel=0.02)
    assert torch.equal(made["layers.3.weight"], weights(size)["layers.3.weight"])
    assert not torch.equal(made["layers.3.weight"], made["layers.4.weight"])


def test_a_size_for_which_the_disk_is_short_is_left_out_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**12, 0, (1 << 30) + 2_000_000))
    told = told_by(tmp_path, "--sizes", "1MB,50MB", "--repeat", "1", "--quick", "--directory", str(tmp_path))
    assert {round(row["bytes"] / 1e6) for row in told["rows"]} == {1}
    assert [one["bytes"] for one in told["left_out"]] == [50_000_000, 4_000_000]
    assert "GB free" in told["left_out"][0]["why"]


def test_where_nothing_fits_it_fails_and_says_why(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from collections import namedtuple

    import psutil

    memory = namedtuple("memory", "available")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(1000))
    assert main(["lab", "checkpoint-cost", "--quick", "--directory", str(tmp_path)]) == 1
    assert "of memory are available" in capsys.readouterr().err


def test_without_torch_the_cure_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("experiments.checkpoint_cost")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["lab", "checkpoint-cost", "--quick", "--directory", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "torch" in said
    assert "install.sh web,lab,train" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--policy-mode", "asink"], "did you mean 'async'?"),
        (["--directory", "/nowhere/at/all"], "there is no such folder"),
        (["--toml", "/nowhere/policy.toml"], "there is no folder /nowhere"),
        (["--plot", "cost.doc"], ".png"),
    ],
)
def test_wrong_options_are_told_before_anything_is_measured(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lab", "checkpoint-cost", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--sizes", "10"], ["--sizes", "1KB"], ["--repeat", "0"], ["--sizes", "x,2GB"]])
def test_wrong_sizes_and_repetitions_are_told_with_what_is_right(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["lab", "checkpoint-cost", *words])
    assert ended.value.code == 2
    assert words[1].split(",")[0] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "fixed", "per_gb"),
    [
        ([0.1 + size / 1e9 for size in (1e7, 1e8, 1e9)], 0.1, 1.0),
        ([0.2, 0.2, 0.2], 0.2, 0.0),
        ([0.5, 0.3, 0.2], 0.26, 0.0),  # faster when larger: noise, not a law
        ([0.0, 0.0, 0.0], 0.0, 0.0),
    ],
)
def test_a_fit_never_has_a_negative_part(seconds: list[float], fixed: float, per_gb: float) -> None:
    from experiments.checkpoint_cost.fitting import fitted

    line = fitted([1e7, 1e8, 1e9], seconds)
    assert line.fixed_s == pytest.approx(fixed, abs=0.02)
    assert line.s_per_byte * 1e9 == pytest.approx(per_gb, abs=1e-6)


def test_one_size_alone_gives_a_line_through_it() -> None:
    from experiments.checkpoint_cost.fitting import fitted

    assert fitted([1e8], [0.2])(2e8) == pytest.approx(0.4)
