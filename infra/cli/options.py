"""The options that every command takes, and the one way in which a command tells its result."""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from infra.settings import Settings

NODES_MAX = 10_000
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes: settings, brokers and ``--json``."""
    common = parser.add_argument_group("on every command")
    common.add_argument("--config", type=Path, metavar="FILE", help="a TOML file of settings")
    common.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="SECTION.KEY=VALUE",
        help="one setting, for example --set policy.checkpoint=paper; may be repeated",
    )
    common.add_argument("--brokers", metavar="HOST:PORT[,…]", help="your own Kafka in place of the embedded one")
    common.add_argument("--json", action="store_true", help="one JSON object on stdout, all else on stderr")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--run`` for a command that reads the log of a run (``infra/run_log.py``)."""
    parser.add_argument("--run", metavar="NAME", help="a run of the embedded broker (default: the last)")


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings that the common options, the environment and the file make together."""
    from infra.settings import load

    return load(options.config, options.assignments, options.brokers)


def duration(text: str) -> float:
    """Return seconds for ``60s``, ``1.5m``, ``250ms``, ``2h``, ``1d`` or a bare number of seconds; above 0.

    >>> duration("1.5m")
    90.0
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?", text.strip())
    seconds = float(match[1]) * _UNITS[match[2] or "s"] if match else 0.0
    if not (seconds > 0 and math.isfinite(seconds)):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; write for example 60s, 5m or 2h")
    return seconds


def instant(text: str) -> float:
    """Return Unix seconds for a time in ISO 8601 (UTC where it names no zone), or for bare Unix seconds.

    >>> instant("2026-11-24T10:00:00Z"), instant("1795514400.5")
    (1795514400.0, 1795514400.5)
    """
    try:
        return float(text)
    except ValueError:
        pass
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write for example 2026-11-24T10:00:00Z, or Unix seconds"
        ) from None
    return (told if told.tzinfo is not None else told.replace(tzinfo=UTC)).timestamp()


def speed(text: str) -> float:
    """Return how many seconds of source time pass in one second; above 0.

    >>> speed("600")
    600.0
    """
    try:
        given = float(text)
    except ValueError:
        given = 0.0
    if not 0 < given < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed; write a number above 0, for example 600")
    return given


def number_of_nodes(text: str) -> int:
    """Return the size of a simulated fleet: 1 to 10000 nodes."""
    if not text.isdecimal() or not 1 <= int(text) <= NODES_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of nodes; 1 to {NODES_MAX}")
    return int(text)


def report(options: argparse.Namespace, result: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Print ``result`` as one JSON object where ``--json`` was given, and ``lines`` where not."""
    if options.json:
        print(json.dumps(result, allow_nan=False, default=str), flush=True)
        return
    for line in lines:
        print(line, flush=True)
