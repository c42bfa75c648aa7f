"""``forestall train`` on a history: a folder becomes an artefact with its card, or the command says why not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from connectors.artefacts import load_artefact
from connectors.errors import Failed, WrongUse
from connectors.kafka.history import down_spans
from infra.cli.main import main
from infra.training_sources import folder_material
from infra.wiring import require_fit
from models.records import NodeFate

pytest.importorskip("torch")

NODES, STEPS, EVERY = 12, 2_960, 5.0
LEAD = 60


def write_fleet(folder: Path, fails_every: int = 220) -> int:
    """Nodes whose temperature climbs before each failure, and their fault log; returns the number of failures."""
    random = np.random.default_rng(3)
    faults = []
    for node in range(NODES):
        temperature, errors = random.normal(60, 1, STEPS), np.cumsum(random.poisson(0.01, STEPS))
        for at in range(150 + 13 * node, STEPS, fails_every):
            climb = slice(max(0, at - LEAD), at)
            temperature[climb] += np.linspace(0, 30, climb.stop - climb.start)
            faults.append(f"n{node},{at * EVERY},{(at + 15) * EVERY}")
        rows = [f"{k * EVERY},{temperature[k]:.3f},{errors[k]}" for k in range(STEPS)]
        (folder / f"n{node}.csv").write_text("t,gpu0.temp_c,gpu0.ecc_total\n" + "\n".join(rows) + "\n")
    (folder / "faults.csv").write_text("node,t_start,t_end\n" + "\n".join(faults) + "\n")
    return len(faults)


def train(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["train", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_folder_becomes_an_artefact_with_its_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    failures = write_fleet(folder)
    words = ("--source", str(folder), "--horizon", "5m", "--quick", "--json")
    code, out, err = train(capsys, "--out", str(tmp_path / "ours"), *words)
    assert code == 0, err
    card = json.loads(out)
    assert card["horizon_s"] == 300.0
    assert card["test"]["auc"] > 0.9, "the signs of this fleet are plain: labels stand where they belong"
    assert f"{NODES * STEPS:,} frames of {NODES} nodes every 5 s, 2 metrics, {failures} failures" in card["data"]
    assert "folder recordings with faults.csv" in card["data"]
    assert str(tmp_path) not in json.dumps(card["regenerate"])
    predictor = load_artefact(Path(card["artefact"]))
    require_fit(predictor)
    assert predictor.digest == card["digest"]
    assert json.loads((tmp_path / "ours" / "mlp.json").read_text())["digest"] == card["digest"]
    page = (tmp_path / "ours" / "mlp.md").read_text()
    assert "simulated" not in page, "the card of a real history says nothing of a simulation"


def test_too_few_failures_are_told_with_what_is_needed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    write_fleet(folder, fails_every=10**6)
    code, _, err = train(capsys, "--source", str(folder), "--out", str(tmp_path / "ours"))
    assert code == 1
    assert f"of {NODES} failures too few lie in the parts" in err
    assert "and needs 5" in err
    assert not (tmp_path / "ours").exists()


def test_a_source_that_is_nothing_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = train(capsys, "--source", str(tmp_path / "gone"), "--out", str(tmp_path / "ours"))
    assert code == 2
    assert "is neither fleet nor kafka nor a folder" in err


def test_a_folder_without_labels_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "n1.csv").write_text("t,a\n0,1\n")
    code, _, err = train(capsys, "--source", str(tmp_path), "--out", str(tmp_path / "ours"))
    assert code == 2
    assert "faults.csv" in err


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_fleet(folder)
    return folder


def test_a_horizon_is_one_of_time_and_counted_in_intervals(recordings: Path) -> None:
    of_time = folder_material(recordings, 400.0, lambda *_: None)
    assert (of_time.horizon, of_time.gap) == (80, 80)
    assert folder_material(recordings, None, lambda *_: None).horizon == 180
    with pytest.raises(WrongUse, match=r"--horizon 20s: the nodes are sampled every 5 s; 6 intervals"):
        folder_material(recordings, 20.0, lambda *_: None)


def test_a_horizon_longer_than_the_history_leaves_too_little(recordings: Path) -> None:
    with pytest.raises(Failed, match="2,960 sampling intervals; 4,200 are needed"):
        folder_material(recordings, 600 * EVERY, lambda *_: None)


def test_the_horizon_of_the_fleet_is_fixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = train(capsys, "--horizon", "5m", "--out", str(tmp_path / "ours"))
    assert code == 2
    assert "goes with a history" in err


def fate(at: float, state: Any, node: str = "n1") -> NodeFate:
    return NodeFate(id=f"{node}-{at}", job=None, node=node, at=at, state=state)


@pytest.mark.parametrize(
    ("fates", "spans"),
    [
        ([], {}),
        ([fate(5, "recovered")], {}),
        ([fate(5, "failed")], {"n1": ((5, np.inf),)}),
        ([fate(9, "recovered"), fate(5, "failed")], {"n1": ((5, 9),)}),
        ([fate(5, "failed"), fate(5, "failed"), fate(6, "failed"), fate(9, "recovered")], {"n1": ((5, 9),)}),
        ([fate(5, "failed"), fate(5, "recovered")], {"n1": ((5, np.inf),)}),
        (
            [fate(1, "failed", "b"), fate(2, "failed", "a"), fate(3, "recovered", "b"), fate(7, "failed", "b")],
            {"a": ((2, np.inf),), "b": ((1, 3), (7, np.inf))},
        ),
    ],
)
def test_fates_become_spans_in_which_a_node_was_down(fates: list[NodeFate], spans: dict[str, Any]) -> None:
    assert down_spans(fates) == spans
