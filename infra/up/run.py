"""``forestall up`` from the broker to the end: what a :class:`Session` needs is made, and taken down after it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from infra.broker.embedded import Broker, embedded_broker
from infra.broker.locate import own_brokers
from infra.settings import Settings
from infra.supervisor import sweep
from infra.up.place import Place, place_at
from infra.up.plan import Plan
from infra.up.session import Ending, Session
from infra.up.terminal import Terminal

SWEEP_S = 5.0


def run(plan: Plan, settings: Settings, terminal: Terminal) -> Ending:
    """Run the plan; raises what keeps it from beginning."""
    signal.signal(signal.SIGHUP, _unwind)
    terminal.say("forestall", plan.title)
    try:
        with broker_of(settings, terminal, plan.run) as broker:
            place = place_at(broker, settings, terminal)
            return asyncio.run(_session(plan, settings, place, terminal))
    finally:
        sweep(SWEEP_S)


async def _session(plan: Plan, settings: Settings, place: Place, terminal: Terminal) -> Ending:
    return await Session(plan, settings, place, terminal).run()


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def broker_of(settings: Settings, terminal: Terminal, run: str | None = None) -> Iterator[Broker]:
    """Your own broker where the settings name one, else an embedded one for as long as the block lasts."""
    if settings.broker.brokers:
        broker = own_brokers(settings.broker.brokers)
        terminal.say("broker", f"Kafka {broker.version} of your own at {broker.bootstrap}")
        yield broker
        return
    with embedded_broker(settings, run=run, say=lambda line: terminal.say("broker", line)) as broker:
        terminal.say("broker", f"Apache Kafka {broker.version} answers at {broker.bootstrap}; run {broker.run}")
        yield broker
