"""What is read from the topics only when somebody looks: each in a thread, one at a time, kept for a moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from connectors.errors import ForestallError

KEPT_MAX: Final = 64
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Answer(Generic[_T]):
    """What was found, or why nothing was."""

    found: _T | None
    lacking: str = ""


@dataclass
class Inquiry(Generic[_T]):
    """One kind of question, asked by a name.

    Parameters
    ----------
    ask : called in a thread; a :class:`ForestallError` becomes the answer's ``lacking``.
    keep_s : so long an answer is given again; one that lacks something at most ``keep_lacking_s``.
    monotonic : seconds that never go back.
    """

    ask: Callable[[str], _T]
    keep_s: float
    monotonic: Callable[[], float]
    keep_lacking_s: float = 5.0
    _kept: OrderedDict[str, tuple[float, Answer[_T]]] = field(default_factory=OrderedDict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def about(self, name: str) -> Answer[_T]:
        """The answer, kept or new; who asks meanwhile for what is not kept waits for the turn."""
        kept = self._fresh(name)
        if kept is not None:
            return kept
        async with self._asking:
            kept = self._fresh(name)
            if kept is None:
                kept = answer = await asyncio.to_thread(self._answer, name)
                keep_s = self.keep_s if answer.found is not None else min(self.keep_s, self.keep_lacking_s)
                self._kept[name] = self.monotonic() + keep_s, answer
                self._kept.move_to_end(name)
                while len(self._kept) > KEPT_MAX:
                    self._kept.popitem(last=False)
            return kept

    def _fresh(self, name: str) -> Answer[_T] | None:
        known = self._kept.get(name)
        return None if known is None or known[0] < self.monotonic() else known[1]

    def _answer(self, name: str) -> Answer[_T]:
        try:
            return Answer(self.ask(name))
        except ForestallError as wrong:
            return Answer(None, str(wrong))


@dataclass(frozen=True, slots=True)
class Inquiries:
    """The kinds of question that the page asks; None where nobody can answer them."""

    metrics: Inquiry[dict[str, Any]] | None = None
    explanation: Inquiry[dict[str, Any]] | None = None
    pipeline: Inquiry[dict[str, Any]] | None = None
