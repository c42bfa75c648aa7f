"""Each command of the tutorial is one, with options that it takes; and the index names every page of its kinds."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
from pathlib import Path

import pytest

from infra.cli.main import COMMANDS as TOP
from infra.cli.options import add_common, settings_of

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIAL = (DOCS / "tutorial.md").read_text(encoding="utf-8")
LINES = [
    line.strip()
    for block in re.findall(r"^```sh\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.strip() and not line.lstrip().startswith("#")
]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
SHELL = {"alias", "kill", "cat", "export", "mkdir", "curl", "jq"}


def parsed(line: str) -> argparse.Namespace:
    """What ``forestall`` would run, by the parser of the command itself; ends with SystemExit where it would refuse."""
    words = shlex.split(line.removesuffix("&"), comments=True)
    assert words[0] == "forestall"
    path, words = TOP[words[1]][0], words[2:]
    group = getattr(importlib.import_module(path), "COMMANDS", None)
    if group is not None:
        path, words = group[words[0]][0], words[1:]
    parser = argparse.ArgumentParser(allow_abbrev=False)
    importlib.import_module(path).configure(parser)
    add_common(parser)
    return parser.parse_args(words)


def test_there_is_something_to_follow() -> None:
    commands = {line.split()[1] for line in LINES if line.startswith("forestall ")}
    assert commands >= {
        "doctor",
        "topics",
        "produce",
        "worker",
        "ledger",
        "explain",
        "backtest",
        "influx",
        "sink",
        "web",
    }


@pytest.mark.parametrize("line", [line for line in LINES if line.startswith("forestall ")])
def test_every_command_line_is_one(line: str) -> None:
    chosen = parsed(line)
    chosen.config = None
    settings_of(chosen)


@pytest.mark.parametrize("line", ["forestall ledger --jobs x", "forestall produce hosts", "forestall influx apply"])
def test_one_that_is_none_is_found(line: str) -> None:
    with pytest.raises(SystemExit):
        parsed(line)


@pytest.mark.parametrize("line", [line for line in LINES if not line.startswith("forestall ")])
def test_all_else_is_a_target_of_make_or_plain_shell(line: str) -> None:
    words = line.split()
    assert words[0] in SHELL or (words[0] == "make" and words[1] in TARGETS)


def test_the_index_names_every_page() -> None:
    index = set(re.findall(r"\]\(([^)#]+)\)", (DOCS / "README.md").read_text(encoding="utf-8")))
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")} - {"README.md"}
    listed_elsewhere = ("decisions/", "runbooks/")
    assert {page for page in pages if not page.startswith(listed_elsewhere)} <= index
    assert {"decisions/README.md", "runbooks/README.md"} <= index
