"""The page of a comparison: whole in one file, every policy on it, whatever a name holds."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_runs import WALL_S, noisy, runs_of

from experiments.policy_lab.goals import AMPLE, OURS, Place, goals
from experiments.policy_lab.report import page, percent, write
from experiments.policy_lab.runs import BUCKETS
from experiments.policy_lab.statistics import rows

WASTE = {
    "young": 0.09,
    OURS: 0.057,
    "best-fixed": 0.0885,
    "oracle-same-recall": 0.052,
    "eq2+6-literal-h": 0.19,
    "none": 0.62,
}
VOID = {"meta", "br", "link"}


def result(**changed: Any) -> dict[str, Any]:
    runs = runs_of({name: noisy(level, seed=at) for at, (name, level) in enumerate(WASTE.items())})
    told = {
        "profile": "llama3-16k-ample",
        "case": "honest",
        "wall_s": WALL_S,
        "about": "20 paired seeds of 60.0 days",
        "policies": rows(runs),
        "goals": goals({Place(AMPLE): runs}),
        "command": "forestall lab compare --profile llama3-16k-ample --seeds 20",
    }
    return {**told, **changed}


class Reader(HTMLParser):
    """Sees that what is opened is closed, and keeps the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_every_policy_stands_in_each_part_of_the_page_and_the_best_comes_first() -> None:
    text = read(page(result())).text
    for name in WASTE:
        assert text.count(name) >= 3, name
    assert text.index("oracle-same-recall") < text.index(OURS) < text.index("none")


def test_the_page_needs_nothing_else() -> None:
    text = page(result())
    assert not re.search(r"https?://|<script|<link|@import|url\(|<img", text)
    assert read(text).tags >= {"style", "table", "title"}


def test_the_page_has_both_colour_schemes_and_fits_a_phone() -> None:
    text = page(result())
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in text
    assert "max-width: 640px" in text


def test_names_and_commands_cannot_break_out_of_the_page() -> None:
    nasty = "<script>alert('x')</script>&\""
    spoilt = result(profile=nasty, case=nasty, about=nasty, command=nasty)
    spoilt["policies"][0]["name"] = nasty
    spoilt["goals"]["G1"]["parts"][0]["what"] = nasty
    text = page(spoilt)
    assert "<script" not in text
    assert nasty in "".join(read(text).text)


def test_what_is_off_the_scale_is_said_to_be_and_does_not_stretch_it() -> None:
    text = "".join(read(page(result())).text)
    assert re.search(r"◀ off the scale, −5\d\d\.\d %", text)
    ticks = [int(tick) for tick in re.findall(r">(-?\d+) %</span>", page(result()))]
    assert -40 <= min(ticks) <= 0 < max(ticks) <= 60


def test_a_longer_stack_than_the_scale_is_marked() -> None:
    stacks = re.findall(r'<div class="stack".*?</div>', page(result()))
    assert len(stacks) == len(WASTE)
    assert ["▸" in stack for stack in stacks] == [False] * 4 + [True] * 2
    for stack in stacks:
        widths = [float(width) for width in re.findall(r"width:([\d.]+)%", stack)]
        assert 0 < sum(widths) <= 100.1


def test_the_table_has_a_column_for_each_bucket_and_each_count() -> None:
    head = page(result()).split("<thead>")[1].split("</thead>")[0]
    for bucket in BUCKETS:
        assert f">{bucket}</th>" in head
    assert ">false alarms</th>" in head


def test_goals_say_met_or_missed_and_by_what() -> None:
    text = "".join(read(page(result())).text)
    assert "G1 so far met" in text
    missed = result()
    missed["goals"] = {"G7": {"what": "elastic", "value": 0.38, "bar": 0.4, "met": False, "complete": True}}
    text = "".join(read(page(missed)).text)
    assert "G7 missed" in text
    assert "0.380 < 0.4" in text


def test_a_page_without_goals_has_no_place_for_them() -> None:
    assert "<h2>Goals" not in page(result(goals={}))


def test_a_page_of_few_policies_is_a_page() -> None:
    few = result()
    few["policies"] = [row for row in few["policies"] if row["name"] in {"none", OURS}]
    reader = read(page(few))
    assert "wasted under Young" not in "".join(reader.text)


def test_page_and_numbers_are_written_side_by_side(tmp_path: Path) -> None:
    path = write(result(), tmp_path / "new" / "folder")
    assert path.read_text(encoding="utf-8") == page(result())
    told = json.loads((path.parent / "report.json").read_text(encoding="utf-8"))
    assert told == result()
    assert told["command"].startswith("forestall lab compare")


@pytest.mark.parametrize(("share", "text"), [(0.0, "+0.0 %"), (-0.00051, "−0.1 %"), (1.0, "+100.0 %")])
def test_shares_are_written_with_a_sign(share: float, text: str) -> None:
    assert percent(share) == text
