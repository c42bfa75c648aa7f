"""What the page is told: one payload at a time, made at most twice a second whoever asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from infra.observer.account import account_from
from infra.observer.reader import LogState
from infra.observer.view import View
from models.policy_settings import PolicySettings

INTERVAL_S = 0.5
#: With nothing read for this long the page says that it is stale (ticks come once a second).
STALE_S = 5.0
#: A ledger is a fold over all that a job told, so it is made anew less often.
LEDGER_S = 3.0
_T = TypeVar("_T")
_encode = msgspec.json.Encoder().encode


class Watched(Protocol):
    """What the page looks at: an :class:`infra.observer.Observer`, or in tests a view alone."""

    def look(self, at: Callable[[View], _T]) -> _T:
        """What ``at`` makes of the view."""

    def state(self) -> LogState:
        """How well the log can be read."""


class Feed:
    """Payloads of the page, shared by all who look at it.

    Parameters
    ----------
    watched : Watched
        Where the view comes from.
    about : callable
        What else the page says of this run: a title, its phase.
    policy : PolicySettings
        The priors of a ledger's estimates.
    wall, monotonic : callable
        Unix seconds, and seconds that never go back.
    """

    def __init__(
        self,
        watched: Watched,
        about: Callable[[], dict[str, Any]],
        policy: PolicySettings,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._watched = watched
        self._about = about
        self._policy = policy
        self._wall = wall
        self._monotonic = monotonic
        self._payload = b""
        self._made: float | None = None
        self._ledgers: dict[str, Any] = {}
        self._accounted: float | None = None

    def overview(self) -> bytes:
        """The whole page as JSON, no older than ``INTERVAL_S``."""
        now = self._monotonic()
        if self._made is None or now - self._made >= INTERVAL_S:
            told = self._watched.look(View.overview)
            self._account(now)
            for job in told["jobs"]:
                job["ledger"] = self._ledgers.get(job["job"])
            self._payload = _encode({**told, "log": self._log(), "about": self._about(), "now": self._wall()})
            self._made = now
        return self._payload

    def node(self, name: str) -> bytes | None:
        """One node with its past as JSON; None when it is not known."""
        detail = self._watched.look(lambda view: view.fleet.detail(name))
        return None if detail is None else _encode(detail)

    def _account(self, now: float) -> None:
        if self._accounted is not None and now - self._accounted < LEDGER_S:
            return
        self._accounted = now
        told = self._watched.look(View.accounts)
        self._ledgers = {name: account_from(folds, self._policy) for name, folds in told.items()}

    def _log(self) -> dict[str, Any]:
        state = self._watched.state()
        silent = None if state.silent_s is None else round(state.silent_s, 1)
        stale = silent is None or silent > STALE_S
        return {"condition": "away" if state.away else "stale" if stale else "live", "silent_s": silent}
