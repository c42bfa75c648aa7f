"""The state of the decide fold over one partition of the decision log, and its exact encoding.

The encoding is JSON that keeps the order of every mapping and the shortest exact form of every float, so that a fold
which goes on from ``from_bytes(to_bytes(state))`` gives the same commands, byte for byte, as one never interrupted.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass, field
from typing import Any

from models.brakes.state import Brakes
from models.job import Job
from models.policy_settings import PolicySettings
from models.recovery import HealthChain

#: Written into every encoded state; another version is refused.
STATE_VERSION = 4


@dataclass(slots=True, kw_only=True)
class DecisionState:
    """Everything that the decide fold remembers of one partition; the fold owns it and changes it in place.

    ``now`` is the time of the newest tick, ``loading`` whether that tick was of history, ``seen`` when the id of each
    event was first met (in that order), by the tick that was newest then.
    """

    settings: PolicySettings
    now: float | None = None
    loading: bool = False
    seen: dict[str, float] = field(default_factory=dict)
    chain: HealthChain = field(default_factory=HealthChain)
    brakes: Brakes = field(default_factory=Brakes)
    jobs: dict[str, Job] = field(default_factory=dict)

    def job(self, name: str) -> Job:
        """Return what is known of a job, from now on if nothing was."""
        known = self.jobs.get(name)
        if known is None:
            known = self.jobs[name] = Job(name=name)
        return known

    def reserved(self) -> frozenset[str]:
        """Return the spares that some rescue has taken for itself."""
        rescues = (rescue for job in self.jobs.values() for rescue in job.rescues.values())
        return frozenset(rescue.spare for rescue in rescues if rescue.spare is not None)


def to_bytes(state: DecisionState) -> bytes:
    """Return the state, the parameters that it was made with included."""
    content = {"v": STATE_VERSION, **_encode(state)}
    return json.dumps(content, separators=(",", ":"), allow_nan=False).encode()


def from_bytes(data: bytes, settings: PolicySettings) -> DecisionState:
    """Return the state that :func:`to_bytes` was given, to go on under ``settings``.

    Raises
    ------
    ValueError
        If the data are of another version, or no state at all.
    """
    content = json.loads(data)
    if not isinstance(content, dict) or content.pop("v", None) != STATE_VERSION:
        raise ValueError(f"not a decision state of version {STATE_VERSION}")
    content["settings"] = dataclasses.asdict(settings)
    return typing.cast(DecisionState, _decode(DecisionState, content))


def _encode(value: Any) -> Any:
    """Return what JSON can hold; mappings of plain values are not copied, for there are as many ids as commands."""
    if dataclasses.is_dataclass(value):
        return {one.name: _encode(getattr(value, one.name)) for one in dataclasses.fields(value)}
    if isinstance(value, dict) and value and dataclasses.is_dataclass(next(iter(value.values()))):
        return {key: _encode(one) for key, one in value.items()}
    return value


def _decode(kind: Any, value: Any) -> Any:
    """Build a value of the annotated type ``kind`` from what JSON made of it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if value is None or kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        return _decode(next(one for one in arguments if one is not type(None)), value)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        return kind(**{name: _decode(hints[name], one) for name, one in value.items()})
    if isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        hints = typing.get_type_hints(kind)
        return kind(*(_decode(hints[name], one) for name, one in zip(kind._fields, value, strict=True)))
    if origin is tuple:
        return tuple(_decode(arguments[0], one) for one in value)
    if origin is not None and origin is not typing.Literal:
        key = arguments[0]
        if arguments == (str, float):
            return value
        return {key(name): _decode(arguments[1], one) for name, one in value.items()}
    return value
