"""A second copy of a fold's state, so that what is not settled can be tried on it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

_T = TypeVar("_T")


def twin(state: _T) -> _T:
    """Return a copy that shares nothing which can be changed.

    ``state`` is a dataclass of frozen values, of dictionaries, lists and sets of such, and of dataclasses like itself.
    """
    if not is_dataclass(state) or isinstance(state, type):
        raise TypeError(f"{type(state).__name__} is no dataclass")
    copy: Any = object.__new__(type(state))
    for one in fields(state):
        value: Any = getattr(state, one.name)
        if isinstance(value, (dict, list, set)):
            value = value.copy()
        elif is_dataclass(value):
            value = twin(value)
        object.__setattr__(copy, one.name, value)
    found: _T = copy
    return found
