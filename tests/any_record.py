"""Arbitrary records for property tests: every field of its declared type, floats finite, integers of 64 bits."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, TypeVar, Union

from hypothesis import strategies as st

from models.records import (
    Assessment,
    BreakerReset,
    Command,
    Counts,
    Incident,
    InventoryBreaker,
    InventoryModel,
    InventoryNode,
    InventoryOptOut,
    InventoryPause,
    InventorySettings,
    Membership,
    NodeFate,
    OptOut,
    Outcome,
    Pause,
    Progress,
    Tick,
)

T = TypeVar("T")
EVENTS: tuple[type[Any], ...] = (Incident, Outcome, Membership, Progress, NodeFate, Tick, Pause, OptOut, BreakerReset)
INVENTORY: tuple[type[Any], ...] = (
    InventoryNode,
    InventoryModel,
    InventoryPause,
    InventoryOptOut,
    InventoryBreaker,
    InventorySettings,
)
RECORDS: tuple[type[Any], ...] = (*EVENTS, Assessment, Counts, Command, *INVENTORY)


def any_record(kind: type[T]) -> st.SearchStrategy[T]:
    """Records of one type."""
    hints = typing.get_type_hints(kind)
    return st.builds(kind, **{field.name: _of(hints[field.name]) for field in fields(kind)})  # type: ignore[arg-type]


def _of(hint: Any) -> st.SearchStrategy[Any]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(_of, arguments))
    if origin is Mapping:
        return st.dictionaries(_of(arguments[0]), _of(arguments[1]), max_size=3)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(_of, arguments))
    return _PLAIN[hint] if hint in _PLAIN else any_record(hint)


_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(max_size=8),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    type(None): st.none(),
}
