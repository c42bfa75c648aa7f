"""``forestall status``: what runs where, what is under way, what is wrong."""

from __future__ import annotations

import argparse
from typing import Any

from connectors.errors import Unreachable
from infra.cli.options import duration, report
from infra.settings import Settings


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall status``."""
    parser.epilog = """\
examples
  forestall status                          of the embedded Kafka that runs, for example under forestall up
  forestall status --brokers kafka-1:9092   of your own
  forestall status --watch 2s               again and again, until Ctrl-C
  forestall status --json                   for a program; its diagnostics too"""
    parser.add_argument("--watch", type=duration, metavar="DURATION", help="tell it again after so long, until Ctrl-C")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Read once, or again and again, and tell."""
    from infra import clock
    from infra.status.lines import lines

    brokers = brokers_of(settings)
    while True:
        told = _read(settings, brokers)
        if options.watch is not None and not options.json:
            print("\x1b[2J\x1b[H", end="")
        report(options, told, lines(told))
        if options.watch is None:
            return 0
        clock.sleep(options.watch)


def brokers_of(settings: Settings) -> str:
    """The brokers that the settings name, or the embedded one that runs; none is started to ask it.

    Raises
    ------
    Unreachable
        Nothing answers; the message says what to do.
    """
    from infra.broker import runs
    from infra.broker.locate import own_brokers

    if settings.broker.brokers:
        return own_brokers(settings.broker.brokers).bootstrap
    root = runs.runs_directory(settings)
    serving = runs.all_serving(root)
    if serving:
        return serving[0].bootstrap
    last = next(iter(runs.known_runs(root)), None)
    look = "forestall up" if last is None else f"forestall broker start serves the last run ({last}) again"
    raise Unreachable(f"no embedded Kafka is running, so there is nothing to tell of: {look}; your own: --brokers")


def _read(settings: Settings, brokers: str) -> dict[str, Any]:
    from infra import clock
    from infra.status.diagnosing import diagnose
    from infra.status.document import document, jobs_of
    from infra.status.reading import read_status
    from infra.status.replaying import replay_of
    from infra.wiring import policy_settings

    policy = policy_settings(settings)
    reading = read_status(brokers, settings.worker.group, policy)
    found = diagnose(
        reading.view, reading.decided_by() or policy, jobs_of(reading.states), replay_of(settings, brokers)
    )
    return {"brokers": brokers, **document(reading, found, clock.now())}
