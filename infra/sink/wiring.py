"""Where the parts of the sink are joined: settings become the arguments that everything below is given."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from connectors.influx.outbox import Entry, Outbox, Positions
from connectors.influx.token_file import read_token
from connectors.influx.writer import Address, InfluxWriter
from infra import clock
from infra.broker.embedded import Broker
from infra.broker.runs import runs_directory
from infra.kept_settings import policy_in_use
from infra.settings import Settings
from infra.shadow_policies import require_candidates, shadow_policies
from infra.sink.kept_nodes import read_nodes
from infra.sink.refused import burying
from infra.sink.service import Say, Sink
from infra.sink.telling import READS, Telling
from infra.sink.topics import Begin, Topics, places
from models.records import digest_id

MIB = 2**20


def address_of(settings: Settings) -> Address:
    """Where points go."""
    return Address(settings.influx.url, settings.influx.org, settings.influx.bucket)


def require_usable(settings: Settings) -> None:
    """See that address, token and candidates can be used; raises ``WrongUse`` with what to do."""
    address_of(settings).parts()
    read_token(settings.influx.token_file)
    require_candidates(settings)


def outbox_directory(settings: Settings, broker: Broker) -> Path:
    """Where points wait: one folder for each log and each place they go to."""
    target = digest_id(settings.influx.url, settings.influx.org, settings.influx.bucket)
    return runs_directory(settings).parent / "outbox" / f"{broker.run or digest_id(broker.bootstrap)}-{target}"


def begin_outbox(directory: Path, begin: Positions) -> Positions:
    """Have a new outbox begin at these offsets, all of what is not named; where the one that is there began."""
    outbox = Outbox(directory, MIB)
    try:
        own = {place: offset for place, offset in begin.items() if place[0] in READS}
        if own and not outbox.next:
            outbox.append(Entry(own, own, ()))
        return outbox.begin
    finally:
        outbox.close()


@contextmanager
def open_sink(
    settings: Settings, brokers: str, directory: Path, begin: Begin, say: Say
) -> Iterator[tuple[Sink, Topics]]:
    """A sink and its topics, ready to run.

    Raises
    ------
    WrongUse
        The outbox is in use, or the address is none.
    Unreachable
        No broker answers.
    """
    outbox = Outbox(directory, round(settings.influx.outbox_mib * MIB))
    try:
        if outbox.torn:
            say(f"{directory}: {outbox.torn} file(s) ended in a torn entry, which is read from the topics again")
        found = places(brokers, outbox.begin, outbox.next, read_nodes(directory), begin, say)
        writer = InfluxWriter(address_of(settings), lambda: read_token(settings.influx.token_file), clock.now)
        bury = burying(brokers, settings.influx.bucket)
        sink = Sink(outbox, found, writer.post, bury, clock.monotonic, say)
        telling = Telling(policy_in_use(settings, brokers), shadow_policies(settings, brokers), found.nodes)
        topics = Topics(brokers, found, telling, directory, clock.monotonic)
        try:
            yield sink, topics
        finally:
            topics.close()
            writer.close()
    finally:
        outbox.close()
