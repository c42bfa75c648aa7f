"""What the page is told: one payload at a time, made at most twice a second whoever asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from infra.observer.account import account_from
from infra.observer.health import health_of
from infra.observer.view import View
from infra.observer.watched import Watched
from infra.web.decided import decided
from infra.web.digest import digest
from infra.web.packed import Fleet, fleet_of, roles_of
from models.policy_settings import PolicySettings

INTERVAL_S = 0.5
#: With nothing read for this long the page says that it is stale (ticks come once a second).
STALE_S = 5.0
#: A ledger is a fold over all that a job told, so it is made anew less often.
LEDGER_S = 3.0
#: Percentiles are of up to 100,000 samples and the health number of every node, so they too.
SLOW_S = 2.0
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page is sent; each part has a number that changes with its content, so that none is sent twice."""

    names: bytes
    cells: bytes
    digest: bytes
    named: int
    packed: int
    made: int


class Feed:
    """Payloads of the page, shared by all who look at it.

    Each may take a moment, so a server asks for it in a thread: for frames in one alone, for all else in any.

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
        self._overview: tuple[float, bytes] | None = None
        self._frame: Frame | None = None
        self._framed: float | None = None
        self._fleet: Fleet | None = None
        self._slow: tuple[float, dict[str, Any]] | None = None
        self._ledgers: dict[str, Any] = {}
        self._accounted: float | None = None
        self._making = threading.Lock()

    def frame(self) -> Frame:
        """What a page that listens is told now, no older than ``INTERVAL_S``."""
        now = self._monotonic()
        if self._frame is None or self._framed is None or now - self._framed >= INTERVAL_S:
            fleet, told = self._watched.look(lambda view: (fleet_of(view), self._digest(view, now)))
            self._frame, self._framed = self._next(fleet, told), now
        return self._frame

    def _digest(self, view: View, now: float) -> dict[str, Any]:
        if self._slow is None or now - self._slow[0] >= SLOW_S:
            health = health_of(view.fleet, view.standing)
            self._slow = now, {"latency_ms": view.latency_ms(), "health": {"number": health["number"]}}
        return {**digest(view), **self._slow[1]}

    def _next(self, fleet: Fleet, told: dict[str, Any]) -> Frame:
        last, known = self._frame, self._fleet
        named, packed = (0, 0) if last is None else (last.named, last.packed)
        names, cells = (b"", b"") if last is None else (last.names, last.cells)
        if known is None or (fleet.names, fleet.roles, fleet.jobs) != (known.names, known.roles, known.jobs):
            named += 1
            names = _encode({"named": named, "names": fleet.names, "roles": fleet.roles, "jobs": fleet.jobs})
        if known is None or fleet.cells != known.cells or last is None or named != last.named:
            packed += 1
            cells = _encode({"named": named, "cells": fleet.cells, "tally": fleet.tally})
        self._fleet = fleet
        about = {"about": self._about(), "log": self._log(), "now": self._wall()}
        return Frame(names, cells, _encode({**told, **about}), named, packed, 1 if last is None else last.made + 1)

    def overview(self) -> bytes:
        """Everything at once as JSON, for a program; no older than ``INTERVAL_S``."""
        now, made = self._monotonic(), self._overview
        if made is None or now - made[0] >= INTERVAL_S:
            told = self._watched.look(View.overview)
            ledgers = self._account(now)
            for job in told["jobs"]:
                job["ledger"] = ledgers.get(job["job"])
            about = {"log": self._log(), "about": self._about(), "now": self._wall()}
            made = self._overview = now, _encode({**told, **about})
        return made[1]

    def node(self, name: str) -> bytes | None:
        """One node with its past as JSON; None when it is not known."""
        detail = self._watched.look(lambda view: _node(view, name))
        return None if detail is None else _encode(detail)

    def job(self, name: str) -> bytes | None:
        """One job with its commands, incidents, fates and ledger as JSON; None when it is not known."""
        told = self._watched.look(lambda view: view.jobs[name].to_json() if name in view.jobs else None)
        if told is None:
            return None
        ledgers = self._account(self._monotonic())
        return _encode({**told, "ledger": ledgers.get(name)})

    def decision(self, id: str) -> bytes | None:
        """A command or an incident as the view knows it; None for an unknown id."""
        told = self._watched.look(lambda view: decided(view, id))
        return None if told is None else _encode(told)

    def savings(self) -> bytes:
        """The ledger of every job."""
        ledgers = self._account(self._monotonic())
        return _encode({"jobs": [{"job": job, "ledger": one} for job, one in sorted(ledgers.items())]})

    def _account(self, now: float) -> dict[str, Any]:
        """The ledgers by job; made by one at a time, and from a copy, so that the view goes on meanwhile."""
        with self._making:
            if self._accounted is None or now - self._accounted >= LEDGER_S:
                told = self._watched.look(View.accounts)
                self._ledgers = {name: account_from(one.folds(), self._policy) for name, one in told.items()}
                self._accounted = now
            return self._ledgers

    def _log(self) -> dict[str, Any]:
        state = self._watched.state()
        silent = None if state.silent_s is None else round(state.silent_s, 1)
        if state.fault is not None:
            return {"condition": "broken", "silent_s": silent, "fault": state.fault}
        stale = silent is None or silent > STALE_S
        return {"condition": "away" if state.away else "stale" if stale else "live", "silent_s": silent}


def _node(view: View, name: str) -> dict[str, Any] | None:
    detail = view.fleet.detail(name)
    if detail is None:
        return None
    role, job = roles_of(view).get(name, ("", detail["job"] or ""))
    incidents = [
        {**told, "job": one.job}
        for one in view.jobs.values()
        for told in one.to_json()["incidents"]
        if told["node"] == name
    ]
    return {**detail, "role": role, "job": job, "out": view.brakes.out(name), "incidents": incidents}
