"""What people have said that holds forestall back: pauses and opt-outs, and when the breaker was last closed."""

from __future__ import annotations

from typing import Any

from models.records import Brake, BreakerReset, OptOut, Pause

#: Names of jobs and nodes that are kept; a fleet has few of either at a time.
WORDS_MAX = 2_000


class BrakesView:
    """The newest word on each job and node; the same word comes once for each partition of the decision log."""

    def __init__(self) -> None:
        self._pauses: dict[str | None, Pause] = {}
        self._opt_outs: dict[str, OptOut] = {}
        self._reset: BreakerReset | None = None

    def note(self, word: Brake) -> None:
        """A word; one older than what is known of its subject changes nothing."""
        match word:
            case Pause():
                _newest(self._pauses, word.job, word)
            case OptOut():
                _newest(self._opt_outs, word.node, word)
            case BreakerReset():
                if self._reset is None or word.at >= self._reset.at:
                    self._reset = word

    def out(self, node: str) -> bool:
        """Whether that node is kept out of what forestall does."""
        word = self._opt_outs.get(node)
        return word is not None and word.out

    def to_json(self) -> dict[str, Any]:
        """What holds, for the page."""
        pauses = [word for word in self._pauses.values() if word.paused]
        opt_outs = [word for word in self._opt_outs.values() if word.out]
        reset = self._reset
        return {
            "pauses": [{"job": one.job, "at": one.at, "by": one.by, "why": one.why} for one in pauses],
            "opt_outs": [{"node": one.node, "at": one.at, "by": one.by, "why": one.why} for one in opt_outs],
            "reset": None if reset is None else {"at": reset.at, "by": reset.by, "why": reset.why},
        }


def _newest(kept: dict[Any, Any], subject: str | None, word: Pause | OptOut) -> None:
    known = kept.get(subject)
    if known is None or word.at >= known.at:
        kept.pop(subject, None)
        kept[subject] = word
    while len(kept) > WORDS_MAX:
        del kept[next(iter(kept))]
