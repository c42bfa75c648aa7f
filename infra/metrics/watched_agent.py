"""A cluster agent with its metrics page, for as long as it works."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from infra import clock
from infra.agent.cluster_agent import Standing
from infra.metrics.families import Scrape
from infra.metrics.health import Health, Lacking
from infra.metrics.serving import Page, served
from infra.metrics.watch import KafkaEnds
from infra.settings import Settings

#: Between two questions whether the broker is there.
ASK_S: Final = 5.0


class Watched(Protocol):
    """What is looked at of a cluster agent."""

    turned_at: float

    def standing(self) -> Standing:
        """How it stands."""


class BrokerLook:
    """Asks every few seconds whether the broker answers, from a thread of its own."""

    def __init__(self, ask: Callable[[], object], monotonic: Callable[[], float]) -> None:
        self._ask, self._monotonic = ask, monotonic
        self._answered_at: float | None = None
        self._began = monotonic()
        self._ending = threading.Event()

    def start(self) -> None:
        """Ask from now on."""
        threading.Thread(target=self._run, name="broker-look", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._ending.set()

    def _run(self) -> None:
        while True:
            self.look()
            if self._ending.wait(ASK_S):
                return

    def look(self) -> None:
        """Ask once."""
        try:
            self._ask()
        except Exception:  # noqa: BLE001 (whatever it is, there was no answer)
            return
        self._answered_at = self._monotonic()

    def silent_s(self) -> float:
        """Seconds since the broker last answered."""
        return self._monotonic() - (self._began if self._answered_at is None else self._answered_at)

    @property
    def answered(self) -> bool:
        """Whether it ever has."""
        return self._answered_at is not None


class AgentMetrics:
    """Fills a scrape with an agent's numbers, and says what it lacks."""

    def __init__(self, agent: Watched, broker: BrokerLook, stale_s: float) -> None:
        self._agent, self._broker, self._stale_s = agent, broker, stale_s

    def __call__(self, scrape: Scrape) -> None:
        """Everything."""
        told = self._agent.standing()
        for stage, count in told.outcomes.items():
            scrape.add("forestall_agent_outcomes_total", count, stage)
        for (stage, reason), count in told.refused.items():
            scrape.add("forestall_refusals_total", count, stage, reason)
        scrape.add("forestall_agent_unreadable_total", told.unreadable)
        scrape.add("forestall_agent_not_taken_up_total", told.not_taken_up)
        scrape.add("forestall_agent_outcomes_waiting", told.waiting)
        scrape.add("forestall_agent_rank_running", float(told.runs))

    def lacking(self) -> Lacking:
        """Why the agent is not ready."""
        told, silent_s = self._agent.standing(), self._broker.silent_s()
        lacks: dict[str, str] = {}
        if not self._broker.answered or silent_s > self._stale_s + ASK_S:
            lacks["broker"] = f"has not answered for {silent_s:.0f} s"
        if not told.reads:
            lacks["commands"] = "cannot be read"
        if not told.has_room:
            lacks["outcomes"] = f"{told.waiting} wait, so no command is taken up"
        return lacks


@contextmanager
def watched_agent(settings: Settings, brokers: str, agent: Watched) -> Iterator[None]:
    """Serve what an agent tells of itself until the block ends; without a port nothing is done."""
    if settings.metrics.port == 0:
        yield
        return
    ends = KafkaEnds(brokers)
    broker = BrokerLook(lambda: ends([]), clock.monotonic)
    told = AgentMetrics(agent, broker, settings.metrics.stale_s)
    page = Page("agent", Health(lambda: clock.monotonic() - agent.turned_at, told.lacking), [told])
    broker.start()
    try:
        with served(settings.metrics, page):
            yield
    finally:
        broker.stop()
