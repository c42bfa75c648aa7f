"""``forestall model show``, ``verify`` and ``compare``: what is said of artefacts, sound and spoiled."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from connectors.artefacts import load_artefact, save_artefact, shipped_artefact
from infra.cli.main import main
from infra.cli.model import compare
from infra.cli.model.compare import fleet_of, verdict
from infra.cli.model.show import bar
from models.mlp import Layer

SHIPPED = load_artefact()


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["model", *words])
    said = capsys.readouterr()
    return code, said.out, said.err


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    code, out, err = call(capsys, *words, "--json")
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    assert code == (0 if found.get("ok", True) else 1)
    return found


@pytest.fixture
def artefact(tmp_path: Path) -> Path:
    path = tmp_path / "mlp.safetensors"
    save_artefact(SHIPPED, path)
    return path


# -- show


def test_the_shipped_one_is_shown_with_its_card(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "show")
    assert found["digest"] == found["card"]["digest"] == SHIPPED.digest
    assert found["card_is_its_own"]
    assert (found["form"], found["widths"][0], found["widths"][-1]) == ("mlp", len(SHIPPED.feature_names), 1)
    assert told(capsys, "show", "eq1")["form"] == "logistic (Eq. 1)"


def test_a_person_sees_data_split_figures_and_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "show")
    for word in (SHIPPED.digest, SHIPPED.provenance["data"], "split", "seed", "calibration", 'accuracy of "never"'):
        assert word in out


def carded(path: Path, **test: Any) -> None:
    about = {"digest": SHIPPED.digest, "parts": {}, "test": test}
    path.with_suffix(".json").write_text(json.dumps(about))


def test_intervals_and_the_calibration_are_drawn(capsys: pytest.CaptureFixture[str], artefact: Path) -> None:
    bins = [
        {"said": 0.1, "came": 0.125, "rows": 4_000},
        {"said": None, "came": None, "rows": 0},
        {"said": 0.9, "came": 0.8, "rows": 60},
    ]
    carded(artefact, auc=0.81, ece=0.0123, ci95={"auc": [0.79, 0.83]}, reliability=bins)
    _, out, _ = call(capsys, "show", str(artefact))
    lines = out.splitlines()
    assert any("ROC AUC" in line and "0.8100 [0.79, 0.83]" in line for line in lines)
    drawn = [line for line in lines if "|" in line and "█" in line and "said" not in line]
    assert [line.split()[:3] for line in drawn] == [["0.100", "0.125", "4,000"], ["0.900", "0.800", "60"]]
    assert drawn[0].endswith(bar(0.1, 0.125))


def test_a_bar_marks_what_was_said_and_fills_what_came() -> None:
    assert bar(0.0, 0.0) == "|"
    assert bar(1.0, 0.5) == "█" * 20 + " " * 20 + "|"
    assert bar(0.25, 0.5) == "█" * 10 + "|" + "█" * 9


def test_an_older_card_has_no_bins_and_says_so(capsys: pytest.CaptureFixture[str], artefact: Path) -> None:
    carded(artefact, auc=0.6)
    assert "no reliability bins" in call(capsys, "show", str(artefact))[1]


def test_without_a_card_the_artefact_speaks_for_itself(capsys: pytest.CaptureFixture[str], artefact: Path) -> None:
    found = told(capsys, "show", str(artefact))
    assert found["card"] is None
    assert not found["card_is_its_own"]
    assert "no card beside it (mlp.json)" in call(capsys, "show", str(artefact))[1]


def test_the_card_of_another_artefact_is_not_believed(capsys: pytest.CaptureFixture[str], artefact: Path) -> None:
    artefact.with_suffix(".json").write_text(json.dumps({"digest": "f" * 64, "test": {"auc": 0.99}}))
    out = call(capsys, "show", str(artefact))[1]
    assert "of another artefact" in out
    assert "0.99" not in out


@pytest.mark.parametrize("content", ["{", "[1]"])
def test_a_card_that_cannot_be_read_is_named(capsys: pytest.CaptureFixture[str], artefact: Path, content: str) -> None:
    artefact.with_suffix(".json").write_text(content)
    code, _, err = call(capsys, "show", str(artefact))
    assert code == 2
    assert "mlp.json" in err


# -- verify


@pytest.mark.parametrize("name", ["default", "eq1"])
def test_the_shipped_ones_are_whole(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert told(capsys, "verify", name)["faults"] == []


@pytest.mark.parametrize("command", ["show", "verify", "activate"])
def test_a_missing_file_is_wrong_use(capsys: pytest.CaptureFixture[str], tmp_path: Path, command: str) -> None:
    code, _, err = call(capsys, command, str(tmp_path / "gone.safetensors"))
    assert code == 2
    assert "gone.safetensors: there is no such file" in err


def test_what_is_no_artefact_is_one_fault(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "text.safetensors"
    path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    [fault] = told(capsys, "verify", str(path))["faults"]
    assert "none of forestall's" in fault
    path.write_text("not at all")
    [fault] = told(capsys, "verify", str(path))["faults"]
    assert "not a readable safetensors file" in fault


def test_every_fault_is_told_at_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "spoiled.safetensors"
    last = SHIPPED.layers[-1]
    weight = last.weight.copy()
    weight[0, 0] = np.nan
    names = (*SHIPPED.feature_names[:-1], "made.up")
    broken = replace(
        SHIPPED, feature_names=names, window=30, horizon_s=-1.0, layers=(*SHIPPED.layers[:-1], Layer(weight, last.bias))
    )
    save_artefact(broken, path)
    faults = told(capsys, "verify", str(path))["faults"]
    for word in ("made.up", "does not compute", "window is 30", "weight.1 holds 1", "horizon is -1.0"):
        assert any(word in fault for fault in faults), word
    out = call(capsys, "verify", str(path))[1]
    assert out.count("FAULT") == len(faults)


def test_a_changed_file_is_told_beside_its_other_faults(capsys: pytest.CaptureFixture[str], artefact: Path) -> None:
    from safetensors import safe_open

    with safe_open(artefact, framework="numpy") as content:
        about = json.loads(content.metadata()["forestall"])
    save_file(load_file(artefact), artefact, {"forestall": json.dumps(about | {"horizon_s": 0.0})})
    faults = told(capsys, "verify", str(artefact))["faults"]
    assert ["digest" in fault for fault in faults] == [True, False]
    assert "horizon is 0.0" in faults[1]


# -- compare


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet of seconds, not of minutes."""
    monkeypatch.setattr(compare, "NODES", 6)
    monkeypatch.setattr(compare, "FLEETS", 2)
    monkeypatch.setattr(compare, "STEPS", 420)
    monkeypatch.setattr(compare.compare, "__defaults__", (420,))


@pytest.mark.usefixtures("small")
def test_two_artefacts_are_compared_on_the_same_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "compare", "default", "eq1", "--seed", "5")
    assert [found[name]["digest"] for name in "ab"] == [SHIPPED.digest, load_artefact(Path("eq1")).digest]
    assert found["fleet"]["rows"] > 1_000
    assert found["fleet"]["nodes"] == 12
    assert set(found["figures"]) == {"usable_recall", "auc", "brier", "ece"}
    assert found["verdict"] in ("a", "b", "cannot tell", "each in something")
    assert found == told(capsys, "compare", "default", "eq1", "--seed", "5")


@pytest.mark.usefixtures("small")
def test_one_against_itself_cannot_be_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = call(capsys, "compare", "default", "default")
    assert out.count("cannot tell") == 4
    assert "keep the one that you have" in out


def test_a_model_of_other_features_is_not_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_artefact(replace(SHIPPED, feature_names=("made.up", *SHIPPED.feature_names[1:])), path)
    code, _, err = call(capsys, "compare", "default", str(path))
    assert code == 2
    assert "made.up" in err


def test_the_fleet_has_the_pace_of_the_horizon() -> None:
    short, long = replace(SHIPPED, horizon_s=120.0), replace(SHIPPED, horizon_s=1_800.0)
    assert fleet_of([short, long], 1).interval_s == 1.0
    assert fleet_of([long, long], 1).interval_s == 60.0


@pytest.mark.parametrize(
    ("better", "expected"),
    [
        ([None, None], "cannot tell"),
        (["a", None], "a"),
        (["b", "b"], "b"),
        (["a", "b"], "each in something"),
    ],
)
def test_the_verdict_follows_what_can_be_told(better: list[str | None], expected: str) -> None:
    assert verdict({str(n): {"better": one} for n, one in enumerate(better)}) == expected


def test_a_seed_below_zero_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(capsys, "compare", "default", "eq1", "--seed", "-1")[0] == 2


def test_no_model_at_all_is_no_choice(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "activate", "none")
    assert code == 2
    assert "--shadow" in err
    assert shipped_artefact().is_file()
