"""What every diagnosis promises: a known cause, a runbook page that speaks of it, and numbers named by their units."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.diagnostics import CAUSES, Diagnosis

ROOT = Path(__file__).parents[2]


def test_a_cause_that_nobody_wrote_about_cannot_be_named() -> None:
    with pytest.raises(ValueError, match="weather"):
        Diagnosis(name="recovery-slow", cause="weather")
    with pytest.raises(ValueError, match="nonsense"):
        Diagnosis(name="nonsense")


@pytest.mark.parametrize("name", CAUSES)
def test_each_has_a_runbook_that_says_what_to_do_about_each_cause(name: str) -> None:
    page = ROOT / Diagnosis(name=name).runbook
    text = page.read_text(encoding="utf-8")
    for cause in CAUSES[name]:
        assert f"| `{cause}` |" in text, f"{page.name} does not tell what {cause} is"
        assert f"\n## {cause}" in text or f"- **{cause}.**" in text, (
            f"{page.name} does not say what to do about {cause}"
        )
    assert "## Verify" in text.replace("## 3. Verify", "## Verify")
    assert f"[{name}]({name}.md)" in (page.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CAUSES)
def test_the_numbers_that_a_runbook_names_are_told(name: str) -> None:
    """A page that sends somebody to a number that is not there is worse than none."""
    import re

    source = (ROOT / "models" / "diagnostics" / f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    text = (ROOT / Diagnosis(name=name).runbook).read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_]+_(?:ratio|seconds|rms|span|bytes))`", text))
    assert named
    assert {number for number in named if f'"{number}"' not in source} == set()
