"""What a stranger meets first: pinned dependencies, the targets of make, and an installer that says what it lacks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from infra.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()


def make(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["make", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_pinned_by_name_and_version() -> None:
    assert all(re.fullmatch(r"[a-z0-9-]+==[A-Za-z0-9.+!]+", pin) for pin in PINS)
    pinned = {pin.partition("==")[0] for pin in PINS}
    wanted = [
        *PROJECT["dependencies"],
        *(name for extra in PROJECT["optional-dependencies"].values() for name in extra),
    ]
    assert {canonical(name) for name in wanted} - pinned == {"forestall-client"}


def test_make_help_tells_every_target() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    told = make("-s", "help").stdout
    for target in phony[1].split():
        assert f"make {target} " in told


@pytest.mark.parametrize(("target", "command"), [("test", "pytest"), ("run", "forestall up"), ("bench", "benchmarks")])
def test_each_target_runs_its_command_from_the_environment(target: str, command: str) -> None:
    planned = make("-n", target).stdout
    (line,) = [line for line in planned.splitlines() if command in line]
    assert line.startswith(".venv/bin/")


def test_ci_runs_what_make_check_runs() -> None:
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("make check")
    test_command = make("-n", "test", "ARGS=").stdout.splitlines()[-1].strip()
    assert test_command in make("-n", "check").stdout


def test_check_leaves_out_no_room_of_the_tests() -> None:
    checked = re.findall(r"tests/(\w+)", make("-n", "pure", "real", "faults").stdout)
    rooms = sorted(path.name for path in (ROOT / "tests").iterdir() if list(path.glob("test_*.py")))
    assert sorted(checked) == rooms


def test_the_installer_says_what_it_lacks(tmp_path: Path) -> None:
    tree = tmp_path / "clone"
    (tree / "infra" / "deploy").mkdir(parents=True)
    shutil.copy(ROOT / "infra" / "deploy" / "install.sh", tree / "infra" / "deploy")
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "dirname"):
        os.symlink(shutil.which(name) or name, tools / name)
    done = subprocess.run(
        ["sh", str(tree / "infra" / "deploy" / "install.sh"), "web"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tools), "PYTHON": "python-of-nowhere"},
    )
    assert done.returncode != 0
    assert "3.11 or newer" in done.stderr
    assert "python-of-nowhere" in done.stderr
    assert not (tree / ".venv").exists()


def test_the_compose_file_starts_commands_that_exist() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    started = re.findall(r'command: (?:\[")?([a-z]+)', text)
    assert {"worker", "agent", "web", "topics"} <= set(started) <= set(COMMANDS)
    assert all(port.startswith('"127.0.0.1:') for port in re.findall(r"ports: \[(.*)\]", text))


def test_the_licence_is_the_one_that_is_declared() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")[:200]
