"""The pages tell the truth: links lead somewhere, and each setting, command, option, topic, field and word is there."""

from __future__ import annotations

import argparse
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from kafka import KafkaProducer
from topics_on import fresh_topics

from connectors.codecs.records import ASSESSMENT_KINDS, EVENT_KINDS, INVENTORY_KINDS
from connectors.kafka import topics
from infra.broker.embedded import Broker
from infra.cli.main import COMMANDS as TOP
from infra.cli.options import add_common
from infra.settings import Settings
from infra.settings_faults import allowed
from models.policy_settings import LEVELS
from models.records import Action, Command, Stage, Verdict
from models.signals import SIGNALS
from models.spans import PRECEDENCE
from streams.batch import Partition
from streams.dead_letter import dead_letter

#: Every command by the words that call it, those of a group one by one, and the module of each.
COMMANDS = {
    " ".join([name, *more]): path
    for name, (module, _) in TOP.items()
    for more, path in [
        ([word], path) for word, (path, _) in getattr(importlib.import_module(module), "COMMANDS", {}).items()
    ]
    or [([], module)]
}

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "sdk").rglob("*.md")])
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"`([^`\n]+)`")
OPTION = re.compile(r"--[a-z][a-z-]*")
SCRIPT = re.compile(r"^\.venv/bin/python - (kafka-1:9092 )?<<'EOF'\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def rows(page: Path, under: str | None = None) -> Iterator[list[str]]:
    """The cells of a page's tables, of one section where ``under`` names it."""
    text = text_of(page)
    if under is not None:
        text = text.split(f"\n## {under}\n")[1].split("\n## ")[0]
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", text_of(page))):
        if re.match(r"[a-z]+://", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target} leads nowhere"
        if fragment:
            assert fragment in anchors(file), f"{target}: there is no such heading"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_file_of_the_project_that_is_named_exists(page: Path) -> None:
    rooms = "models|connectors|streams|infra|experiments|sdk|tests|benchmarks"
    for code in INLINE_CODE.findall(FENCE.sub("", text_of(page))):
        for path in re.findall(rf"(?<![\w/.])(?:{rooms})/[\w./*-]*", code):
            assert list(ROOT.glob(path.rstrip("/"))), f"`{path}` is no file of the project"


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_command_that_is_named_exists(page: Path) -> None:
    code = "\n".join(code_of(text_of(page)))
    named = re.findall(r"^(?:`|\.venv/bin/)?forestall ((?:(?:lab|model) )?[a-z][a-z-]*)\b", code, re.MULTILINE)
    assert set(named) <= {*TOP, *COMMANDS}
    assert set(re.findall(r"^`?make ([a-z]+)\b", code, re.MULTILINE)) <= make_targets()


def code_of(text: str) -> list[str]:
    """Every block of code, and each inline one on a line of its own."""
    return [*FENCE.findall(text), *(f"`{code}" for code in INLINE_CODE.findall(FENCE.sub("", text)))]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", text_of(ROOT / "Makefile"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_setting_that_is_assigned_exists(page: Path) -> None:
    known = {f"{section}.{key}" for section, key in settings()}
    text = text_of(page)
    given = set(re.findall(r"--set ([a-z]+\.[a-z_0-9]+)=", text)) - {"section.key"}
    given |= {f"{s}.{k}".lower() for s, k in re.findall(r"FORESTALL_([A-Z]+)__([A-Z_]+)=", text)}
    assert given - {"polciy.level"} <= known  # decision 009 shows a slip of the finger


def settings() -> dict[tuple[str, str], object]:
    return {
        (section, key): field
        for section, whole in Settings.model_fields.items()
        for key, field in type(whole.default).model_fields.items()
    }


def test_every_setting_is_told_with_its_default_and_what_is_allowed() -> None:
    told = {cells[0]: cells[1:3] for cells in rows(DOCS / "reference" / "settings.md") if cells[0].startswith("`")}
    wanted = {}
    for section, whole in Settings.model_fields.items():
        for key, field in type(whole.default).model_fields.items():
            wanted[f"`{section}.{key}`"] = [shown(field.default), allowed(field)]
    assert told == wanted


def shown(default: object) -> str:
    if default is None:
        return "unset"
    if default == "":
        return "empty"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_reference_has_a_section_for_each_command() -> None:
    sections = re.findall(r"^## forestall ([a-z -]+)$", text_of(DOCS / "reference" / "cli.md"), re.MULTILINE)
    assert sections == list(COMMANDS)


def parser_of(command: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    importlib.import_module(COMMANDS[command]).configure(parser)
    return parser


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {word for action in parser._actions for word in action.option_strings if word.startswith("--")} - {"--help"}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_command_is_told_and_no_other(command: str) -> None:
    cells = [cell[0] for cell in rows(DOCS / "reference" / "cli.md", f"forestall {command}")]
    assert set(OPTION.findall(" ".join(cells))) == options_of(parser_of(command))


def test_the_common_options_are_told() -> None:
    common = argparse.ArgumentParser()
    add_common(common)
    intro = text_of(DOCS / "reference" / "cli.md").split("\n## ")[0]
    told = [line.split("|")[1] for line in intro.splitlines() if line.startswith("| `--")]
    assert set(OPTION.findall(" ".join(told))) == options_of(common)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_choice_of_a_command_is_told(command: str) -> None:
    section = text_of(DOCS / "reference" / "cli.md").split(f"\n## forestall {command}\n")[1].split("\n## ")[0]
    positional = [action for action in parser_of(command)._actions if not action.option_strings and action.choices]
    for choice in (choice for action in positional for choice in action.choices or ()):
        assert f"forestall {command} {choice}" in section


def test_every_topic_and_every_field_of_its_records_is_told() -> None:
    page = DOCS / "reference" / "topics.md"
    assert [cells[0].strip("`") for cells in rows(page) if cells[0].strip("`") in topics.ALL] == list(topics.ALL)
    kinds = [
        (topics.EVENT, EVENT_KINDS.values()),
        (topics.ASSESSMENT, ASSESSMENT_KINDS.values()),
        (topics.INVENTORY, INVENTORY_KINDS.values()),
        (topics.COMMAND, [Command]),
    ]
    for topic, records in kinds:
        told = set(INLINE_CODE.findall(text_of(page).split(f"\n## {topic}\n")[1].split("\n## ")[0]))
        assert {field.name for record in records for field in fields(record)} <= told, topic
    told = set(INLINE_CODE.findall(text_of(page)))
    assert {*EVENT_KINDS, *ASSESSMENT_KINDS, *INVENTORY_KINDS} <= told


def test_the_glossary_has_every_word_that_a_record_may_carry() -> None:
    told = set(INLINE_CODE.findall(text_of(DOCS / "glossary.md")))
    assert {*get_args(Verdict), *get_args(Action), *get_args(Stage), *LEVELS, *SIGNALS, *PRECEDENCE} <= told


def test_every_reason_of_a_dead_letter_has_its_cure() -> None:
    codecs = [text_of(path) for path in (ROOT / "connectors" / "codecs").glob("*.py")]
    reasons = set(re.findall(r'InvalidRecord\(\s*"([a-z-]+)"', "\n".join(codecs)))
    reasons |= set(re.findall(r'_check_names\(\w+, "([a-z-]+)"\)', "\n".join(codecs)))
    told = {cells[0].strip("`") for cells in rows(DOCS / "runbooks" / "dead-letters-rise.md")}
    assert len(reasons) > 8
    assert reasons - {"bad-schema"} <= told  # a schema that cannot be read makes its frames those of an unknown one


@pytest.mark.parametrize("folder", ["decisions", "runbooks"])
def test_an_index_names_every_page_of_its_folder(folder: str) -> None:
    index = set(LINK.findall(text_of(DOCS / folder / "README.md")))
    pages = {page.name for page in (DOCS / folder).glob("*.md")} - {"README.md"}
    assert pages <= index


def test_decisions_are_numbered_without_gaps_and_say_what_a_record_says() -> None:
    records = sorted(page for page in (DOCS / "decisions").glob("*.md") if page.name != "README.md")
    assert [int(page.name[:3]) for page in records] == list(range(1, len(records) + 1))
    for page in records:
        assert text_of(page).startswith(f"# {page.name[:3]} · ")
        sections = re.findall(r"^## (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
        assert sections == ["Context", "Decision", "Consequences", "Alternatives"], page.name


def scripts() -> list[tuple[str, bool, str]]:
    """(page, whether it takes brokers, script) of each that a page has somebody run."""
    found = [(name, SCRIPT.findall(text_of(page))) for name, page in zip(NAMES, PAGES, strict=True)]
    return [(name, bool(brokers), script) for name, several in found for brokers, script in several]


#: What each script says of a log that holds one dead letter.
SAYS = {
    "docs/runbooks/dead-letters-rise.md": "1  telemetry.node.v1  n17: unknown-schema: none",
    "docs/runbooks/worker-does-not-start.md": "0 ticks could not be written",
    "docs/decisions/004-packed-frames.md": "packed 163.0 bytes",
}


@pytest.mark.broker
@pytest.mark.parametrize(("page", "takes_brokers", "script"), scripts(), ids=[page for page, _, _ in scripts()])
def test_every_script_of_a_page_runs(broker: Broker, page: str, takes_brokers: bool, script: str) -> None:
    fresh_topics(broker)
    letter = dead_letter(Partition(topics.TELEMETRY, 0), 7, b"n17", b"?", "unknown-schema: none")
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap)
    producer.send(letter.topic, letter.value, letter.key, list(letter.headers)).get(10)
    producer.close()
    words = [broker.bootstrap] if takes_brokers else []
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{page}: {done.stderr}"
    assert SAYS[page] in done.stdout
