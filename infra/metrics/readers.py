"""What a process that only reads the topics tells of itself: how well it reads, and what it has judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from infra.metrics.diagnostics import Judged
from infra.metrics.families import Fill, Scrape
from infra.metrics.health import Lacking
from infra.observer.reader import LogState
from models.diagnostics import Diagnosis


def reading(state: Callable[[], LogState]) -> Fill:
    """How long the log has been silent."""

    def fill(scrape: Scrape) -> None:
        silent_s = state().silent_s
        if silent_s is not None:
            scrape.add("forestall_log_silence_seconds", silent_s)

    return fill


def judged(found: Callable[[], Iterable[Diagnosis]]) -> Fill:
    """Each diagnostic, and the numbers that it is judged by."""
    return lambda scrape: scrape.extend(Judged(list(found())).collect())


def broken(state: LogState) -> Lacking:
    """Why a reader is not well: only another process would read on."""
    return {} if state.fault is None else {"reader": f"has ended on a fault: {state.fault}"}


def lacking_of(state: LogState, stale_s: float) -> Lacking:
    """Why a reader is not ready; ticks come once a second, so that a log that is silent for long is not being read."""
    if state.fault is not None:
        return broken(state)
    if state.away:
        return {"broker": "does not answer"}
    if state.silent_s is None:
        return {"topics": "nothing has been read of them yet"}
    return {"topics": f"silent for {state.silent_s:.0f} s"} if state.silent_s > stale_s else {}
