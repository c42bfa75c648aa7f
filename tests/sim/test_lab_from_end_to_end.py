"""forestall lab compare and pool with the real simulator, on a cluster small enough to simulate at once."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.policy_lab import POLICIES
from infra.cli.main import main

PROFILE = """\
nodes = 64
mtbf_s = 7200.0
cost_s = 10.0
days = 4
spares = 2
repair_median_s = 3600.0
"""


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Undo what ``main`` does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def profile(tmp_path: Path) -> str:
    path = tmp_path / "mine.toml"
    path.write_text(PROFILE)
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["lab", *words, "--json"]) == 0
    out: dict[str, Any] = json.loads(capsys.readouterr().out)
    return out


def test_policies_on_a_cluster_of_ones_own(profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = told(capsys, "compare", "--profile", profile, "--seeds", "6", "--report", str(tmp_path / "out"))
    assert [row["name"] for row in first["policies"]] == list(POLICIES)
    assert first["profile"] == "mine"
    assert first["goals"] == {}
    for row in first["policies"]:
        assert sum(row["ledger"].values()) == pytest.approx(4 * 86_400.0, abs=0.1)
        assert 0.0 < row["waste"] < 1.0
        assert row["counts"]["failures"] > 0
    by_name = {row["name"]: row for row in first["policies"]}
    assert by_name["oracle"]["saved_vs_young"] > by_name["hazard+break-even"]["saved_vs_young"] > 0
    assert by_name["none"]["saved_vs_young"] < 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert all(name in page for name in POLICIES)


def test_the_same_seed_gives_the_same_bytes(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("compare", "--profile", profile, "--seeds", "4", "--policies", "hazard+break-even,best-fixed,elastic")
    first, again, other = (told(capsys, *words, "--seed", seed) for seed in ("3", "3", "4"))
    assert set(first.pop("measured_s")) == set(again.pop("measured_s"))
    assert first == again
    assert first["policies"] != other["policies"]


def test_a_real_trace_in_the_place_of_failures(
    profile: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faults = [f"n{k % 7},{k * 9_000 + 100 * (k % 3)},{k * 9_000 + 4_000}" for k in range(60)]
    trace = tmp_path / "faults.csv"
    trace.write_text("\n".join(["node,t_start,t_end", *faults]))
    out = told(capsys, "compare", "--profile", profile, "--trace", str(trace), "--nodes", "10", "--seeds", "3")
    young = next(row for row in out["policies"] if row["name"] == "young")
    assert young["counts"]["failures"] == pytest.approx(59, abs=3)
    assert young["noise"] == 0.0
    assert out["wall_s"] == pytest.approx(59 * 9_000 + 200, abs=300)


def test_a_larger_pool_loses_less_of_the_time(profile: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = told(capsys, "pool", "--profile", profile, "--seeds", "4")["rows"]
    assert rows[0]["lost"] > rows[8]["lost"]
    assert rows[32]["idle_gpu_hours_a_day"] == 32 * 8 * 24
