"""Settings: which layer wins, and that every fault is told with its place, its value and what would be right."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.errors import WrongUse
from infra.settings import Settings, assignments, load


def written(folder: Path, text: str) -> Path:
    path = folder / "forestall.toml"
    path.write_text(text, encoding="utf-8")
    return path


def fault_of(config: Path | None, texts: list[str] | None = None, brokers: str | None = None) -> str:
    with pytest.raises(WrongUse) as caught:
        load(config, texts or [], brokers)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_without_any_layer_the_defaults_hold() -> None:
    settings = load(None)
    assert settings == Settings()
    assert settings.policy.level == "observe"
    assert settings.broker.brokers == ""


def test_a_later_layer_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = written(tmp_path, '[policy]\ntheta = 0.1\neta = 0.1\nalpha = 0.1\n[broker]\nbrokers = "file:1"\n')
    monkeypatch.setenv("FORESTALL_POLICY__ETA", "0.2")
    monkeypatch.setenv("FORESTALL_POLICY__ALPHA", "0.2")
    settings = load(config, ["policy.alpha=0.3", "policy.alpha=0.4", "broker.brokers=set:1"], "option:1")
    assert (settings.policy.theta, settings.policy.eta, settings.policy.alpha) == (0.1, 0.2, 0.4)
    assert settings.broker.brokers == "option:1"


def test_three_faults_in_one_file_are_all_told(tmp_path: Path) -> None:
    config = written(tmp_path, '[policy]\ncheckpoint = "yuong"\n[broker]\nport = "many"\n[nosuchsection]\nx = 1\n')
    lines = fault_of(config).splitlines()
    assert lines[0] == "the settings have 3 faults"
    (checkpoint,) = [line for line in lines if "policy.checkpoint" in line]
    assert all(part in checkpoint for part in ('"yuong"', '"hazard" or "young" or "daly" or "paper"', str(config)))
    (port,) = [line for line in lines if "broker.port" in line]
    assert all(part in port for part in ('"many"', "a whole number", "65535"))
    (section,) = [line for line in lines if "nosuchsection" in line]
    assert "there is no section" in section
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("policy.levle=migrate", ["policy.levle", "no key 'levle'", "did you mean 'level'"]),
        ("polcy.level=migrate", ["no section [polcy]", "did you mean 'policy'"]),
        ("policy.zzz=1", ["no key 'zzz'", "there are: checkpoint"]),
        ("policy.theta=1.5", ["policy.theta", '"1.5"', "at most 1"]),
        ("policy.theta=nan", ["policy.theta", '"nan"']),
        ("telemetry.interval_s=0", ["telemetry.interval_s", "above 0"]),
        ("topics.partitions=0", ["topics.partitions", "at least 1"]),
        ("worker.group=", ["worker.group", "not empty"]),
        ("broker.brokers=a:1,", ["broker.brokers", "HOST:PORT"]),
        ("broker.brokers=nowhere", ["broker.brokers", '"nowhere"', "HOST:PORT"]),
        ("policy.level", ["section.key=value"]),
        ("level=migrate", ["section.key=value"]),
    ],
)
def test_a_wrong_assignment_is_told_with_what_is_allowed(text: str, words: list[str]) -> None:
    told = fault_of(None, [text])
    for word in [*words, text]:
        assert word in told


def test_faults_of_different_layers_are_told_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTALL_WEB__PORT", "http")
    told = fault_of(written(tmp_path, "[policy]\neta = 2\n"), ["worker.ticks=never"], "nowhere")
    assert "4 faults" in told
    for origin in ("forestall.toml", "FORESTALL_WEB__PORT", "--set worker.ticks=never", "--brokers"):
        assert f"({origin}" in told or f"{origin})" in told


def test_an_unknown_name_in_the_environment_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTALL_BROKER__PROT", "1")
    assert "did you mean 'port'" in fault_of(None)


def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORESTALL_SOCKET", "/tmp/rank.sock")
    assert load(None) == Settings()


def test_broken_toml_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('[web]\nport = 1\n[policy\nlevel = "migrate"\n')
    told = fault_of(path)
    assert str(path) in told
    assert "line 3" in told


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert str(tmp_path / "none.toml") in fault_of(tmp_path / "none.toml")


def test_a_key_outside_a_section_is_told(tmp_path: Path) -> None:
    assert "[policy] is a section of keys: checkpoint" in fault_of(written(tmp_path, "policy = 1\n"))
    assert "no section [level]" in fault_of(written(tmp_path, 'level = "migrate"\n'))


def test_an_empty_section_that_does_not_exist_is_told(tmp_path: Path) -> None:
    assert "no section [nosuch]" in fault_of(written(tmp_path, "[nosuch]\n"))
    assert load(written(tmp_path, "[policy]\n")) == Settings()


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValidationError):
        load(None).policy.level = "migrate"  # type: ignore[misc]


def test_what_is_handed_to_a_child_gives_the_same_settings(tmp_path: Path) -> None:
    config = written(tmp_path, f'[policy]\nlevel = "migrate"\ntheta = 0.25\n[broker]\ndirectory = "{tmp_path}"\n')
    settings = load(config, ["topics.partitions=7"], "a:1,b:2")
    assert load(None, assignments(settings)) == settings
    assert assignments(Settings()) == []


@pytest.mark.parametrize("brokers", ["kafka-1:9092", "a:1,b.example.org:65535", "[::1]:9092,127.0.0.1:9093"])
def test_brokers_are_addresses_with_a_port(brokers: str) -> None:
    assert load(None, [], brokers).broker.brokers == brokers
