"""forestall lab compare, goals, pool, experiment: one JSON object, the same bytes, and wrong input named to the key."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import runs_of

import connectors.artefacts as artefacts
import experiments.policy_lab as policy_lab
from experiments.failure_trace.trace import Trace
from experiments.policy_lab.cases import CASES, Case
from experiments.policy_lab.names import KNOWS_TRUTH, POLICIES
from experiments.policy_lab.profile import Profile
from experiments.policy_lab.runs import Runs
from experiments.seed import watching
from infra.cli.main import main


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Undo what ``main`` does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Profile, Case, tuple[str, ...], Trace | None]]:
    """A simulator in place of the real one, which notes what it was asked: later policies waste less."""
    asked: list[tuple[Profile, Case, tuple[str, ...], Trace | None]] = []

    def simulate(
        profile: Profile,
        case: Case,
        policies: Sequence[str],
        seeds: Sequence[int],
        *,
        trace: Trace | None = None,
        settings: object = None,
        progress: Callable[[int], None] | None = None,
    ) -> Runs:
        asked.append((profile, case, tuple(policies), trace))
        common = np.array([0.1 + 0.01 * np.random.default_rng(seed).random() for seed in seeds])
        if progress is not None:
            progress(len(policies) * len(seeds))
        scale = {name: 1.0 if name == "young" else 0.9 - 0.01 * len(name) for name in policies}
        return runs_of({name: each * common**1.1 for name, each in scale.items()})

    monkeypatch.setattr(policy_lab, "simulate", simulate)
    return asked


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["lab", *words, "--json"]) == 0
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a wrong use is told; nothing stands on stdout."""
    try:
        code = main(["lab", *words])
    except SystemExit as ended:
        code = int(str(ended.code))
    seen = capsys.readouterr()
    assert code == 2
    assert seen.out == ""
    return seen.err


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_compare_tells_every_policy_with_its_interval_and_ledger(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "compare", "--profile", "small-256", "--seeds", "5")
    assert [row["name"] for row in out["policies"]] == list(POLICIES)
    assert (out["profile"], out["case"], out["seeds"], out["seed"]) == ("small-256", "honest", 5, 1)
    for row in out["policies"]:
        assert sum(row["ledger"].values()) == pytest.approx(out["wall_s"], rel=1e-6)
        assert row["ci95"][0] <= row["saved_vs_young"] <= row["ci95"][1]
    assert out["goals"]["G5"]["complete"]
    assert set(out["measured_s"]) == {"simulating"}


def test_young_is_simulated_but_not_told_where_others_are_named(
    capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    out = told(capsys, "compare", "--policies", "daly, hazard,daly", "--seeds", "3")
    assert [row["name"] for row in out["policies"]] == ["daly", "hazard"]
    assert asked[0][2] == ("young", "daly", "hazard")
    assert out["policies"][0]["saved_vs_young"] > 0


def test_young_is_told_where_it_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "compare", "--policies", "young,daly", "--seeds", "3")
    assert out["policies"][0]["name"] == "young"
    assert out["policies"][0]["ci95"] == [0.0, 0.0]


def test_the_case_and_the_seeds_reach_the_simulator(capsys: pytest.CaptureFixture[str], asked: list[Any]) -> None:
    out = told(capsys, "compare", "--profile", "small-256", "--case", "fa10", "--policies", "hazard+break-even")
    assert asked[0][1] is CASES["fa10"]
    [part] = out["goals"]["G4"]["parts"]
    assert part["what"].startswith("small-256, fa10")


def test_the_same_seed_gives_the_same_bytes_but_for_measured_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    first, again, other = (told(capsys, "compare", "--seeds", "4", "--seed", seed) for seed in ("7", "7", "8"))
    for out in (first, again, other):
        del out["measured_s"]
    assert first == again
    assert first["policies"] != other["policies"]


def test_a_trace_stands_in_the_place_of_failures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    path = write(tmp_path / "faults.csv", "node,t_start,t_end,class\na,0,50,GPU\na,40,60,GPU\nb,70,70,NIC\n")
    out = told(capsys, "compare", "--profile", "llama3-16k-ample", "--trace", path, "--nodes", "9", "--seeds", "3")
    assert asked[0][3].nodes == 9
    assert out["trace"] == {"file": path, "nodes": 9, "merged": 1}
    assert "seeds vary the predictor only" in out["about"]
    assert list(out["goals"]) == ["G2"]


def test_a_report_is_written_with_the_command_that_made_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "compare", "--seeds", "3", "--policies", "young,daly", "--report", str(tmp_path / "out"))
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert out["command"] in page
    assert json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8")) == out


def test_people_read_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "compare", "--profile", "llama3-16k-ample", "--seeds", "3"]) == 0
    out = capsys.readouterr().out
    assert "hazard+break-even" in out
    assert "G1: " in out
    assert "{" not in out


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--profile", "smal-256"], ["--profile smal-256", "did you mean 'small-256'"]),
        (["--profile", "moon"], ["--profile moon", "llama3-16k-ample"]),
        (["--profile", "no/such.toml"], ["no/such.toml"]),
        (["--case", "honset"], ["--case honset", "did you mean 'honest'"]),
        (["--policies", "young,dayl"], ["--policies dayl", "did you mean 'daly'"]),
        (["--seeds", "1"], ["--seeds", "an interval needs two"]),
        (["--seed", "-1"], ["--seed"]),
        (["--trace", "/no/such/trace.csv"], ["/no/such/trace.csv"]),
    ],
)
def test_wrong_words_are_named_with_what_was_meant(
    words: list[str], named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "compare", *words)
    for each in named:
        assert each in said


def test_reversed_times_are_named_by_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "faults.csv", "node,t_start,t_end\na,0,50\nb,70,60\n")
    said = refused(capsys, "compare", "--trace", path)
    assert f"{path}, line 3" in said


def test_a_trace_without_time_between_its_faults_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "faults.csv", "node,t_start,t_end\na,5,50\nb,5,60\n")
    assert path in refused(capsys, "compare", "--trace", path)


def test_a_negative_cost_is_named_by_file_and_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "mine.toml", "nodes = 4\nmtbf_s = 1000.0\ncost_s = -5.0\nspars = 1\n")
    said = refused(capsys, "compare", "--profile", path)
    for word in (path, "cost_s", "-5", "spars"):
        assert word in said


def test_a_report_in_the_place_of_a_file_is_refused_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    path = write(tmp_path / "file", "")
    assert path in refused(capsys, "compare", "--report", path)
    assert asked == []


def test_goals_ask_for_every_place_and_tell_every_goal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    path = write(tmp_path / "faults.csv", "node,t_start,t_end\na,0,50\nb,70,70\n")
    out = told(capsys, "goals", "--short", "--trace", path)
    assert list(out["goals"]) == ["G1", "G2", "G3", "G4", "G5", "G6", "G7"]
    assert all(goal["complete"] for goal in out["goals"].values())
    assert {len(out["goals"][name].get("parts", [1])) for name in ("G3", "G5", "G6", "G7")} == {1}
    for goal in out["goals"].values():
        parts = goal.get("parts", [goal])
        assert min(part["value"] - part["bar"] for part in parts) == pytest.approx(goal["value"] - goal["bar"])
        assert goal["met"] == all(part["value"] >= part["bar"] for part in parts)
    assert {case.name for _, case, policies, _ in asked if KNOWS_TRUTH in policies} == set(CASES)
    assert len(out["goals"]["G4"]["beside"]) == 18
    assert [trace is not None for _, _, _, trace in asked].count(True) == 1


def test_goals_without_a_trace_leave_the_goal_of_the_trace_out(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "goals", "--short")
    assert "G2" not in out["goals"]
    assert out["trace"] is None


def test_pool_asks_for_every_size_and_recommends_one(capsys: pytest.CaptureFixture[str], asked: list[Any]) -> None:
    out = told(capsys, "pool", "--profile", "small-256", "--seeds", "3")
    assert [row["spares"] for row in out["rows"]] == list(range(33))
    assert [profile.spares for profile, *_ in asked] == list(range(33))
    assert out["recommended"] == 0  # this simulator wastes the same whatever the pool
    assert out["recommended"] in out["as_good"]


def test_pool_for_several_failures_at_once_wants_more_spares(
    capsys: pytest.CaptureFixture[str], asked: list[Any]
) -> None:
    chosen = []
    for together in ("1", "3"):
        out = told(capsys, "pool", "--profile", "small-256", "--seeds", "5", "--concurrent", together)
        chosen.append(out["recommended"])
        assert out["policy"] is None
    assert chosen[0] < chosen[1]
    assert asked == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--policy", "yuong"], "did you mean 'young'"),
        (["--concurrent", "0"], "--concurrent"),
        (["--concurrent", "17"], "1 to 16"),
    ],
)
def test_pool_names_what_is_wrong(words: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert named in refused(capsys, "pool", *words)


def test_a_job_of_fewer_nodes_than_fail_at_once_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "tiny.toml", "nodes = 2\nmtbf_s = 1000.0\ncost_s = 5.0\n")
    assert "has 2 nodes" in refused(capsys, "pool", "--profile", path, "--concurrent", "3")


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fleet that is watched in no time, whatever the shipped predictor reads."""
    monkeypatch.setattr(watching, "watch", watched)
    monkeypatch.setattr(artefacts, "require_features", lambda *_: None)


def watched(*_: object) -> watching.Watched:
    node, step = (grid.ravel() for grid in np.meshgrid(np.arange(8), np.arange(200), indexing="ij"))
    failures = [(row, 150) for row in range(4)]
    probability = np.where((node < 4) & (step >= 120), 0.9, 0.02)
    return watching.Watched(probability, watching.label(node, step, failures, 30), 30, 60.0, 0.5)


@pytest.mark.usefixtures("fleet")
@pytest.mark.parametrize(("number", "rows"), [("1", 5), ("2", 6), ("3", 18)])
def test_experiments_tell_rows_and_claims_and_repeat_themselves(
    number: str, rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = (told(capsys, "experiment", number, "--seed", "7") for _ in range(2))
    assert set(first.pop("measured_s")) >= {"all"}
    del again["measured_s"]
    assert first == again
    assert (first["experiment"], len(first["rows"])) == (int(number), rows)
    assert first["claims"]
    for claim in first["claims"]:
        assert set(claim) == {"claim", "paper", "measured", "holds", "reason"}


@pytest.mark.usefixtures("fleet")
def test_experiments_speak_to_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "experiment", "1"]) == 0
    out = capsys.readouterr().out
    assert "eq2+6-literal-min" in out
    assert "nobody can say" in out
    assert "does not hold" in out or ": holds" in out


def test_a_predictor_of_other_features_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.features.FEATURE_NAMES", ("ecc.last", "link.last"))
    said = refused(capsys, "experiment", "1")
    assert "does not fit" in said
    assert "train it anew" in said


def test_there_is_no_fourth_experiment(capsys: pytest.CaptureFixture[str]) -> None:
    assert "4" in refused(capsys, "experiment", "4")


def test_a_missing_library_of_the_lab_is_told_with_its_cure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> Runs:
        raise ModuleNotFoundError("No module named 'numba'", name="numba")

    monkeypatch.setattr(policy_lab, "simulate", missing)
    assert main(["lab", "compare", "--seeds", "2"]) == 1
    said = capsys.readouterr().err
    assert "the lab needs numba" in said
    assert "install.sh web,lab" in said
