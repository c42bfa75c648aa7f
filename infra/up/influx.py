"""InfluxDB beside a run: a server in the run's folder, set up with dashboards, and the sink that writes to it.

At the end two counts are held against each other: what the topics should have yielded, and what the server holds.
"""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import Any, Final

from connectors.errors import Failed, ForestallError
from connectors.influx.schema import RAW
from connectors.influx.token_file import write_token
from infra import clock
from infra.influx.api import InfluxApi
from infra.influx.provision import Provisioned, provision
from infra.influx.server import ORG, START_S, Server, server_at
from infra.settings import Settings
from infra.shadow_policies import names_of
from infra.sink.reckoning import expected, held
from infra.sink.wiring import begin_outbox
from infra.supervisor import Part, Supervisor
from infra.up import parts
from infra.up.place import Place
from infra.up.terminal import Terminal

SERVER: Final = "influxd"
SINK: Final = "sink-influx"
LOOK_S: Final = 0.2
#: The longest that the sink may take at the end to write what is left.
WRITTEN_S: Final = 60.0
COUNT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Beside:
    """A server that answers and is set up, where the sink began, what was made there, and how many shadow policies."""

    server: Server
    made: Provisioned
    begin: dict[tuple[str, int], int]
    brokers: str
    shadows: int

    @property
    def reader(self) -> InfluxApi:
        """The server as who may only read it."""
        return InfluxApi(self.server.url, self.made.read_token)

    async def settled(self) -> dict[str, Any]:
        """Wait until the server holds what the topics yield, within bounds; what the summary says of it."""
        wanted = await asyncio.to_thread(expected, self.brokers, self.begin, self.shadows)
        deadline = clock.monotonic() + WRITTEN_S
        while True:
            found = await asyncio.to_thread(held, self.reader, ORG, RAW.name)
            if found == wanted or clock.monotonic() > deadline:
                return self._told(wanted, found)
            await asyncio.sleep(COUNT_S)

    def _told(self, wanted: dict[str, int], found: dict[str, int]) -> dict[str, Any]:
        return {
            "points_written": sum(found.values()),
            "points_expected": sum(wanted.values()),
            "lost": sum(max(0, count - found[name]) for name, count in wanted.items()),
            "dashboards": sorted(self.made.dashboards),
            "measurements": {name: [found[name], count] for name, count in wanted.items()},
            "url": self.server.url,
            "folder": str(self.server.directory),
        }


async def start_beside(settings: Settings, place: Place, supervisor: Supervisor, terminal: Terminal) -> Beside:
    """Start the server, set it up, and start the sink.

    Raises
    ------
    Failed
        The server does not come up.
    """
    server = server_at(place.directory / "influx")
    supervisor.start(Part(SERVER, server.command, ends_by=signal.SIGINT))
    deadline = clock.monotonic() + START_S
    while not await asyncio.to_thread(server.ready):
        if clock.monotonic() > deadline:
            raise Failed(
                f"influxd did not answer at {server.url} within {START_S:.0f} s; see {place.directory / 'logs'}"
            )
        await asyncio.sleep(LOOK_S)
    made = await asyncio.to_thread(_made, server)
    begin = begin_outbox(server.directory / "outbox", place.begin)
    supervisor.start(_sink(settings, place, server))
    pages = await asyncio.to_thread(server.has_pages)
    terminal.say("influxdb", f"{server.url}: {len(made.dashboards)} dashboards; {how_to_look(server, pages=pages)}")
    return Beside(server, made, begin, place.broker.bootstrap, len(names_of(settings)))


def _made(server: Server) -> Provisioned:
    server.set_up()
    made = provision(server.url, server.token(), ORG)
    write_token(server.directory / "write.token", made.write_token)
    write_token(server.directory / "read.token", made.read_token)
    return made


def how_to_look(server: Server, *, pages: bool) -> str:
    """What a person can do with the server."""
    if pages:
        return f"log in as forestall with the password in {server.password_file}"
    return (
        f"this build has no pages of its own: query it, or show it to Grafana, with {server.directory / 'read.token'}"
    )


def _sink(settings: Settings, place: Place, server: Server) -> Part:
    written_to = {"url": server.url, "org": ORG, "bucket": RAW.name, "token_file": server.directory / "write.token"}
    own = settings.model_copy(update={"influx": settings.influx.model_copy(update=written_to)})
    outbox = str(server.directory / "outbox")
    words = parts.command(own, place.broker.bootstrap, "sink", "influx", "--outbox", outbox, "--json")
    return Part(SINK, words, nice=parts.JOB_NICE)


async def told_or_not(beside: Beside, terminal: Terminal) -> dict[str, Any] | None:
    """What the summary says, or None where the server cannot be asked any more, which is said."""
    try:
        return await beside.settled()
    except ForestallError as fault:
        terminal.say("influxdb", f"its points could not be counted: {fault}", style="yellow")
        return None
