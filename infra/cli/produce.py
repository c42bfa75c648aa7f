"""``forestall produce host|replay|fleet``: telemetry onto the broker, live or replayed."""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connectors.errors import WrongUse
from infra import clock
from infra.cli.options import duration, number_of_nodes, report, speed
from infra.logs import set_up

if TYPE_CHECKING:
    from connectors.kafka.telemetry_producer import Tally, TelemetryProducer
    from connectors.ports import Source
    from infra.broker.embedded import Broker
    from infra.settings import Settings

PROGRESS_S: Final = 5.0
_EXAMPLES = """\
examples
  forestall produce host                            this machine, a frame a second
  forestall produce replay data/smd --speed 600     recorded machines, ten minutes of theirs a second
  forestall produce fleet --nodes 16 --for 2m       a simulated fleet, of which one node begins to fail

With --events two lines of JSON on stdout say how far it is: {"event": "history-sent", "frames": n} once the broker has
the whole past, and {"event": "live", "history": n}. With --wait-for-start it goes live only after a line "start" on its
standard input; where that ends first, so does the run. SIGTERM or Ctrl-C: it sends what it holds, tells what became of
every frame, and ends with 0."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``forestall produce``."""
    parser.epilog = _EXAMPLES
    parser.add_argument("source", choices=("host", "replay", "fleet"))
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="what to replay")
    parser.add_argument("--speed", type=speed, metavar="X", help="replay: seconds of its time a second (default 1)")
    parser.add_argument("--nodes", type=number_of_nodes, metavar="N", help="fleet: number of nodes (default 16)")
    parser.add_argument("--interval", type=duration, metavar="TIME", help="host, fleet: between two frames of a node")
    parser.add_argument("--disorder", action="store_true", default=None, help="fleet: clocks are off, some frames late")
    parser.add_argument("--history", action=argparse.BooleanOptionalAction, default=True, help="send the past first")
    parser.add_argument("--for", dest="for_s", type=duration, metavar="TIME", help="end after so long a live part")
    parser.add_argument("--spool", type=Path, metavar="DIR", help="host: where frames wait while the broker is away")
    parser.add_argument("--events", action="store_true", help="say on stdout how far it is")
    parser.add_argument("--wait-for-start", action="store_true", help='go live on a line "start" on standard input')


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Produce until told to stop, ``--for`` is over or the recording ends."""
    _check_use(options)
    set_up(settings.logs, "forestall produce")
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # it tells of each failed attempt; we tell what it means
    began, start = clock.monotonic(), clock.now()
    source = _source(options, settings, start)
    stop = threading.Event()
    with _told_to_stop(stop):
        from infra.broker.locate import locate_broker

        with locate_broker(settings, say=_say) as broker:
            tally = _feed(options, settings, source, broker, start, stop)
    result = asdict(tally) | {"seconds": round(clock.monotonic() - began, 3)}
    report(options, result, _lines(tally))
    return 0


def _feed(
    options: argparse.Namespace,
    settings: Settings,
    source: Source,
    broker: Broker,
    start: float,
    stop: threading.Event,
) -> Tally:
    from connectors.kafka.links import BulkLink, LiveLink
    from connectors.kafka.telemetry_producer import TelemetryProducer
    from connectors.spool import Spool
    from infra.feed import FLUSH_S, Feed, Orders

    partitions = _partitions(broker.bootstrap)
    with_history = options.history and options.source != "host"
    with _spool_directory(options.spool, settings, source, broker) as directory:
        spool = Spool(directory, round(settings.telemetry.spool_mib * 2**20))
        link = BulkLink(broker.bootstrap) if with_history else LiveLink(broker.bootstrap)
        producer = TelemetryProducer(link, spool, partitions, clock.monotonic, can_wait=source.brings_ticks)
        orders = Orders(_Progress(producer, stop).stopping, _started(options, stop))
        feed = Feed(
            source,
            producer,
            lambda: LiveLink(broker.bootstrap),
            orders,
            start,
            clock.now,
            clock.monotonic,
            _teller(options),
            options.for_s,
        )
        try:
            feed.run(with_history=with_history)
        finally:
            tally = producer.close(clock.monotonic() + FLUSH_S, keep=not source.repeatable)
    return tally


def _check_use(options: argparse.Namespace) -> None:
    if (options.source == "replay") != (options.folder is not None):
        needs = "needs a FOLDER to replay" if options.source == "replay" else f"takes no folder ({options.folder})"
        raise WrongUse(f"forestall produce {options.source} {needs}")
    belongs = {
        "speed": ("replay",),
        "nodes": ("fleet",),
        "interval": ("host", "fleet"),
        "spool": ("host",),
        "disorder": ("fleet",),
    }
    for name, sources in belongs.items():
        if getattr(options, name) is not None and options.source not in sources:
            raise WrongUse(f"--{name} is for {' and '.join(sources)}, not for {options.source}")


def _source(options: argparse.Namespace, settings: Settings, start: float) -> Source:
    interval_s = options.interval or settings.telemetry.interval_s
    if options.source == "replay":
        from connectors.sources.replay import Replay

        return Replay(options.folder, options.speed or 1.0)
    if options.source == "fleet":
        from infra.fleet_source import FleetSource

        return FleetSource(
            options.nodes or 16, start, interval_s, with_history=options.history, disorder=bool(options.disorder)
        )
    from connectors.sources.host import Host

    return Host(clock.now, interval_s)


def _partitions(brokers: str) -> dict[str, int]:
    """Partitions of the topics that are written to; raises :class:`WrongUse` when one is missing."""
    from connectors.kafka.admin import admin_client
    from connectors.kafka.topics import EVENT, SCHEMA, TELEMETRY

    wanted = (TELEMETRY, SCHEMA, EVENT)
    with admin_client(brokers) as client:
        there = set(client.list_topics())
        missing = [topic for topic in wanted if topic not in there]
        if missing:
            raise WrongUse(f"{brokers} has no topic {', '.join(missing)}; forestall topics apply creates it")
        return {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics(list(wanted))}


@contextmanager
def _spool_directory(asked: Path | None, settings: Settings, source: Source, broker: Broker) -> Iterator[Path]:
    """A lasting place for what cannot be had again, of its own for each cluster; else one that goes with the run."""
    if asked is not None:
        yield asked
        return
    if source.repeatable:
        with tempfile.TemporaryDirectory(prefix="forestall-spool-") as directory:
            yield Path(directory)
        return
    from infra.broker.runs import runs_directory
    from models.records import digest_id

    yield runs_directory(settings).parent / "spool" / (broker.run or digest_id(broker.bootstrap))


@contextmanager
def _told_to_stop(stop: threading.Event) -> Iterator[None]:
    """SIGTERM and SIGINT ask for the end; what is being sent is still sent."""
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _started(options: argparse.Namespace, stop: threading.Event) -> Callable[[], bool]:
    started = threading.Event()
    if not options.wait_for_start:
        started.set()
        return started.is_set

    def listen() -> None:
        for line in sys.stdin:
            if line.strip() == "start":
                started.set()
                return
        stop.set()

    threading.Thread(target=listen, name="await-start", daemon=True).start()
    return started.is_set


def _teller(options: argparse.Namespace) -> Callable[[str, int], None]:
    def tell(event: str, frames: int) -> None:
        _say(f"history is sent: {frames:,} frames" if event == "history-sent" else "live")
        if options.events:
            key = "frames" if event == "history-sent" else "history"
            print(json.dumps({"event": event, key: frames}), flush=True)

    return tell


class _Progress:
    """Says every few seconds how far it is, when it is asked whether to stop."""

    def __init__(self, producer: TelemetryProducer, stop: threading.Event) -> None:
        self._producer, self._stop = producer, stop
        self._next = clock.monotonic() + PROGRESS_S

    def stopping(self) -> bool:
        """Whether the end was asked for."""
        if clock.monotonic() >= self._next:
            self._next += PROGRESS_S
            _say(", ".join(_lines(self._producer.tally)))
        return self._stop.is_set()


def _lines(tally: Tally) -> list[str]:
    numbers: dict[str, Any] = {
        "live frames": tally.produced,
        "history": tally.history,
        "acknowledged": tally.sent,
        "spooled": tally.spooled,
        "on the way": tally.waiting,
        **{f"dropped ({reason})": number for reason, number in tally.dropped.items()},
    }
    return [f"{name} {number:,}" for name, number in numbers.items() if number or name == "acknowledged"]


def _say(line: str) -> None:
    logging.getLogger("forestall.produce").info(line)
