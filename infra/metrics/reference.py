"""The page ``docs/reference/metrics.md``, made from the catalogue; ``python -m infra.reference`` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from infra.metrics.catalogue import CATALOGUE, EVERY, Told
from infra.metrics.reasons import REFUSALS
from streams.tally import DELAY_BOUNDS_S

FILE: Final = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"
_HEAD: Final = """\
# Metrics

Made from `infra/metrics/catalogue.py` by `python -m infra.reference`; do not edit it. What to do with them:
[monitoring](../how-to/monitoring.md).

Each process serves `/metrics`, `/healthz` and `/readyz` at `metrics.host` and `metrics.port`; the live page serves what
`web` tells at its own port too. No label holds an id. A node is a label of open incidents alone, and of a bounded
number of them. Counters begin at 0 with the process, but for `forestall_frames_total`, which is part of a partition's
state and goes on.
"""


def page() -> str:
    """The whole page."""
    parts = [_HEAD, _section("Every process", [one for one in CATALOGUE if one.by == EVERY])]
    for process in EVERY:
        own = [one for one in CATALOGUE if process in one.by and one.by != EVERY]
        parts.append(_section(f"forestall {process}", own))
    bounds = ", ".join(f"{bound:g}" for bound in DELAY_BOUNDS_S)
    parts.append(f"## Classes and labels\n\nDelays fall into classes up to {bounds} s, and one above.\n")
    parts.append(f"`reason` of a refusal is one of {', '.join(f'`{one}`' for one in REFUSALS)}; that of a dead letter")
    parts.append("is the slug with which its reason begins ([dead letters](../runbooks/dead-letters-rise.md)).\n")
    return "\n".join(parts)


def _section(title: str, told: list[Told]) -> str:
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels) or 'none'} | {one.about} |"
        for one in told
    ]
    return "\n".join([f"## {title}\n", "| metric | kind | labels | what it is |", "|---|---|---|---|", *rows, ""])


def write(file: Path = FILE) -> None:
    """Write the page."""
    file.write_text(page(), encoding="utf-8")
