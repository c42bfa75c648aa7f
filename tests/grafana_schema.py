"""Whether a dashboard holds to Grafana's schema, by the types that Grafana generates of it (grafana-foundation-sdk).

Those types take anything. So two things are asked of what they read: that each key comes out again (a key which they do
not know is dropped), and that each value is of the type that is written beside it.
"""

from __future__ import annotations

import enum
import json
import types
import typing
from collections.abc import Iterator
from functools import cache
from typing import Any

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


@cache
def _registered() -> None:
    plugins.register_default_plugins()


def faults(dashboard: dict[str, Any]) -> list[str]:
    """Where it differs from the schema, as paths; empty where it holds."""
    _registered()
    read = Dashboard.from_json(dashboard)
    again = json.loads(json.dumps(read, cls=JSONEncoder))
    return [*_dropped(dashboard, again, ""), *_misfits(read, Dashboard, "")]


def _dropped(given: Any, again: Any, at: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(again, dict):
        for key, value in given.items():
            if key in again:
                yield from _dropped(value, again[key], f"{at}/{key}")
            else:
                yield f"{at}/{key}: no such key"
    elif isinstance(given, list) and isinstance(again, list) and len(given) == len(again):
        for number, (one, other) in enumerate(zip(given, again, strict=True)):
            yield from _dropped(one, other, f"{at}/{number}")
    elif given != again:
        yield f"{at}: {given!r} became {again!r}"


def _misfits(value: Any, hint: Any, at: str) -> Iterator[str]:
    if hint in {object, typing.Any} and hasattr(value, "from_json"):
        hint = type(value)  # options of a panel: of the class of its kind
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        several = [list(_misfits(value, one, at)) for one in typing.get_args(hint)]
        if all(several):
            yield max((one for found in several for one in found), key=lambda one: one.split(":")[0].count("/"))
    elif typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            yield f"{at}: {value!r} is none of {typing.get_args(hint)}"
    elif typing.get_origin(hint) is list:
        if not isinstance(value, list):
            yield f"{at}: {value!r} is no list"
            return
        for number, one in enumerate(value):
            yield from _misfits(one, typing.get_args(hint)[0], f"{at}/{number}")
    elif typing.get_origin(hint) is dict:
        if not isinstance(value, dict):
            yield f"{at}: {value!r} is no object"
            return
        for key, one in value.items():
            yield from _misfits(one, typing.get_args(hint)[1], f"{at}/{key}")
    elif isinstance(hint, type):
        yield from _of_class(value, hint, at)


def _of_class(value: Any, hint: type, at: str) -> Iterator[str]:
    if issubclass(hint, enum.Enum):
        if value not in [member.value for member in hint]:
            yield f"{at}: {value!r} is none of {[member.value for member in hint]}"
    elif hasattr(hint, "from_json"):
        made = hint.from_json(value) if isinstance(value, dict) else value
        if not isinstance(made, hint):
            yield f"{at}: {value!r} is no {hint.__name__}"
            return
        for name, one in typing.get_type_hints(hint).items():
            yield from _misfits(getattr(made, name), one, f"{at}/{name}")
    elif hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"{at}: {value!r} is no number"
    elif hint in {int, str, bool} and (not isinstance(value, hint) or isinstance(value, bool) != (hint is bool)):
        yield f"{at}: {value!r} is no {hint.__name__}"
    elif hint is type(None) and value is not None:
        yield f"{at}: {value!r} is not null"
