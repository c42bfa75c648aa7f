"""One arm of a drill: a broker, a worker, telemetry, cluster agents and the job, and the script of kills."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from infra import clock
from infra.drill import accounting
from infra.drill.fates import tell
from infra.drill.jobs import DrillJob, losses_of, repeated_steps
from infra.drill.nodes import Nodes
from infra.drill.plan import ArmPlan, ArmRecord, Struck
from infra.drill.records import Records
from infra.drill.script import APART_INTERVALS, BEFORE_INTERVALS, Strike, comes_late, latest_step
from infra.drill.shadow import Standing
from infra.drill.telemetry import Telemetry
from infra.drill.watch import Watch
from infra.drill.witness import lines_of, witnessed
from infra.observer import LogRecord, Observer
from infra.observer.view import Told
from infra.supervisor import Supervisor
from infra.up import parts
from infra.up.narrator import sentence, worst_of
from infra.up.place import Place
from infra.up.terminal import Terminal
from infra.wiring import policy_settings
from models.records import NodeFate, digest_id

LOOK_S = 0.1
READY_S = 300.0
RECOVERY_S = 180.0
FATE_S = 20.0
STOP_S = 10.0
SETTLE_S = 30.0
#: The worker ends this long before the job does: no command may meet a job that is gone.
LAST_WORDS_S = 4.0
#: A job that takes this many times as long as it should has come to a halt.
PATIENCE = 6.0


@dataclass(slots=True)
class _Checked:
    """Checkpoints told durable that were looked at, by command, and how many of them do not load."""

    seen: set[str] = field(default_factory=set)
    lost: int = 0


class Arm:
    """Runs an :class:`ArmPlan` at a :class:`Place`; nothing that it started is left when :meth:`run` returns."""

    def __init__(self, plan: ArmPlan, job: DrillJob, place: Place, terminal: Terminal) -> None:
        self._plan, self._job, self._place, self._terminal = plan, job, place, terminal
        self._logs = place.directory / "logs"
        self._starts = place.directory / "starts.txt"
        self._policy = policy_settings(plan.settings)
        self._records = Records(plan.job, self._policy)
        self._observer = Observer(place.broker.bootstrap, place.begin, self._hear)
        self._telemetry = Telemetry(place.broker.bootstrap, len(plan.names), plan.settings.telemetry.interval_s)
        self._struck: list[Struck] = []
        self._repairs: set[asyncio.Task[None]] = set()
        self._checked = _Checked()
        self._reached = round(BEFORE_INTERVALS * plan.interval_steps)

    async def run(self) -> ArmRecord:
        """The whole arm; raises :class:`Failed` with what did not come to pass, and where its logs are."""
        self._loop = asyncio.get_running_loop()
        self._supervisor = Supervisor(
            self._logs, lambda who, what: self._say(who, what, "yellow"), self._place.environment
        )
        self._watch = Watch(self._supervisor, self._place.broker, self._logs)
        self._nodes = Nodes(self._supervisor, self._place.directory / "agents", self._agent_command())
        checking = None
        try:
            await self._get_ready()
            checking = asyncio.create_task(self._check_checkpoints())
            for number, strike in enumerate(self._plan.script):
                await self._strike(number, strike)
            await self._recover()
            await self._end()
        finally:
            await self._stop(checking)
        return self._record()

    # -- getting ready

    async def _get_ready(self) -> None:
        plan, place = self._plan, self._place
        self._observer.start()
        self._supervisor.start(parts.worker(plan.settings, place.broker.bootstrap, place.keys))
        self._telemetry.start()
        for node in plan.names[plan.ranks :]:
            self._nodes.start(node, None)
        await self._until(self._past_is_assessed, READY_S, "the past is not assessed")
        self._telemetry.go_live()
        for rank, node in enumerate(plan.names[: plan.ranks]):
            self._nodes.start(node, rank)
        await self._until(lambda: self._standing.whole, READY_S, "not every rank trains")
        self._say("job", f"{plan.ranks} ranks train, {len(plan.names) - plan.ranks} nodes wait")

    def _past_is_assessed(self) -> bool:
        sent = self._telemetry.history_sent
        return sent is not None and self._observer.look(lambda view: view.total("history")) >= 0.99 * sent

    def _agent_command(self) -> Callable[[str, tuple[str, ...]], tuple[str, ...]]:
        plan, place = self._plan, self._place
        spec = place.directory / "jobs.toml"
        training = witnessed(self._job.command(plan.work), self._starts)
        # JSON's strings and arrays of strings are TOML's too.
        lines = [f"[jobs.{plan.job}]", f"command = {json.dumps(training)}", f"world = {plan.ranks}"]
        if plan.min_nodes is not None:
            lines += [f"min_nodes = {plan.min_nodes}", "replica_nodes = 1"]
        spec.write_text("\n".join([*lines, ""]), encoding="utf-8")

        def command(node: str, role: tuple[str, ...]) -> tuple[str, ...]:
            agents = place.directory / "agents"
            return parts.agent(plan.settings, place.broker.bootstrap, node, role, spec, agents, place.keys)

        return command

    # -- kills

    async def _strike(self, number: int, strike: Strike) -> None:
        plan = self._plan
        await self._until(
            lambda: self._is_time(number, strike), self._limit_s, f"the job does not come to kill {number + 1}"
        )
        node = self._node_of(strike.rank)
        begun = self._standing.step
        self._telemetry.strike(node, strike.lead_s, plan.repair_s)
        signs = "dies without a sign" if strike.sudden else f"begins to fail, {strike.lead_s:g} s before it dies"
        self._say(f"kill {number + 1}", f"{node}, which runs rank {strike.rank} at step {begun}, {signs}")
        await self._watch.sleep(strike.lead_s)
        standing = self._standing
        hit = await self._die(node)
        how = f"with rank {strike.rank}" if hit else "empty: it was left in time"
        self._say(
            f"kill {number + 1}", f"{node} is dead, {how}; step {standing.step}, {standing.passed:.2f} of the interval"
        )
        self._struck.append(Struck(strike, node, begun, standing.step, round(standing.passed, 3), hit))
        self._reached = max(self._reached, standing.step)

    def _is_time(self, number: int, strike: Strike) -> bool:
        """Under Young: late in his interval, and in new work; else at the step at which Young's arm was struck."""
        plan, standing = self._plan, self._standing
        if not (standing.whole and standing.saved) or self._nodes.rank_process(self._node_of(strike.rank)) is None:
            return False
        if plan.placed is not None:
            return standing.step >= plan.placed[number]
        if standing.step < self._reached + APART_INTERVALS * plan.interval_steps:
            return False
        late = comes_late(standing.passed, strike.lead_s / standing.interval_s, strike.late)
        return late or standing.step >= latest_step(number, plan.interval_steps)

    async def _die(self, node: str) -> bool:
        """SIGKILL the rank, then the agent once it has told; what it cannot tell, the scheduler does: that is us."""
        at = clock.now()
        hit = self._nodes.kill_rank(node)
        if hit:
            await self._until(lambda: self._records.has_left(node, at - 1.0), FATE_S, f"nobody tells that {node} died")
        await self._nodes.kill_agent(node)
        if not self._records.has_failed(node, at - 1.0):
            await self._tell(node, "failed")
        if not self._plan.worlds:
            repair = asyncio.create_task(self._repair(node, self._plan.repair_s))
            self._repairs.add(repair)
            repair.add_done_callback(self._repairs.discard)
        return hit

    async def _repair(self, node: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._tell(node, "recovered")
        await self._nodes.repair(node)

    async def _tell(self, node: str, state: Literal["failed", "recovered"]) -> None:
        at, job = clock.now(), self._plan.job
        fate = NodeFate(id=digest_id("drill", node, state, at), job=job, node=node, at=at, state=state)
        await asyncio.to_thread(tell, self._place.broker.bootstrap, fate)

    # -- the end

    async def _recover(self) -> None:
        """The job goes on after the last kill, in each of the sizes that it has to take."""
        await self._until(self._is_well, RECOVERY_S, "the job does not go on after the last kill")
        for number, world in enumerate(self._plan.worlds):
            await self._until(partial(self._is_of, world), RECOVERY_S, f"the job does not go on with {world} ranks")
            step = self._standing.step
            self._say("size", f"{world} ranks train, step {step}")
            enough = step + self._plan.interval_steps
            await self._until(partial(self._has_come_to, enough), self._limit_s, f"it stands at {world} ranks")
            if number == 0:
                for one in self._struck:
                    await self._repair(one.node, 0.0)

    async def _end(self) -> None:
        """The worker ends shortly before the job; then the job, and whatever is still to be told."""
        plan = self._plan
        last = plan.work.steps - round(LAST_WORDS_S / plan.work.step_s)
        await self._until(lambda: self._standing.step >= last, self._limit_s, "the job does not come to its end")
        await self._supervisor.stop([parts.WORKER], STOP_S)
        await self._until(lambda: self._weights() is not None, self._limit_s, "the job does not come to its end")
        await self._watch.whether(self._all_acknowledged, SETTLE_S)

    def _weights(self) -> str | None:
        return self._job.weights(self._plan.work, self._plan.ranks)

    def _all_acknowledged(self) -> bool:
        commands = self._records.commands
        return accounting.acknowledged(commands, self._records.outcomes) == len(commands)

    async def _stop(self, checking: asyncio.Task[None] | None) -> None:
        for task in [*self._repairs, *([checking] if checking else [])]:
            task.cancel()
        await asyncio.to_thread(self._telemetry.stop)
        await self._supervisor.stop([name for name in self._supervisor.names if name != parts.WORKER], STOP_S)
        await self._supervisor.close(STOP_S)
        await asyncio.to_thread(self._observer.stop)

    def _record(self) -> ArmRecord:
        records = self._records
        return ArmRecord(
            struck=tuple(self._struck),
            commands=records.commands,
            events=records.events,
            starts=accounting.starts_of(lines_of(self._starts)),
            checkpoints=len(self._checked.seen),
            lost_checkpoints=self._checked.lost + accounting.unmet_restores(records.outcomes, records.commands),
            weights=self._weights(),
            repeated_steps=repeated_steps(self._plan.work, self._plan.ranks),
            losses=losses_of(self._plan.work),
            logs=self._logs,
        )

    # -- looking

    async def _check_checkpoints(self) -> None:
        """Load each checkpoint as soon as every rank has told of it as durable: later ones take its place."""
        while True:
            await asyncio.sleep(LOOK_S)
            found = accounting.durable_checkpoints(self._records.commands, self._records.outcomes)
            for one in found:
                if one.command not in self._checked.seen:
                    self._checked.seen.add(one.command)
                    good = await asyncio.to_thread(self._job.is_good, list(one.uris), one.step)
                    self._checked.lost += not good
                    if not good:
                        self._say("checkpoint", f"step {one.step} does not load: {one.uris[0]}", "yellow")

    def _hear(self, told: Told, record: LogRecord) -> None:
        """In the observer's thread."""
        self._records.hear(told, record)
        said = sentence(told, lambda node: self._observer.look(worst_of)(node))
        if said is not None:
            self._loop.call_soon_threadsafe(self._say, *said)

    @property
    def _standing(self) -> Standing:
        return self._records.standing(clock.now())

    @property
    def _limit_s(self) -> float:
        return READY_S + PATIENCE * self._plan.work.steps * self._plan.work.step_s

    def _is_well(self) -> bool:
        return self._standing.whole

    def _is_of(self, world: int) -> bool:
        standing = self._standing
        return standing.whole and standing.world == world

    def _has_come_to(self, step: float) -> bool:
        return self._standing.step >= step

    def _node_of(self, rank: int) -> str:
        return self._observer.look(lambda view: view.job(self._plan.job).node_of(rank)) or ""

    def _say(self, who: str, what: str, style: str = "") -> None:
        self._terminal.say(who, what, style)

    async def _until(self, condition: Callable[[], bool], limit_s: float, otherwise: str) -> None:
        await self._watch.until(condition, limit_s, f"{self._plan.name}: {otherwise}")
