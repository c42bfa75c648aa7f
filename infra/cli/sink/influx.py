"""``forestall sink influx``: the topics in InfluxDB 2, for dashboards."""

from __future__ import annotations

import argparse
import logging
import signal
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from infra.settings import Settings

if TYPE_CHECKING:
    from infra.broker.embedded import Broker
    from infra.sink.service import Tally

_EXAMPLES = """\
examples
  forestall sink influx --set influx.token_file=write.token
  forestall sink influx --brokers kafka-1:9092 --set influx.url=https://influx.example.org:8086 --begin latest

Points wait on disk while InfluxDB is away, and are read from the topics again where the disk is full: nothing is lost.
The token needs to write to one bucket and nothing else; `forestall influx apply` makes it and its file."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall sink influx``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--outbox", type=Path, metavar="DIR", help="where points wait while InfluxDB is away")
    parser.add_argument(
        "--begin",
        choices=("earliest", "latest"),
        default="earliest",
        help="where an outbox that is new begins: with all that the topics hold (the default), or with what comes",
    )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Write until told to stop."""
    from infra.broker.locate import locate_broker
    from infra.cli.options import report
    from infra.logs import set_up
    from infra.sink.wiring import require_usable

    set_up(settings.logs, "forestall sink influx")
    require_usable(settings)
    with locate_broker(settings) as broker:
        tally = _sink(options, settings, broker)
    result = asdict(tally)
    told = f"{tally.written} points written, {tally.refused} refused, {tally.waiting} wait on disk"
    report(options, result, [told])
    return 0


def _sink(options: argparse.Namespace, settings: Settings, broker: Broker) -> Tally:
    from infra import clock
    from infra.metrics.health import Health
    from infra.metrics.serving import Page, served
    from infra.sink.telling_metrics import fill_of
    from infra.sink.wiring import open_sink, outbox_directory

    say = logging.getLogger("forestall.sink").info
    directory = options.outbox or outbox_directory(settings, broker)
    with open_sink(settings, broker.bootstrap, directory, options.begin, say) as (sink, topics):
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sink.stop())
        say(f"writes to {settings.influx.bucket} at {settings.influx.url}; points wait in {directory}")
        health = Health(lambda: clock.monotonic() - sink.turned_at, sink.lacking)
        with served(settings.metrics, Page("sink influx", health, [fill_of(sink)])):
            sink.run(topics)
        return sink.tally()
