"""What is known of each node: its latest assessment and a bounded past of it."""

from __future__ import annotations

from collections import deque
from typing import Any

from connectors.codecs.records import decode_assessment
from connectors.errors import InvalidRecord
from models.records import Assessment

POINTS_MAX = 600
Point = tuple[float, float | None, float | None, str]


class NodeView:
    """One node: the latest assessment, and ``(ts, probability, deviation, verdict)`` of the last live ones."""

    __slots__ = ("_latest", "_past", "alarmed", "appended", "points")

    def __init__(self) -> None:
        self.points: deque[Point] = deque(maxlen=POINTS_MAX)
        self.appended = 0.0
        #: When the assessment was appended that first said ``failing``; None while none says so.
        self.alarmed: float | None = None
        self._latest: Assessment | None = None
        self._past: bytes | None = None

    def note(self, assessment: Assessment, appended: float) -> None:
        """A live assessment."""
        self._latest, self._past, self.appended = assessment, None, appended
        if assessment.verdict != "failing":
            self.alarmed = None
        elif self.alarmed is None:
            self.alarmed = appended
        self.points.append((assessment.ts, assessment.probability, assessment.deviation, assessment.verdict))

    def note_past(self, raw: bytes, appended: float) -> None:
        """An assessment of the past that is being loaded: kept undecoded, for there are very many."""
        self._past, self.appended = raw, appended

    def latest(self) -> Assessment | None:
        """The newest assessment; None when it cannot be read."""
        if self._past is not None:
            try:
                record = decode_assessment(self._past)
            except InvalidRecord:
                return self._latest
            finally:
                self._past = None
            if isinstance(record, Assessment):
                self._latest = record
        return self._latest


class FleetView:
    """Every node that was ever assessed, by name."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeView] = {}
        self._ordered: list[str] = []

    def node(self, name: str) -> NodeView:
        """The view of a node, made when it is first heard of."""
        view = self.nodes.get(name)
        if view is None:
            view = self.nodes[name] = NodeView()
        return view

    def names(self) -> list[str]:
        """Every node's name in natural order (n2 before n10); sorted again only when one is new."""
        if len(self._ordered) != len(self.nodes):
            self._ordered = sorted(self.nodes, key=natural_key)
        return self._ordered

    def cells(self) -> list[dict[str, Any]]:
        """One cell a node for the page, in natural order (n2 before n10)."""
        return [_cell(latest) for name in self.names() if (latest := self.nodes[name].latest()) is not None]

    def detail(self, name: str) -> dict[str, Any] | None:
        """The node's cell, its worst metrics with their z, and its past; None for an unknown node."""
        view = self.nodes.get(name)
        latest = view.latest() if view else None
        if view is None or latest is None:
            return None
        worst = [{"metric": metric, "z": _rounded(z, 2)} for metric, z in latest.worst]
        return {**_cell(latest), "worst": worst, "points": [_point(*point) for point in view.points]}


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key that reads runs of digits as numbers.

    >>> sorted(["n10", "n2", "host"], key=natural_key)
    ['host', 'n2', 'n10']
    """
    parts: list[tuple[int, int | str]] = []
    run = ""
    for character in name:
        if run and run.isdigit() != character.isdigit():
            parts.append(_natural_part(run))
            run = ""
        run += character
    return (*parts, _natural_part(run)) if run else tuple(parts)


def _natural_part(run: str) -> tuple[int, int | str]:
    return (0, int(run)) if run.isdecimal() else (1, run)


def _cell(latest: Assessment) -> dict[str, Any]:
    return {
        "node": latest.node,
        "ts": latest.ts,
        "verdict": latest.verdict,
        "probability": _rounded(latest.probability, 4),
        "deviation": _rounded(latest.deviation, 3),
        "job": latest.job,
        "incident": latest.incident,
        "history": latest.history,
    }


def _point(ts: float, probability: float | None, deviation: float | None, verdict: str) -> list[Any]:
    return [round(ts, 2), _rounded(probability, 4), _rounded(deviation, 3), verdict]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
