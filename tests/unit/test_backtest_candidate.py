"""Which policy is tried: what the log was decided with, a file over it, and what was set on purpose over both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.errors import WrongUse
from infra.backtest.candidate import candidate_incidents, candidate_policy, changed
from infra.cli.options import instant
from infra.settings import load
from infra.shadow_policies import candidates, names_of, require_candidates, shadow_policies
from models.incident import IncidentSettings
from models.policy_settings import PolicySettings

KEPT = PolicySettings(level="migrate", migration_s=5.0, alpha=0.03)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_it_is_what_the_log_was_decided_with() -> None:
    assert candidate_policy(KEPT, None, load(None)) == KEPT
    assert changed(KEPT, KEPT) == {}


def test_a_file_goes_over_it_and_what_is_set_over_both(tmp_path: Path) -> None:
    file = write(tmp_path / "c.toml", '[policy]\ncheckpoint = "paper"\nalpha = 0.2\n[brakes]\nstorm_incidents = 9\n')
    settings = load(None, ["policy.alpha=0.5", "policy.level=migrate"])
    policy = candidate_policy(KEPT, file, settings)
    assert policy == replace(KEPT, checkpoint="paper", alpha=0.5, storm_incidents=9)
    assert changed(KEPT, policy) == {
        "checkpoint": ["hazard", "paper"],
        "alpha": [0.03, 0.5],
        "storm_incidents": [5, 9],
    }


def test_what_is_set_to_its_default_on_purpose_counts() -> None:
    assert candidate_policy(KEPT, None, load(None, ["policy.migration_s=140"])).migration_s == 140.0


def test_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTALL_POLICY__CHECKPOINT", "daly")
    assert candidate_policy(KEPT, None, load(None)).checkpoint == "daly"


def test_incidents_open_by_the_candidates_theta() -> None:
    kept = IncidentSettings(theta=0.5, open_frames=4)
    found = candidate_incidents(kept, replace(KEPT, theta=0.7), load(None, ["incident.close_frames=7"]))
    assert found == IncidentSettings(theta=0.7, open_frames=4, close_frames=7)


def test_every_fault_of_a_file_is_told(tmp_path: Path) -> None:
    text = '[policy]\ncheckpont = "paper"\nalpha = -1\n[brakes]\nstorm_incidents = "many"\n[web]\nport = 1\n'
    with pytest.raises(WrongUse) as told:
        candidate_policy(KEPT, write(tmp_path / "c.toml", text))
    for part in ("c.toml", "checkpoint", "alpha", "storm_incidents", "[web]", "4 faults"):
        assert part in str(told.value)


@pytest.mark.parametrize(
    ("text", "said"), [("[policy", "not valid TOML"), (None, "cannot be read"), ("policy = 3", "[policy]")]
)
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "c.toml"
    if text is not None:
        write(file, text)
    with pytest.raises(WrongUse) as told:
        candidate_policy(KEPT, file)
    assert said in str(told.value)


@pytest.mark.parametrize(
    ("text", "at"),
    [("2026-11-24T10:00:00Z", 1795514400.0), ("2026-11-24 11:00:00+01:00", 1795514400.0), ("2026-11-24", 1795478400.0)],
)
def test_a_time_is_read(text: str, at: float) -> None:
    assert instant(text) == at


def test_shadows_are_named_by_policy_or_file(tmp_path: Path) -> None:
    file = write(tmp_path / "bold.toml", '[policy]\nlevel = "migrate"\n')
    settings = load(None, [f"shadow.policies= paper, {file},young"])
    assert names_of(settings) == ("paper", str(file), "young")
    found = candidates(settings, PolicySettings(level="observe"))
    assert found == {
        "paper": PolicySettings(level="checkpoint", checkpoint="paper"),
        "bold": PolicySettings(level="migrate"),
        "young": PolicySettings(level="checkpoint", checkpoint="young"),
    }
    assert candidates(settings, KEPT)["paper"] == replace(KEPT, checkpoint="paper")


def test_no_shadow_is_no_fold() -> None:
    assert shadow_policies(load(None)) is None
    assert shadow_policies(load(None, ["shadow.policies=paper"])) is not None


def test_every_fault_of_every_shadow_is_told_at_the_start(tmp_path: Path) -> None:
    one = write(tmp_path / "one.toml", "[policy]\nalpha = -1\n[brakes]\nwarm_up_s = -1\n")
    with pytest.raises(WrongUse) as told:
        require_candidates(load(None, [f"shadow.policies=peper,{one},young,young"]))
    for part in ("'peper' is no file", "alpha", "warm_up_s", "'young'", "one.toml"):
        assert part in str(told.value)
