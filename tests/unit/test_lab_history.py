"""``forestall lab history`` from end to end: its figures, its errors, a shape of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fault_logs import fleet_log

from connectors.history_shape import load_history
from experiments.failure_trace.trace import Trace
from infra.cli.main import main


def written(trace: Trace, path: Path) -> Path:
    rows = (f"n{n},{s!r},{e!r}" for n, s, e in zip(trace.node, trace.start.tolist(), trace.end.tolist(), strict=True))
    path.write_text("\n".join(["node,t_start,t_end", *rows]) + "\n")
    return path


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trace = fleet_log(1, nodes=60, days=60, a_day=0.015, relapse=0.45)
    return written(trace, tmp_path_factory.mktemp("logs") / "faults.csv")


def told(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    assert main(["lab", "history", *map(str, words), "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_fleet_whose_repairs_often_fail_is_foretold(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = told(capsys, "--trace", log, "--nodes", 60, "--seeds", 2)
    assert result["nats_per_fault_gain"] > 0
    assert result["lift_top_1pct"] > 3
    assert result["saved_vs_young"] > 0
    assert result["in_sample"] is False
    assert "forward" not in result
    assert result["faults_scored"] == result["faults"] - 1
    assert result["job"] == {"nodes": 54, "spares": 6, "young_interval_s": result["job"]["young_interval_s"]}
    by = {one["name"]: one for one in result["policies"]}
    assert {"young", "young+queue", "young+day-rule", "history-rate", "history-placement", "history"} == set(by)
    assert by["history"]["saved_vs_young"] == result["saved_vs_young"]
    assert all(sum(one["ledger"].values()) == pytest.approx(1.0) for one in result["policies"])


def test_the_same_seed_gives_the_same_bytes(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [told(capsys, "--trace", log, "--nodes", 60, "--seeds", 2, "--seed", 5) for _ in range(2)]
    for one in runs:
        assert one.pop("measured_s") > 0
    assert json.dumps(runs[0]) == json.dumps(runs[1])


def test_a_shape_of_ones_own_says_where_it_was_fitted(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.json"
    made = told(capsys, "--trace", log, "--nodes", 60, "--fit", mine)
    assert made["shape"] == str(mine)
    assert made["regenerate"] == "forestall lab history --trace faults.csv --nodes 60 --fit mine.json"
    assert load_history(mine).provenance["trace"] == made["trace"]
    scored = told(capsys, "--trace", log, "--nodes", 60, "--shape", mine, "--seeds", 2)
    assert scored["in_sample"] is True
    assert 0 < scored["forward"]["faults"] < scored["faults"]
    assert {"nats_per_fault_gain", "lift_top_1pct", "saved_vs_young", "fitted_until_s"} <= scored["forward"].keys()


def test_a_person_is_told_the_same(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.json"
    assert main(["lab", "history", "--trace", str(log), "--nodes", "60", "--fit", str(mine)]) == 0
    assert "score it on a later log" in capsys.readouterr().out
    words = ["--trace", str(log), "--nodes", "60", "--shape", str(mine), "--seeds", "2"]
    assert main(["lab", "history", *words]) == 0
    out = capsys.readouterr().out
    assert "Fitted to its first half only, on the second:" in out
    assert out.count("lift of the top 1 % of node-hours") == 2
    assert "young+day-rule" in out


@pytest.mark.parametrize(
    ("rows", "words", "why"),
    [
        (["a,9,5"], [], ["line 2", "t_end 5 is before t_start 9"]),
        (["a,1,2", "a,3,x"], [], ["line 3", "t_end is 'x'"]),
        (["a,1,2", "b,3,4"], ["--nodes", "1"], ["2 nodes have faults, the fleet has 1"]),
        (["a,1,2", "b,3,4", "c,5,6"], [], ["3 faults show nothing"]),
        (["a,1,2", "b,1,4", "c,1,6", "d,1,6"], [], ["all faults begin at once"]),
        (["a,1,2", "b,3,4", "c,5,6", "d,7,8"], ["--nodes", "9", "--spares", "9"], ["--spares 9", "the fleet has 9"]),
        (["a,1,2", "b,3,4", "c,5,6", "d,7,8"], ["--shape", "/no/such.json"], ["/no/such.json"]),
        (["a,1,2", "b,3,4", "c,5,6", "d,7,8"], ["--shape", "x", "--fit", "y"], ["give one of them"]),
        (["a,1,2", "b,3,4", "c,5,6", "d,7,8"], ["--fit", "/no/such/mine.json"], ["/no/such/mine.json"]),
        (["a,1,2", "b,3,4", "c,5,6", "d,7,8"], ["--profile", "llama3-16k-ampel"], ["llama3-16k-ample"]),
    ],
)
def test_wrong_use_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[str], words: list[str], why: list[str]
) -> None:
    path = tmp_path / "faults.csv"
    path.write_text("\n".join(["node,t_start,t_end", *rows]) + "\n")
    assert main(["lab", "history", "--trace", str(path), *words]) == 2
    message = capsys.readouterr().err
    assert all(part in message for part in why), message


def test_a_log_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "history", "--trace", str(tmp_path / "none.csv")]) == 2
    assert "none.csv: cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--spares", "-1"], ["--nodes", "0"], ["--seeds", "1"], ["--seed", "x"], []])
def test_an_option_that_cannot_be_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    needed = ["--trace", "faults.csv"] if words else []
    with pytest.raises(SystemExit) as ended:
        main(["lab", "history", *needed, *words])
    assert ended.value.code == 2
    assert (words[0] if words else "--trace") in capsys.readouterr().err
