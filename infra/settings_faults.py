"""What is wrong with the settings, in words: section, key, the value given, what is allowed, and the nearest name."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, StringConstraints, ValidationError
from pydantic.fields import FieldInfo

#: (section,) or (section, key) → the value given and where it was given
Given = dict[tuple[str, ...], tuple[object, str]]
_BOUNDS = {Ge: ("of at least {}", "ge"), Gt: ("above {}", "gt"), Le: ("of at most {}", "le"), Lt: ("below {}", "lt")}


def describe(faults: ValidationError, settings: type[BaseModel], given: Given) -> str:
    """Return one line a fault, under a heading that counts them.

    ``settings`` is the model that was checked, ``given`` says where each value came from.
    """
    lines = []
    for fault in faults.errors():
        path = tuple(str(part) for part in fault["loc"][:2])
        value, origin = given.get(path) or (fault["input"], _origin_of_section(path[0], given))
        lines.append(f"  {'.'.join(path)}{_sentence(fault['type'], path, value, settings)}" + _place(origin))
    return f"the settings have {len(lines)} fault{'s' if len(lines) > 1 else ''}\n" + "\n".join(lines)


def _origin_of_section(section: str, given: Given) -> str:
    return next((origin for path, (_, origin) in given.items() if path[0] == section), "")


def _place(origin: str) -> str:
    return f" ({origin})" if origin else ""


def _sentence(kind: str, path: tuple[str, ...], value: object, settings: type[BaseModel]) -> str:
    sections = settings.model_fields
    if path[0] not in sections:
        return f": there is no section [{path[0]}]{_nearest(path[0], sections)}"
    section = sections[path[0]].annotation
    if not (isinstance(section, type) and issubclass(section, BaseModel)):
        raise TypeError(f"[{path[0]}] is not a section")
    if len(path) == 1:
        return f" = {_shown(value)}: [{path[0]}] is a section of keys: {', '.join(section.model_fields)}"
    if kind == "extra_forbidden":
        return f" = {_shown(value)}: [{path[0]}] has no key {path[1]!r}{_nearest(path[1], section.model_fields)}"
    return f" = {_shown(value)}: must be {allowed(section.model_fields[path[1]])}"


def _nearest(name: str, names: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(names)}"


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def allowed(field: FieldInfo) -> str:
    """Return in words what a key may be.

    >>> from typing import Annotated, Literal
    >>> from pydantic import Field
    >>> allowed(FieldInfo.from_annotation(Annotated[int, Field(ge=1, le=65535)]))
    'a whole number of at least 1, of at most 65535'
    >>> allowed(FieldInfo.from_annotation(Literal["young", "paper"]))
    '"young" or "paper"'
    """
    kind = _kind(field.annotation)
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(f'"{choice}"' for choice in typing.get_args(kind))
    words = {int: "a whole number", float: "a number", bool: "true or false", Path: "a path", str: "a text"}
    limits = ", ".join(_limits(field.metadata))
    return f"{words.get(kind, str(kind))} {limits}".rstrip()


def _kind(annotation: Any) -> Any:
    if isinstance(annotation, types.UnionType):
        return next(part for part in typing.get_args(annotation) if part is not type(None))
    return annotation


def _limits(metadata: list[Any]) -> list[str]:
    texts = []
    for limit in metadata:
        for kind, (words, name) in _BOUNDS.items():
            if isinstance(limit, kind):
                texts.append(words.format(getattr(limit, name)))
        if isinstance(limit, StringConstraints) and limit.pattern:
            texts.append("like HOST:PORT[,HOST:PORT…], or empty for the embedded broker")
        if isinstance(limit, MinLen) or (isinstance(limit, StringConstraints) and limit.min_length):
            texts.append("that is not empty")
        if isinstance(limit, MaxLen):
            texts.append(f"of at most {limit.max_length} characters")
    return texts
