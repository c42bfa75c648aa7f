"""What page, metrics and alerts look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from infra.observer.reader import LogState
from infra.observer.view import View

_T = TypeVar("_T")


class Watched(Protocol):
    """An :class:`infra.observer.Observer`, or in tests a view alone."""

    def look(self, at: Callable[[View], _T]) -> _T:
        """What ``at`` makes of the view."""

    def state(self) -> LogState:
        """How well the log can be read."""
