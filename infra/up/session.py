"""One run: parts are started, made ready, watched while telemetry is live, and stopped in order."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from typing import Any

from connectors.errors import ForestallError
from infra import clock
from infra.observer import LogRecord, Observer, View
from infra.observer.account import account_from
from infra.observer.view import Told
from infra.settings import Settings
from infra.shadow_policies import shadow_policies
from infra.supervisor import Supervisor
from infra.up import parts, summary
from infra.up.influx import Beside, start_beside, told_or_not
from infra.up.narrator import sentence, worst_of
from infra.up.place import Place
from infra.up.plan import JOB, Plan
from infra.up.progress import lack, status
from infra.up.tallies import Tallies
from infra.up.targets import Targets
from infra.up.terminal import Terminal
from infra.web.access import terms_of
from infra.web.feed import Feed
from infra.web.looking import inquiries
from infra.web.serve import Served, serve
from infra.wiring import policy_settings

LOOK_S = 0.1
STATUS_S = 15.0
#: The longest that getting ready may take; then the run ends and says what is missing.
READY_S = 300.0
READ_ALL_S = 20.0
PRODUCER_STOP_S = 15.0
PART_STOP_S = 10.0
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Ending:
    """What a run came to; ``failed`` names the part, or the broker, that could not be kept up."""

    summary: dict[str, Any]
    failed: str | None


class Session:
    """Runs a :class:`Plan` at a :class:`Place`."""

    def __init__(self, plan: Plan, settings: Settings, place: Place, terminal: Terminal) -> None:
        self._plan, self._settings, self._place, self._terminal = plan, settings, place, terminal
        self._policy = policy_settings(settings)
        self._phase, self._logs = "starting", place.directory / "logs"
        self._timeline: dict[str, float] = {"broker": terminal.elapsed}
        self._live_at: float | None = None
        self._asked = asyncio.Event()
        self._observer = Observer(place.broker.bootstrap, place.begin, self._hear, shadow_policies(settings))
        names = [f"produce-{source}" for source in plan.sources]
        self._tallies, self._producers = Tallies(names), names
        self._agents: list[str] = []
        self._beside: Beside | None = None
        self._influx: dict[str, Any] | None = None

    async def run(self) -> Ending:
        """The whole run; nothing that it started is left when it returns."""
        self._loop = asyncio.get_running_loop()
        for number in SIGNALS:
            self._loop.add_signal_handler(number, self._ask_to_stop, number)
        self._supervisor = Supervisor(self._logs, self._warn, self._place.environment)
        page: Served | None = None
        try:
            self._observer.start()
            page = await self._serve()
            if self._plan.influx:
                self._beside = await start_beside(self._settings, self._place, self._supervisor, self._terminal)
            self._start_parts()
            failed = await self._until_ended()
            await self._drain()
            await self._settle()
            ending = self._end(failed)
        finally:
            await self._stop(page)
        return ending

    def _ask_to_stop(self, number: signal.Signals) -> None:
        if not self._asked.is_set():
            self._terminal.say("forestall", f"{signal.Signals(number).name}: stopping")
        self._asked.set()

    def _warn(self, who: str, what: str) -> None:
        self._terminal.say(who, what, style="yellow")

    def _hear(self, told: Told, _: LogRecord) -> None:
        """In the observer's thread: hand what a person may want to know to the loop."""
        said = sentence(told, lambda node: self._observer.look(worst_of)(node))
        if said is not None:
            self._loop.call_soon_threadsafe(self._terminal.say, *said)

    async def _serve(self) -> Served:
        web = self._settings.web
        feed = Feed(self._observer, self._about, self._policy, clock.now, clock.monotonic)
        asked = inquiries(self._settings, self._place.broker.bootstrap, self._observer)
        page = await serve(feed, terms_of(web), web.port, inquiries=asked)
        moved = f" (port {web.port} is taken)" if page.moved else ""
        self._terminal.say("live page", f"{page.url}{moved}")
        return page

    def _about(self) -> dict[str, Any]:
        return {"title": self._plan.title, "phase": self._phase}

    def _start_parts(self) -> None:
        plan, settings, bootstrap = self._plan, self._settings, self._place.broker.bootstrap
        agents = parts.cluster_agents(plan, settings, bootstrap, self._place.directory, self._place.keys)
        self._agents = [part.name for part in agents]
        producers = parts.producers(plan, settings, bootstrap, self._listen, with_history=self._place.fresh)
        replays = plan.replay is not None
        worker = parts.worker(settings, bootstrap, self._place.keys, brings_ticks=replays)
        targets = Targets(settings.metrics)
        for part in (targets.watched(worker), *producers, *map(targets.watched, agents)):
            self._supervisor.start(part)
        self._terminal.say("metrics", targets.write(self._place.directory / "metrics.json"))
        self._terminal.say("started", ", ".join(self._supervisor.names))

    def _listen(self, name: str, line: str) -> None:
        self._tallies.line(name, line)

    async def _until_ended(self) -> str | None:
        """Wait for readiness, then for the end of the live part; returns what could not be kept up, in words."""
        watching = asyncio.create_task(self._watch())
        asked = asyncio.create_task(self._asked.wait())
        failing = asyncio.create_task(self._failure())
        done, rest = await asyncio.wait({watching, asked, failing}, return_when=asyncio.FIRST_COMPLETED)
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
        if watching in done:
            watching.result()
        return failing.result() if failing in done else None

    async def _failure(self) -> str:
        """Wait until a part or the broker is given up."""
        broker = self._place.broker
        parts_fail = asyncio.create_task(self._supervisor.given_up())
        try:
            while not (broker.given_up.is_set() or parts_fail.done()):
                await asyncio.wait({parts_fail}, timeout=LOOK_S)
        finally:
            parts_fail.cancel()
            await asyncio.gather(parts_fail, return_exceptions=True)
        if broker.given_up.is_set():  # it has said so itself
            return f"the broker does not stay up [{broker.log}]"
        given_up = parts_fail.result()
        self._warn(given_up.name, str(given_up))
        return str(given_up)

    async def _watch(self) -> None:
        await self._get_ready()
        await self._go_live()
        await self._live()

    async def _get_ready(self) -> None:
        self._phase = "loading the past"
        deadline = self._terminal.elapsed + READY_S
        while (missing := self._observer.look(self._lack)) is not None:
            if self._terminal.elapsed > deadline:
                raise ForestallError(f"not ready after {READY_S:.0f} s: {missing}; see {self._logs}")
            await asyncio.sleep(LOOK_S)
        self._timeline["ready"] = self._terminal.elapsed
        past = self._observer.look(lambda view: view.total("history"))
        loaded = f"; {past:,} frames of the past are assessed" if past else ""
        self._terminal.say("ready", f"all parts run{loaded}")

    def _lack(self, view: View) -> str | None:
        found = lack(view, self._tallies, self._plan, self._place.before)
        for name, done in found.done.items():
            if done and name not in self._timeline:
                self._timeline[name] = self._terminal.elapsed
        return found.missing

    async def _go_live(self) -> None:
        """One source after the other, so that the past of each is closed before another's present begins."""
        self._observer.look(lambda view: view.live_from(clock.now()))
        for name in self._producers:
            self._supervisor.tell(name, "start")
            while not self._tallies.live(name):
                await asyncio.sleep(LOOK_S / 2)
        self._phase, self._live_at = "live", self._terminal.elapsed
        length = "until Ctrl-C" if self._plan.for_s is None else f"for {self._plan.for_s:g} s"
        self._terminal.say("live", f"{self._plan.title}, {length}")

    async def _live(self) -> None:
        ended = asyncio.create_task(self._supervisor.ended(self._producers))
        end = None if self._plan.for_s is None else self._terminal.elapsed + self._plan.for_s
        try:
            while not ended.done() and (end is None or self._terminal.elapsed < end):
                left = STATUS_S if end is None else min(STATUS_S, end - self._terminal.elapsed)
                await asyncio.wait({ended}, timeout=max(0.0, left))
                self._terminal.say("seen", self._observer.look(lambda view: status(view, JOB)))
        finally:
            ended.cancel()
            await asyncio.gather(ended, return_exceptions=True)

    async def _drain(self) -> None:
        """The producers stop and tell their counts; then whatever is on the log is read."""
        self._phase = "ending"
        await self._supervisor.stop(self._producers, PRODUCER_STOP_S)
        if self._tallies.missing:
            self._warn("frames", f"no counts from {', '.join(self._tallies.missing)}: they ended without telling")
        broker_is_gone = self._place.broker.given_up.is_set()
        if self._supervisor.pid(parts.WORKER) is None or self._live_at is None or broker_is_gone:
            return
        ends = await asyncio.to_thread(self._observer.telemetry_ends)
        deadline = self._terminal.elapsed + READ_ALL_S
        while not self._observer.look(lambda view: has_read(view, ends)):
            if self._terminal.elapsed > deadline:
                self._warn(parts.WORKER, f"has not read all that is on the log within {READ_ALL_S:.0f} s")
                return
            await asyncio.sleep(LOOK_S)

    async def _settle(self) -> None:
        """With an InfluxDB: whatever writes to the topics ends, and then the sink writes what is left of them."""
        if self._beside is None or self._place.broker.given_up.is_set():
            return
        await self._supervisor.stop([*self._agents, parts.WORKER], PART_STOP_S)
        self._influx = await told_or_not(self._beside, self._terminal)

    def _end(self, failed: str | None) -> Ending:
        self._timeline["end"] = self._terminal.elapsed
        return Ending({**self._observer.look(self._summary), "failed": failed}, failed)

    def _summary(self, view: View) -> dict[str, Any]:
        broker, job = self._place.broker, view.jobs.get(JOB) if self._plan.with_job else None
        live_s = None if self._live_at is None else round(self._terminal.elapsed - self._live_at, 3)
        return {
            "broker": {"version": broker.version, "bootstrap": broker.bootstrap, "run": broker.run},
            "source": self._plan.title,
            "live_s": live_s,
            **summary.frames(view, self._tallies, self._place.before),
            "latency_ms": view.latency_ms(),
            "models": view.models(),
            "commands": summary.commands(view),
            "outcomes": dict(view.outcomes),
            "job": None if job is None else summary.job_of(job),
            "ledger": None if job is None else account_from(job.told.folds(), self._policy),
            "restarted": {name: count for name in self._supervisor.names if (count := self._supervisor.restarts(name))},
            "timeline_s": {name: round(at, 2) for name, at in self._timeline.items()},
            "logs": str(self._logs),
            **({"influx": self._influx} if self._plan.influx else {}),
        }

    async def _stop(self, page: Served | None) -> None:
        await self._supervisor.stop(self._producers, PART_STOP_S)
        await self._supervisor.stop([*self._agents, parts.WORKER], PART_STOP_S)
        await self._supervisor.close(PART_STOP_S)
        if page is not None:
            await page.stop()
        await asyncio.to_thread(self._observer.stop)
        self._terminal.say("stopped", "every part has ended")


def has_read(view: View, ends: dict[int, int]) -> bool:
    """Whether each partition's newest counts stand at or after the end of its telemetry."""
    return all(
        end == 0 or ((counts := view.counts.get(partition)) is not None and counts.cause.offset >= end - 1)
        for partition, end in ends.items()
    )
