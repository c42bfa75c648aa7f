"""A job, its machines, what things cost it, and its predictor: shipped profiles and a user's own TOML."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

SHIPPED: Final = Path(__file__).with_name("profiles")
_COUNTS: Final = ("nodes", "gpus_per_node", "spares", "min_nodes", "replica_nodes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One job on ``nodes`` nodes for ``days``; times in seconds.

    Parameters
    ----------
    mtbf_s, weibull_shape :
        μ of the whole job, and the Weibull shape of the times between its failures (1: exponential).
    cost_s, durable_s :
        C, for which a checkpoint blocks the job, and W, the time after that until it is durable.
    detection_s, restart_s, migration_s :
        D, R and M: noticing a failure, restarting after it, standing still for a planned migration.
    spares :
        Nodes in the pool at the start; None: the pool is never empty.
    repair_median_s, repair_sigma :
        Of the lognormal repair time of a failed node.
    burn_in_s :
        How long a vacated node is tested; one that was falsely accused is a spare again after it.
    recall, precision, lead_median_s, lead_sigma, horizon_s :
        The predictor: shares of failures foreseen and of alarms that are true, lognormal time from alarm to failure,
        and H, after which an alarm is closed.
    min_nodes, replica_nodes :
        A job that may shrink does so by whole replicas down to ``min_nodes``; None: it may not.
    memory_cost_s, memory_lost :
        Blocking time of a checkpoint into a peer's memory, and the share of failures that such a one does not survive.

    Raises
    ------
    ValueError
        With a line for each key that is out of its range.
    """

    name: str
    nodes: int
    mtbf_s: float
    cost_s: float
    gpus_per_node: int = 8
    days: float = 60.0
    weibull_shape: float = 1.0
    durable_s: float = 120.0
    detection_s: float = 60.0
    restart_s: float = 180.0
    migration_s: float = 140.0
    spares: int | None = None
    repair_median_s: float = 23.7 * 3600.0
    repair_sigma: float = 1.0
    burn_in_s: float = 3600.0
    recall: float = 0.6
    precision: float = 0.8
    lead_median_s: float = 720.0
    lead_sigma: float = 0.8
    horizon_s: float = 3600.0
    min_nodes: int | None = None
    replica_nodes: int | None = None
    memory_cost_s: float = 1.0
    memory_lost: float = 0.1

    def __post_init__(self) -> None:
        faults = list(_faults(self))
        if faults:
            raise ValueError("\n".join(faults))


def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a shipped profile by its name, or a TOML file by its path.

    Raises
    ------
    ValueError
        If there is no such profile or file, or naming the file and every key in it that is wrong.
    """
    text = str(name_or_path)
    path = SHIPPED / f"{text}.toml" if text in profile_names() else Path(text)
    try:
        with path.open("rb") as source:
            content = tomllib.load(source)
    except OSError as error:
        known = ", ".join(profile_names())
        raise ValueError(f"{text}: neither a shipped profile ({known}) nor a file that can be read") from error
    except ValueError as error:
        raise ValueError(f"{path}: not TOML: {error}") from error
    return _from_content(path, content)


def _from_content(path: Path, content: dict[str, Any]) -> Profile:
    fields = {one.name: one for one in dataclasses.fields(Profile)}
    faults = [f"{key}: no such key; there are {', '.join(fields)}" for key in content if key not in fields]
    values: dict[str, Any] = {"name": path.stem}
    for key, value in content.items():
        if key in fields and _fits(key, value):
            values[key] = value
        elif key in fields:
            faults.append(f"{key}: must be {_kind(key)}, not {value!r}")
    needed = [one.name for one in fields.values() if one.default is dataclasses.MISSING]
    faults += [f"{key}: missing" for key in needed if key not in values and key not in content]
    try:
        # the ranges of what is there are judged even when something is missing
        profile = Profile(**{**dict.fromkeys((key for key in needed if key not in values), 1), **values})
    except ValueError as error:
        faults += str(error).splitlines()
    if faults:
        raise ValueError("\n".join(f"{path}: {fault}" for fault in faults))
    return profile


def _kind(key: str) -> str:
    return "text" if key == "name" else "a whole number" if key in _COUNTS else "a number"


def _fits(key: str, value: object) -> bool:
    if key == "name":
        return isinstance(value, str)
    return not isinstance(value, bool) and isinstance(value, int if key in _COUNTS else (int, float))


def _faults(profile: Profile) -> Iterator[str]:
    for key in ("nodes", "gpus_per_node", "min_nodes", "replica_nodes"):
        value = getattr(profile, key)
        if value is not None and value < 1:
            yield f"{key}: must be at least 1, not {value}"
    if profile.spares is not None and profile.spares < 0:
        yield f"spares: must not be negative, not {profile.spares}"
    for key in ("mtbf_s", "cost_s", "days", "weibull_shape", "repair_median_s", "lead_median_s", "lead_sigma"):
        yield from _outside(key, getattr(profile, key), above=0.0)
    for key in ("horizon_s", "memory_cost_s"):
        yield from _outside(key, getattr(profile, key), above=0.0)
    for key in ("durable_s", "detection_s", "restart_s", "migration_s", "burn_in_s", "repair_sigma"):
        yield from _outside(key, getattr(profile, key), least=0.0)
    for key in ("recall", "memory_lost"):
        yield from _outside(key, getattr(profile, key), least=0.0, most=1.0)
    yield from _outside("precision", profile.precision, above=0.0, most=1.0)
    if (profile.min_nodes is None) != (profile.replica_nodes is None):
        yield "min_nodes, replica_nodes: a job that may shrink needs both"
    elif profile.min_nodes is not None and profile.replica_nodes is not None:
        if profile.min_nodes > profile.nodes:
            yield f"min_nodes: must not exceed nodes ({profile.nodes}), not {profile.min_nodes}"
        if profile.nodes % profile.replica_nodes or profile.min_nodes % profile.replica_nodes:
            yield f"replica_nodes: nodes and min_nodes must be multiples of it, not of {profile.replica_nodes}"


def _outside(
    key: str, value: float, *, above: float = -math.inf, least: float = -math.inf, most: float = math.inf
) -> Iterator[str]:
    if not math.isfinite(value):
        yield f"{key}: must be finite, not {value}"
    elif value <= above:
        yield f"{key}: must be above {above:g}, not {value:g}"
    elif value < least:
        yield f"{key}: must be at least {least:g}, not {value:g}"
    elif value > most:
        yield f"{key}: must be at most {most:g}, not {value:g}"
