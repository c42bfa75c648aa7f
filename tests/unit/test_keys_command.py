"""``forestall keys``, and who needs keys to start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.cli.main import main
from infra.keys import key_files, keys_of_run, ready_keys
from infra.settings import load
from infra.wiring import command_sealer, keyring_of

NOW = 1_763_942_400.0


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without keys."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "forestall"


def keys(*words: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert main(["keys", *words, "--json"]) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    return result


def uses(result: dict[str, Any]) -> list[tuple[str, str | None]]:
    return [(key["state"], key["use"]) for key in result["keys"]]


def test_a_life_of_keys(capsys: pytest.CaptureFixture[str], own_place: Path) -> None:
    first = keys("new", "--comment", "rack 7", capsys=capsys)
    assert uses(first) == [("live", "signs")]
    assert first["keys"][0]["comment"] == "rack 7"
    assert first["keyring"] == str(own_place / "keys" / "keyring.json")
    assert uses(keys("rotate", capsys=capsys)) == [("live", "signs"), ("live", "next")]
    assert uses(keys("rotate", "--switch", capsys=capsys)) == [("live", None), ("live", "signs")]
    assert uses(keys("revoke", first["id"], capsys=capsys)) == [("revoked", None), ("live", "signs")]
    listed = keys("list", capsys=capsys)
    assert uses(listed) == [("revoked", None), ("live", "signs")]
    assert "private" not in json.dumps(listed).lower()
    assert main(["keys", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"{first['id']}  revoked -      revoked 20")
    assert lines[2].split()[1:3] == ["live", "signs"]


@pytest.mark.parametrize("words", [["list"], ["rotate"], ["rotate", "--switch"], ["revoke", "abc"]])
def test_without_keys_each_command_says_what_makes_them(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", *words]) == 2
    assert "forestall keys" in capsys.readouterr().err


def test_new_refuses_to_overwrite(capsys: pytest.CaptureFixture[str]) -> None:
    keys("new", capsys=capsys)
    assert main(["keys", "new"]) == 2
    assert "is there already" in capsys.readouterr().err


def test_each_step_says_what_is_next(capsys: pytest.CaptureFixture[str]) -> None:
    for words, next_step in (
        (["new"], "copy the keyring to each machine"),
        (["rotate"], "copy the keyring to every cluster agent, then: forestall keys rotate --switch"),
        (["rotate", "--switch"], "forestall keys revoke ID"),
    ):
        assert main(["keys", *words]) == 0
        assert next_step in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "key", "keyring"),
    [
        ("made", "made/signing.key", "made/keyring.json"),
        ("made/worker.pem", "made/worker.pem", "made/keyring.json"),
        ("folder.d", "folder.d/signing.key", "folder.d/keyring.json"),
    ],
)
def test_the_setting_names_a_file_or_a_folder(tmp_path: Path, given: str, key: str, keyring: str) -> None:
    (tmp_path / "folder.d").mkdir()
    files = key_files(load(None, [f"signing.key={tmp_path / given}"]))
    assert (files.key, files.keyring) == (tmp_path / key, tmp_path / keyring)


def test_the_keyring_may_lie_elsewhere(tmp_path: Path, own_place: Path) -> None:
    files = key_files(load(None, [f"signing.keyring={tmp_path / 'ring.json'}"]))
    assert (files.key, files.keyring) == (own_place / "keys" / "signing.key", tmp_path / "ring.json")


def test_a_worker_that_only_observes_needs_no_key() -> None:
    assert command_sealer(load(None)) is None


@pytest.mark.parametrize("level", ["checkpoint", "quarantine", "migrate"])
def test_a_worker_that_acts_does_not_start_without_a_key(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worker", "--brokers", "127.0.0.1:1", "--set", f"policy.level={level}"]) == 2, "before the broker"
    assert "forestall keys new" in capsys.readouterr().err


def test_a_run_with_keys_of_your_own_that_are_not_there_does_not_begin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "--set", f"signing.key={tmp_path / 'none'}", "--for", "1s"]) == 2
    assert "forestall keys new" in capsys.readouterr().err


def test_a_worker_that_acts_starts_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    made = keys("new", capsys=capsys)
    settings = load(None, ["policy.level=migrate"])
    sealer = command_sealer(settings)
    assert sealer is not None
    assert sealer.key_id == made["id"]
    assert made["id"] in keyring_of(settings, print).keys()  # noqa: SIM118 (it is no mapping)


def test_a_run_has_keys_of_its_own_and_keeps_them(tmp_path: Path) -> None:
    settings = load(None, [f"broker.directory={tmp_path}"])
    first = ready_keys(settings, "a-run", NOW)
    assert first == keys_of_run(settings, "a-run")
    assert first.key.is_relative_to(tmp_path / "runs" / "a-run")
    before = first.key.read_bytes()
    assert ready_keys(settings, "a-run", NOW).key.read_bytes() == before
    assert ready_keys(settings, "another", NOW).key.read_bytes() != before


def test_a_run_on_your_own_brokers_goes_on_with_the_same_keys(own_place: Path) -> None:
    files = ready_keys(load(None), None, NOW)
    assert files.key == own_place / "up" / "keys" / "signing.key"
    assert ready_keys(load(None), None, NOW) == files


def test_a_run_signs_with_the_keys_that_the_settings_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ["--set", f"signing.key={tmp_path / 'mine'}"]
    keys("new", *named, capsys=capsys)
    files = ready_keys(load(None, [named[1]]), "a-run", NOW)
    assert files.key == tmp_path / "mine" / "signing.key"
