"""The command line's own manners: the table, wrong words, the exit codes, and nothing but the result on stdout."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from connectors.errors import Failed, ForestallError, Unreachable, WrongUse
from infra.cli import main as command_line
from infra.cli.main import COMMANDS, main
from infra.cli.options import duration, report
from infra.settings import Settings


@pytest.fixture(autouse=True)
def same_signals() -> Iterator[None]:
    """Undo what ``main`` does to SIGTERM."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def with_command(monkeypatch: pytest.MonkeyPatch, outcome: object) -> None:
    """Have ``doctor`` return or raise ``outcome``."""

    def run(options: argparse.Namespace, settings: Settings) -> int:
        if isinstance(outcome, BaseException):
            raise outcome
        report(options, {"level": settings.policy.level}, [f"level {settings.policy.level}"])
        return int(str(outcome))

    module = SimpleNamespace(configure=lambda parser: None, run=run)
    monkeypatch.setattr(command_line, "_module", lambda name: module)


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command_and_teaches_by_example(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    told = capsys.readouterr().out
    for name, (_, purpose) in COMMANDS.items():
        assert f"  {name}" in told
        assert purpose in told
    assert "forestall up" in told
    assert "exit codes" in told


def test_help_imports_no_library() -> None:
    code = "import sys; from infra.cli.main import main; main(['--help']); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for heavy in ("argparse", "pydantic", "kafka", "confluent_kafka", "numpy", "faust", "aiohttp"):
        assert f"'{heavy}'" not in done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("forestall 0.")


@pytest.mark.parametrize(
    ("word", "hint"), [("nosuchcommand", "--help"), ("dcotor", "'doctor'"), ("--json", "after a command")]
)
def test_a_word_that_is_no_command_is_named(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 2
    told = capsys.readouterr()
    assert word in told.err
    assert hint in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("fault", "code"),
    [(WrongUse("w"), 2), (Unreachable("u"), 3), (Failed("f"), 1), (ForestallError("e"), 1), (KeyboardInterrupt(), 130)],
)
def test_each_error_has_its_exit_code_and_no_traceback(
    fault: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_command(monkeypatch, fault)
    assert main(["doctor", "--json"]) == code
    told = capsys.readouterr()
    assert told.err.startswith("forestall: ")
    assert "Traceback" not in told.err
    assert told.out == ""


def test_a_fault_of_the_code_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with_command(monkeypatch, ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        main(["doctor"])


def test_being_told_to_end_unwinds_what_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    undone = []

    def run(options: argparse.Namespace, settings: Settings) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            undone.append("broker")
        return 0

    monkeypatch.setattr(command_line, "_module", lambda name: SimpleNamespace(configure=lambda parser: None, run=run))
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    assert ended.value.code == 128 + signal.SIGTERM
    assert undone == ["broker"]


def test_the_common_options_reach_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_command(monkeypatch, 0)
    assert main(["doctor", "--set", "policy.level=migrate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"level": "migrate"}
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out == "level observe\n"


def test_a_faulty_settings_file_ends_a_command_before_it_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with_command(monkeypatch, 0)
    assert main(["doctor", "--set", "policy.level=everything"]) == 2
    assert '"everything"' in capsys.readouterr().err


@pytest.mark.parametrize(("text", "seconds"), [("60s", 60), ("5m", 300), ("2h", 7200), ("250ms", 0.25), ("90", 90)])
def test_a_duration(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "0s", "-5s", "soon", "5 parsecs", "1e3s"])
def test_what_is_no_duration_is_told(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="60s"):
        duration(text)


def test_a_result_is_one_json_object_even_with_paths_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    report(argparse.Namespace(json=True), {"a": 1, "error": Failed("x")}, ["not shown"])
    assert json.loads(capsys.readouterr().out) == {"a": 1, "error": "x"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        report(argparse.Namespace(json=True), {"a": float("nan")}, [])
