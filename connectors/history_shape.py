"""The shape of the history hazard as a small JSON file, with where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from connectors.errors import WrongUse
from models.history import HistoryShape

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class ShapeFile:
    """A shape, and where it came from; ``provenance["trace"]`` is the digest of the log that it was fitted to."""

    shape: HistoryShape
    provenance: Mapping[str, Any]


def shipped_history() -> Path:
    """The path of the shape that comes with forestall."""
    return Path(str(files("models") / "artefacts" / "history.json"))


def save_history(content: ShapeFile, path: Path) -> None:
    """Write a shape; the same one gives the same bytes."""
    about = {"format": FORMAT, "shape": asdict(content.shape), "provenance": dict(content.provenance)}
    try:
        path.write_text(json.dumps(about, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as fault:
        raise WrongUse(f"{path}: cannot be written: {fault.strerror}; name a file in a folder of yours") from fault


def load_history(path: Path | None = None) -> ShapeFile:
    """Read a shape from a file; None is the shipped one.

    Raises
    ------
    WrongUse
        The file is missing, is no shape of ours, has another format, or a number out of its range.
    """
    path = path or shipped_history()
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
    except OSError as fault:
        raise WrongUse(
            f"{path}: cannot be read: {fault.strerror}; forestall lab history --fit FILE makes one"
        ) from fault
    except ValueError as fault:
        raise WrongUse(f"{path}: is no JSON ({fault}); forestall lab history --fit FILE makes one") from fault
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise WrongUse(f"{path}: no history shape of format {FORMAT}; forestall lab history --fit FILE makes one")
    try:
        return ShapeFile(_shape(about["shape"]), dict(about["provenance"]))
    except KeyError as missing:
        raise WrongUse(f"{path}: no key {missing}; forestall lab history --fit FILE makes one") from missing
    except (TypeError, ValueError) as fault:
        raise WrongUse(f"{path}: {fault}; forestall lab history --fit FILE makes one") from fault


def _shape(about: Mapping[str, Any]) -> HistoryShape:
    def several(key: str) -> tuple[float, ...]:
        return tuple(float(value) for value in about[key])

    return HistoryShape(
        several("memory_s"),
        several("recurrence"),
        several("shared_memory_s"),
        several("shared"),
        float(about["base_rate"]),
    )
