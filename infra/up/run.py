"""``forestall up`` from the broker to the end: what a :class:`Session` needs is made, and taken down after it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

import platformdirs

from connectors.kafka.admin import TopicState, admin_client, apply_topics
from connectors.kafka.topics import ASSESSMENT, COMMAND, DEAD_LETTER, EVENT
from infra import clock
from infra.broker import runs
from infra.broker.embedded import Broker, embedded_broker
from infra.broker.locate import own_brokers
from infra.cli.topics import specs_of
from infra.keys import ready_keys
from infra.observer.reader import last_counts, log_ends
from infra.settings import PREFIX, Settings
from infra.supervisor import sweep
from infra.up.plan import Plan
from infra.up.session import Ending, Place, Session
from infra.up.summary import Baseline
from infra.up.terminal import Terminal

SWEEP_S = 5.0
#: One thread a process is plenty for matrices of this size, and two cores have more than ten processes to carry.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def run(plan: Plan, settings: Settings, terminal: Terminal) -> Ending:
    """Run the plan; raises what keeps it from beginning."""
    signal.signal(signal.SIGHUP, _unwind)
    terminal.say("forestall", plan.title)
    try:
        with _broker(plan, settings, terminal) as broker:
            place = _place(broker, settings, terminal)
            return asyncio.run(_session(plan, settings, place, terminal))
    finally:
        sweep(SWEEP_S)


async def _session(plan: Plan, settings: Settings, place: Place, terminal: Terminal) -> Ending:
    return await Session(plan, settings, place, terminal).run()


def _unwind(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


@contextmanager
def _broker(plan: Plan, settings: Settings, terminal: Terminal) -> Iterator[Broker]:
    if settings.broker.brokers:
        broker = own_brokers(settings.broker.brokers)
        terminal.say("broker", f"Kafka {broker.version} of your own at {broker.bootstrap}")
        yield broker
        return
    with embedded_broker(settings, run=plan.run, say=lambda line: terminal.say("broker", line)) as broker:
        terminal.say("broker", f"Apache Kafka {broker.version} answers at {broker.bootstrap}; run {broker.run}")
        yield broker


def _place(broker: Broker, settings: Settings, terminal: Terminal) -> Place:
    with admin_client(broker.bootstrap) as client:
        states = apply_topics(client, specs_of(settings))
    _tell_topics(states, terminal)
    directory = _directory(broker, settings)
    (directory / "logs").mkdir(parents=True, exist_ok=True)
    fresh = all(state.state == "created" for state in states)
    begin = {} if fresh else _ends(broker.bootstrap)
    before = Baseline.of_counts(last_counts(broker.bootstrap, begin).values())
    keys = ready_keys(settings, broker.run, clock.now())
    return Place(broker, directory, _environment(), begin, before, fresh, keys)


def _tell_topics(states: list[TopicState], terminal: Terminal) -> None:
    made = sum(state.state == "created" for state in states)
    terminal.say("topics", f"{made} created, {len(states) - made} there already")
    for state in states:
        for key, (found, wanted) in state.differences.items():
            terminal.say("topics", f"{state.name}: {key} is {found}, should be {wanted}; left as it is", "yellow")


def _directory(broker: Broker, settings: Settings) -> Path:
    if broker.run is not None:
        return runs.runs_directory(settings) / broker.run / "up"
    root = platformdirs.user_data_path("forestall") / "up"
    return root / runs.new_name(root, clock.now())


def _ends(bootstrap: str) -> dict[tuple[str, int], int]:
    """Where the log stands before this run; the inventory is read whole, for it says who runs what."""
    ends = log_ends(bootstrap, (ASSESSMENT, COMMAND, EVENT, DEAD_LETTER))
    return {(topic, partition): end for topic, found in ends.items() for partition, end in found.items()}


def _environment() -> dict[str, str]:
    """What the parts inherit; settings reach them by their command line alone."""
    kept = {name: value for name, value in os.environ.items() if not (name.startswith(PREFIX) and "__" in name)}
    return {**kept, **dict.fromkeys(_THREADS, "1")}
